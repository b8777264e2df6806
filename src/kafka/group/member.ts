/**
 * One member of a consumer group: joins, beats, and tells its listener which tasks are its own.
 *
 * Owned by the runtime's instance. Speaks the classic group protocol with cooperative rebalancing:
 * tasks that stay are never stopped, a task that moves is let go before it is given away (KIP-429),
 * and an instance id brings a restarted process its tasks back without a rebalance (KIP-345).
 *
 *            start()            answered          synced          rebalance, revoked
 *   new ───────────► joining ─────────► syncing ─────────► stable ─────────────────┐
 *                     ▲  ▲                 │                │                      │
 *                     │  └─────────────────┴── rebalance ───┼──────────────────────┘
 *                     └──── lost ◄──── unknown member, session over, a generation missed
 *   every state ──► stopped, failed
 *
 * I1. Heartbeats depend on nothing but their timer: not on records, nor on a revocation under way.
 * I2. Every JoinGroup claims all tasks not yet let go, each with the generation that gave it.
 * I3. A lost member claims nothing. It keeps its member id unless the broker has forgotten it: should
 *     another process have taken our instance id, the broker must be able to tell us.
 * I4. A JoinGroup is sent when the steps under way have ended or their time is up; from then until its
 *     answer no step begins and `membership` waits: an offset commit in between would carry a
 *     generation that is about to end.
 * I5. After a stall the membership is proven by a heartbeat before anything is committed.
 */
import { asEscapementError, type EscapementError, invariant } from '../../errors.ts';
import { type Metric, Metrics } from '../../telemetry/metrics.ts';
import type { Membership } from '../producer/step.ts';
import { brokerError, KafkaErrorCode } from '../protocol/error-codes.ts';
import { type BeatPort, beat, pauseMs } from './beat.ts';
import { Gate } from './gate.ts';
import { type GroupCluster, GroupRequests, type Joined } from './group-requests.ts';
import { Heartbeats } from './heartbeats.ts';
import { Joining, type JoiningOptions } from './joining.ts';
import { isPassing, MemberErrors } from './member-errors.ts';
import { type MemberState, successor } from './member-state.ts';
import type { AssignmentData } from './member-words.ts';
import { type OwnedTask, Ownership } from './ownership.ts';
import { StallWatch } from './stall-watch.ts';
import { StepTurns } from './step-turns.ts';

export type { TaskPlan } from './profile.ts';

export interface GroupListener {
  /**
   * New tasks of this member, after every assignment; none is told by an empty list. Tasks that
   * stay are not named again.
   */
  assigned(taskIds: readonly string[], generation: number): void;
  /** To be let go; nobody else gets them before the promise settles. */
  revoked(taskIds: readonly string[]): Promise<void>;
  /** All tasks are gone already: nothing of theirs may be committed. The member joins anew. */
  lost(reason: EscapementError): Promise<void>;
  /** The member has ended for good. */
  failed(error: EscapementError): void;
}

export interface GroupMemberOptions extends JoiningOptions {
  readonly cluster: GroupCluster;
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly listener: GroupListener;
  readonly metrics?: Metrics;
}

/** Rounds of a joining that may follow one another without a pause. */
const ROUNDS_AT_ONCE = 4;
/** How long a JoinGroup waits for steps, which mostly end within some ten milliseconds. */
const STEPS_BOUND_MS = 1_000;
/** Of the heartbeat interval: how often the process is seen to be awake. */
const TICKS_PER_BEAT = 3;

const PROVEN = Promise.resolve();

export class GroupMember {
  readonly #options: GroupMemberOptions;
  readonly #errors: MemberErrors;
  readonly #requests: GroupRequests;
  readonly #joining: Joining;
  readonly #heartbeats: Heartbeats;
  readonly #stalls: StallWatch;
  readonly #ownership = new Ownership();
  readonly #turns: StepTurns;
  /** Open from the answer to JoinGroup on: the generation is current. */
  readonly #membershipGate = new Gate();
  /** Open from the answer to SyncGroup on. */
  readonly #stableGate = new Gate();
  /** Opens when the group must be joined again. */
  readonly #rejoinGate = new Gate();
  readonly #firstAssignment = new Gate();
  /** Tasks that the last JoinGroup claimed. */
  #claimed: readonly string[] = [];
  #state: MemberState = 'new';
  #memberId = '';
  #generation = -1;
  /** Counts losses: what began in an earlier life has no effect. */
  #life = 0;
  #losing: Promise<void> = Promise.resolve();
  /** Callers of `heartbeat`. */
  readonly #waitingForProof = new Set<(error: EscapementError) => void>();
  #failure: EscapementError | null = null;
  readonly #counts: { readonly [Name in 'assignments' | 'lost' | 'stalls' | 'stalledMs']: Metric };
  #hosts: AssignmentData['hosts'] = [];

