/**
 * How a member comes into a generation: JoinGroup and SyncGroup, and what their answers say.
 *
 * Owned by `member.ts`, which calls `join` and `sync` round after round and does what the verdicts
 * mean for the membership. Keeps what a static member inherits from the process before it.
 *
 * I1. A static member that comes back gets, without a rebalance, what was given to it before: to the
 *     process before it, or to itself before it was lost. That cannot stand when it was given to
 *     somebody who looked otherwise (another topology, host or schemas), or took tasks away of which
 *     nobody heard that they were let go: they would be nobody's until the next rebalance. So the
 *     member forces one, and claims what it was given.
 * I2. A JoinGroup without a member id makes its sender the holder of the instance id, whenever the
 *     broker reads it. One whose answer was lost may be read after the next one, and then fences the
 *     member that has sent both. So until a member that lost such an answer has its tasks, being
 *     fenced is once no proof of another process, and it joins again. Should there be another one,
 *     that one is fenced: of the two exactly one goes on, as ever.
 */
import { asEscapementError } from '../../errors.ts';
import type { Ports } from '../../ports.ts';
import type { Log } from '../../telemetry/log.ts';
import { KafkaErrorCode } from '../protocol/error-codes.ts';
import { assignedIn, assignmentsFor, subscriptionOf } from './assignment-round.ts';
import type { GroupRequests, Joined } from './group-requests.ts';
import type { MemberErrors } from './member-errors.ts';
import type { AssignmentData, Claim, MemberProfile } from './member-words.ts';
import { canRun, profileHash, profileOf, type TaskPlan } from './profile.ts';

export interface JoiningOptions {
  readonly groupId: string;
  /** Static membership: `group.instance.id`. */
  readonly instanceId: string | null;
  /** Every input topic, repartition topics included, or the broker expires their offsets. */
  readonly topics: readonly string[];
  /** All tasks of the application, asked before each JoinGroup. */
  readonly tasks: () => Promise<readonly TaskPlan[]>;
  /** Of the topology. */
  readonly fingerprint: string;
  /** `host:port` of this process, told to all members; null: none. */
  readonly host: string | null;
  /** The id of the schema that is written, by subject; asked before each JoinGroup. */
  readonly schemas: () => ReadonlyMap<string, number>;
  readonly ports: Ports;
  readonly log: Log;
}

export interface JoiningParts extends JoiningOptions {
  readonly requests: GroupRequests;
  readonly errors: MemberErrors;
}

/** Who asks to join. */
export interface Candidate {
  readonly memberId: string;
  /** -1 while not a member. */
  readonly generation: number;
  /** Asked when all else is known. */
  readonly claims: () => readonly Claim[];
}

export type JoinVerdict =
  /** `claimed`: tasks that the leader is told we run. */
  | { readonly kind: 'joined'; readonly joined: Joined; readonly claimed: readonly string[] }
  /** KIP-394: the broker remembers the id before it lets a newcomer in. */
  | { readonly kind: 'named'; readonly memberId: string }
  | { readonly kind: 'forgotten' };

export type SyncVerdict =
  | { readonly kind: 'assigned'; readonly given: AssignmentData | null; readonly sentAt: number }
  /** I1. */
  | { readonly kind: 'inherited' }
  | { readonly kind: 'rebalance' }
  | { readonly kind: 'missed' }
  | { readonly kind: 'forgotten' };

export class Joining {
  readonly #parts: JoiningParts;
  #plans: readonly TaskPlan[] = [];
  #profile: MemberProfile | null = null;
  /** Of the first assignment since we are a member: one that may be inherited is not taken (I1). */
  #first: 'awaited' | 'forced' | 'taken' = 'awaited';
  #inherited: readonly Claim[] = [];
  #isAssigned = false;
  /** I2. */
  #mayFenceItself = false;

  constructor(parts: JoiningParts) {
    this.#parts = parts;
  }

  /** Whether an assignment was ever taken. */
  get isAssigned(): boolean {
    return this.#isAssigned;
  }