  constructor(options: GroupMemberOptions) {
    this.#options = options;
    this.#errors = new MemberErrors(options);
    this.#requests = new GroupRequests(options);
    this.#joining = new Joining({ ...options, requests: this.#requests, errors: this.#errors });
    const { ports, heartbeatIntervalMs, sessionTimeoutMs, metrics = new Metrics() } = options;
    this.#counts = {
      assignments: metrics.get('group.assignments'),
      lost: metrics.get('group.lost'),
      stalls: metrics.get('process.stalls'),
      stalledMs: metrics.get('process.stalledMs'),
    };
    this.#heartbeats = new Heartbeats({
      ports,
      intervalMs: heartbeatIntervalMs,
      sessionTimeoutMs,
      beat: () => beat(this.#beatPort()),
      sessionOver: () => this.#lose(this.#errors.sessionOver(sessionTimeoutMs)),
    });
    this.#turns = new StepTurns(ports.timers);
    this.#stalls = new StallWatch({
      ports,
      tickMs: heartbeatIntervalMs / TICKS_PER_BEAT,
      stallMs: heartbeatIntervalMs,
      stalled: (durationMs) => this.#stalled(durationMs),
    });
  }

  /** Generation of the last answer to JoinGroup; -1 while not a member. */
  get generation(): number {
    return this.#generation;
  }

  get state(): MemberState {
    return this.#state;
  }

  /** Which host has which tasks, by the last assignment; members without a host are not here. */
  get hosts(): AssignmentData['hosts'] {
    return this.#hosts;
  }

  /** Resolves with the first assignment; rejects when the membership is refused. */
  start(): Promise<void> {
    invariant(this.#state === 'new', 'a group member is started once', { state: this.#state });
    this.#enter('joining');
    this.#stalls.begin();
    void this.#live();
    return this.#firstAssignment.wait();
  }

  /**
   * Sends a heartbeat now. Resolves when the broker has answered that we are a member, be it in a
   * rebalance; rejects with the decision `lost` or `stop`. Waits out a JoinGroup under way.
   */
  heartbeat(): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    if (this.#state === 'stable' && this.#heartbeats.isSessionOver) {
      // We stood still, and what came in first is not the timer that watches the session.
      const { sessionTimeoutMs } = this.#options;
      return Promise.reject(this.#lose(this.#errors.sessionOver(sessionTimeoutMs)));
    }
    // A loss shows at once, though the request may still be waiting for a coordinator.
    return new Promise((resolve, reject) => {
      this.#waitingForProof.add(reject);
      const done = () => this.#waitingForProof.delete(reject);
      this.#heartbeats.fresh().then(resolve, reject).finally(done);
    });
  }

  /** I5: resolves at once when the broker has known us of late, else after a fresh heartbeat. */
  proof(): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return this.#generation >= 0 && this.#heartbeats.isProven ? PROVEN : this.heartbeat();
  }

  /** I4. Rejects without running the step when the membership is lost while it waits. */
  step<T>(run: () => Promise<T>): Promise<T> {
    return this.#turns.run(run);
  }

  /** I4, I5. Rejects when the membership is lost while waiting. */
  async membership(): Promise<Membership> {
    await this.#membershipGate.wait();
    while (!this.#heartbeats.isProven) {
      await this.heartbeat();
      // A rebalance may have begun meanwhile.
      await this.#membershipGate.wait();
    }
    return {
      generation: this.#generation,
      memberId: this.#memberId,
      instanceId: this.#options.instanceId,
    };
  }

  /** Whether every assignment since that of `generation` gave us the task. */
  ownedSince(taskId: string, generation: number): boolean {
    return this.#ownership.ownedSince(taskId, generation);
  }

  /** Ends the membership; a member that stays keeps its tasks until its session ends. */
  async stop({ leave }: { readonly leave: 'leave' | 'stay' }): Promise<void> {
    if (this.#state === 'stopped' || this.#state === 'failed') return;
    const held = this.#state === 'joining' || this.#state === 'syncing';
    const wasMember = this.#memberId !== '';
    this.#end('stopped', this.#errors.stopped());
    if (leave === 'stay' || !wasMember) return;
    // Behind a JoinGroup that the broker holds, the request would wait for the rebalance.
    const code = await this.#requests.leave(this.#memberId, held ? 'transaction' : 'group');
    if (code !== KafkaErrorCode.NONE && code !== KafkaErrorCode.UNKNOWN_MEMBER_ID) {
      throw brokerError(code, `LeaveGroup of group '${this.#options.groupId}'`);
    }
  }

  get #isOpen(): boolean {
    return this.#state !== 'stopped' && this.#state !== 'failed';
  }

  /** Round after round of JoinGroup and SyncGroup, until the member ends. */
  async #live(): Promise<void> {
    try {
      for (let attempt = 1; this.#isOpen; attempt++) {
        await this.#losing;
        if (!this.#isOpen) return;
        if ((await this.#round(attempt)) === 'again') {
          if (attempt > ROUNDS_AT_ONCE) await this.#pause(attempt);
          continue;
        }
        attempt = 0;
        await this.#rejoinGate.wait();
      }
    } catch (cause) {
      if (this.#isOpen) this.#fail(asEscapementError(cause));
    }
  }

  /** `again`: the next round may follow at once, what was to be waited for has been. */
  async #round(attempt: number): Promise<'synced' | 'again'> {
    if (this.#state !== 'joining') this.#enter('joining');
    // Steps of a membership that was lost are not waited for: nothing of theirs is committed any more.
    if (this.#generation >= 0) {
      await this.#turns.drained(Math.min(STEPS_BOUND_MS, this.#options.rebalanceTimeoutMs / 2));
    }
    await this.#losing;
    if (!this.#isOpen) return 'again';
    this.#heartbeats.rest();
    this.#membershipGate.shut();
    this.#stableGate.shut();
    try {
      const joined = await this.#join();
      return joined === null ? 'again' : await this.#sync(joined);
    } catch (cause) {
      const error = asEscapementError(cause);
      if (!isPassing(error)) throw error;
      if (!this.#isOpen) return 'again';
      this.#requests.forgetCoordinator();
      this.#options.log.debug({ attempt, reason: error.message }, 'joining again');
      if (this.#generation >= 0 && this.#heartbeats.isSessionOver) {
        this.#lose(this.#errors.sessionOver(this.#options.sessionTimeoutMs));
      }
      await this.#pause(attempt);
      return 'again';
    }
  }

  /** Null: to be tried again. Throws what the round treats: passing errors and those that end us. */
  async #join(): Promise<Joined | null> {
    // What is let go from here on is for the round after this one.
    this.#rejoinGate.shut();
    const verdict = await this.#joining.join({
      memberId: this.#memberId,
      generation: this.#generation,
      claims: () => this.#ownership.claims(),
    });
    if (!this.#isOpen) return null;
    if (verdict.kind === 'named') this.#memberId = verdict.memberId;
    if (verdict.kind === 'forgotten') this.#forgotten('JoinGroup');
    if (verdict.kind !== 'joined') return null;
    const { joined, claimed } = verdict;
    if (this.#generation >= 0 && joined.generation > this.#generation + 1) {
      // A generation has passed without us: what it gave away cannot be told from what it left us.
      this.#lose(this.#errors.missed(this.#generation));
      await this.#losing;
      if (!this.#isOpen) return null;
      this.#rejoinGate.shut();
    }
    this.#claimed = claimed;
    this.#memberId = joined.memberId;
    this.#generation = joined.generation;
    // The broker may have answered long ago, had we stood still meanwhile.
    this.#heartbeats.contact(this.#stalls.awakeAt);
    this.#enter('syncing');
    this.#membershipGate.open();
    this.#turns.open();
    return joined;
  }

  async #sync(joined: Joined): Promise<'synced' | 'again'> {
    const verdict = await this.#joining.sync(joined);
    if (!this.#isOpen) return 'again';
    switch (verdict.kind) {
      case 'assigned':
        this.#heartbeats.contact(verdict.sentAt);
        this.#receive(verdict.given);
        return 'synced';
      case 'forgotten':
        this.#forgotten('SyncGroup');
        return 'again';
      case 'missed':
        this.#lose(this.#errors.missed(joined.generation));
        return 'again';
      default:
        return 'again';
    }
  }

  #receive(given: AssignmentData | null): void {
    const { listener, log, groupId } = this.#options;
    const generation = this.#generation;
    const tasks = given?.tasks ?? [];
    const { added, revoked } = this.#ownership.receive(tasks, generation);
    log.info({ groupId, generation, tasks, added, revoked: revoked.map(idOf) }, 'tasks assigned');
    this.#counts.assignments.add();
    this.#hosts = given?.hosts ?? [];
    this.#enter('stable');
    this.#stableGate.open();
    this.#heartbeats.begin();
    listener.assigned(added, generation);
    if (revoked.length > 0) void this.#revoke(revoked);
    this.#freeClaims(tasks);
    this.#firstAssignment.open();
  }

  /**
   * The leader goes by claims: it holds a task back until its claimant has let it go. One that we
   * claimed and do not run, since we were lost meanwhile or only inherited the claim, nobody will let
   * go: another round, without that claim, frees it.
   */
  #freeClaims(given: readonly string[]): void {
    const held = new Set([...given, ...this.#ownership.claims().map(({ task }) => task)]);
    if (this.#claimed.some((task) => !held.has(task))) this.#rejoinGate.open();
  }

  /** Runs beside everything else, heartbeats and further rebalances included. */
  async #revoke(tasks: readonly OwnedTask[]): Promise<void> {
    const { listener, log } = this.#options;
    const life = this.#life;
    try {
      await listener.revoked(tasks.map(idOf));
    } catch (cause) {
      log.error({ reason: asEscapementError(cause).message }, 'revoking tasks failed');
    }
    if (life !== this.#life || !this.#isOpen) return;
    const returned = this.#ownership.release(tasks);
    if (returned.length > 0) listener.assigned(returned, this.#generation);
    // Our next claims show that the others are free.
    if (returned.length < tasks.length) this.#rejoinGate.open();
  }

  #beatPort(): BeatPort {
    const life = this.#life;
    return {
      requests: this.#requests,
      errors: this.#errors,
      ports: this.#options.ports,
      log: this.#options.log,
      member: async () => {
        await this.#stableGate.wait();
        return { generation: this.#generation, memberId: this.#memberId };
      },
      isCurrent: (generation) => generation === this.#generation,
      ended: () => {
        if (this.#failure !== null) return this.#failure;
        return life === this.#life ? null : this.#errors.lostMeanwhile();
      },
      proven: (sentAt, rebalance) => {
        this.#heartbeats.contact(sentAt);
        if (rebalance === 'in-progress') this.#rejoinGate.open();
      },
      forgotten: () => this.#forgotten('Heartbeat'),
      missed: (generation) => this.#lose(this.#errors.missed(generation)),
      refused: (error) => this.#fail(error),
    };
  }

  /** I5. The session may be over; if it is not, the broker hears of us at once. */
  #stalled(durationMs: number): void {
    const { log, groupId } = this.#options;
    const stalledMs = Math.round(durationMs);
    log.warn({ groupId, stalledMs }, 'the process stood still');
    this.#counts.stalls.add();
    this.#counts.stalledMs.add(stalledMs);
    if (this.#state === 'stable') void this.heartbeat().catch(() => {});
  }

  /** The tasks are gone; the listener is told, then the group is joined anew. Returns the reason. */
  #lose(reason: EscapementError): EscapementError {
    const { listener, log, groupId } = this.#options;
    if (!this.#isOpen) return reason;
    const wasMember = this.#generation >= 0;
    this.#life += 1;
    this.#generation = -1;
    this.#ownership.clear();
    this.#joining.forget();
    this.#heartbeats.rest();
    if (this.#state !== 'joining') this.#enter('lost');
    this.#turns.turnAway(reason);
    this.#membershipGate.turnAway(reason);
    this.#stableGate.turnAway(reason);
    for (const reject of this.#waitingForProof) reject(reason);
    if (wasMember) {
      log.warn({ groupId, reason: reason.message }, 'membership lost');
      this.#counts.lost.add();
      this.#losing = listener.lost(reason).catch((cause: unknown) => {
        log.error({ reason: asEscapementError(cause).message }, 'letting go of lost tasks failed');
      });
    }
    this.#rejoinGate.open();
    return reason;
  }

  #forgotten(request: string): EscapementError {
    this.#memberId = '';
    return this.#lose(this.#errors.forgotten(request));
  }

  #fail(error: EscapementError): EscapementError {
    if (!this.#isOpen) return error;
    const started = this.#joining.isAssigned;
    this.#end('failed', error);
    this.#options.log.error({ code: error.code, reason: error.message }, 'group member failed');
    if (started) this.#options.listener.failed(error);
    return error;
  }

  #end(state: 'stopped' | 'failed', error: EscapementError): void {
    this.#failure = error;
    this.#enter(state);
    for (const reject of this.#waitingForProof) reject(error);
    this.#heartbeats.rest();
    this.#stalls.end();
    for (const gate of [
      this.#turns,
      this.#membershipGate,
      this.#stableGate,
      this.#rejoinGate,
      this.#firstAssignment,
    ]) {
      gate.close(error);
    }
  }

  #enter(state: MemberState): void {
    this.#state = successor(this.#state, state);
  }

  #pause(attempt: number): Promise<void> {
    const { timers, random } = this.#options.ports;
    return timers.sleep(pauseMs(attempt, random.fraction()));
  }
}

function idOf({ id }: OwnedTask): string {
  return id;
}