  /** Rejects with passing errors and with those that end the member. */
  async join({ memberId, generation, claims }: Candidate): Promise<JoinVerdict> {
    const { topics, tasks, host, fingerprint, schemas, requests, errors } = this.#parts;
    const plans = await tasks();
    const profile = profileOf(plans, { host, fingerprint, schemas: schemas() });
    this.#plans = plans;
    this.#profile = profile;
    const known = this.#first === 'forced' ? this.#inherited : claims();
    const metadata = subscriptionOf({ topics, plans, profile, claims: known, generation });
    const joined = await requests.join(memberId, metadata).catch((cause: unknown) => {
      const isLost = asEscapementError(cause).code === 'REQUEST_FATE_UNKNOWN';
      if (isLost && memberId === '') this.#mayFenceItself = true;
      throw cause;
    });
    if (this.#hasFencedItself(joined.errorCode)) return { kind: 'forgotten' };
    switch (joined.errorCode) {
      case KafkaErrorCode.NONE:
        return { kind: 'joined', joined, claimed: known.map(({ task }) => task) };
      case KafkaErrorCode.MEMBER_ID_REQUIRED:
        return { kind: 'named', memberId: joined.memberId };
      case KafkaErrorCode.UNKNOWN_MEMBER_ID:
        return { kind: 'forgotten' };
      default:
        throw errors.refusal(joined.errorCode, 'JoinGroup');
    }
  }

  /** Assigns the tasks, if that is ours to do, and gets our own. Rejects as `join` does. */
  async sync({ generation, memberId, members }: Joined): Promise<SyncVerdict> {
    const { log, ports, requests, errors } = this.#parts;
    const assignments = members === null ? [] : assignmentsFor(members, this.#plans, log);
    const sentAt = ports.clock.monotonic();
    const answer = await requests.sync(generation, memberId, assignments);
    if (this.#hasFencedItself(answer.errorCode)) return { kind: 'forgotten' };
    switch (answer.errorCode) {
      case KafkaErrorCode.NONE:
        break;
      case KafkaErrorCode.REBALANCE_IN_PROGRESS:
        return { kind: 'rebalance' };
      case KafkaErrorCode.UNKNOWN_MEMBER_ID:
        return { kind: 'forgotten' };
      case KafkaErrorCode.ILLEGAL_GENERATION:
        return { kind: 'missed' };
      default:
        throw errors.refusal(answer.errorCode, 'SyncGroup');
    }
    const given = assignedIn(answer.assignment);
    if (given !== null && this.#isInherited(given)) return this.#inherit(given, generation);
    if (given !== null) await this.#check(given, memberId);
    this.#first = 'taken';
    this.#mayFenceItself = false;
    this.#isAssigned = true;
    this.#inherited = [];
    return { kind: 'assigned', given, sentAt };
  }

  /** The membership is lost: nothing is claimed, and the next assignment is a first one again. */
  forget(): void {
    this.#first = 'awaited';
    this.#inherited = [];
  }

  /** I2. */
  #hasFencedItself(errorCode: number): boolean {
    if (errorCode !== KafkaErrorCode.FENCED_INSTANCE_ID || !this.#mayFenceItself) return false;
    this.#mayFenceItself = false;
    const { log, groupId, instanceId } = this.#parts;
    log.warn(
      { groupId, instanceId },
      'fenced, maybe by an own request that was late: joining again',
    );
    return true;
  }

  #isInherited(given: AssignmentData): boolean {
    if (this.#first !== 'awaited' || this.#parts.instanceId === null) return false;
    return given.profile !== profileHash(this.#profile!) || given.revoked > 0;
  }

  #inherit({ tasks }: AssignmentData, generation: number): SyncVerdict {
    const { log, groupId } = this.#parts;
    this.#first = 'forced';
    this.#inherited = tasks
      .filter(canRun(this.#profile!))
      .map((task) => ({ task, generation, since: generation }));
    // Our metadata has another generation by now, which the broker does not let pass (KIP-345).
    log.info({ groupId, tasks }, 'assignment of before: forcing a rebalance');
    return { kind: 'inherited' };
  }

  /** Throws `TOPOLOGY_INVALID`. */
  async #check({ refusal, tasks }: AssignmentData, memberId: string): Promise<void> {
    const { requests, errors } = this.#parts;
    if (refusal !== null) {
      // We hold nothing, and nobody should wait for our session to end.
      await requests.leave(memberId, 'group').catch(() => {});
      throw errors.otherTopology(refusal);
    }
    const known = canRun(this.#profile!);
    const foreign = tasks.filter((task) => !known(task));
    if (foreign.length === 0) return;
    throw errors.otherTopology(
      `this instance was given the tasks ${foreign.join(', ')}, which its own does not have`,
    );
  }
}
