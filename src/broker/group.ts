/**
 * One consumer group of the classic protocol: members, generations and rebalances (rule 15).
 *
 * Owns the rebalance and the timers of the members, who are in the roster. Called by `groups.ts`,
 * which has found the group; answers through the callbacks it was given, at once or when the
 * rebalance ends.
 *
 *            join                all joined            leader synced
 *   Empty ─────────► Preparing ─────────────► Completing ─────────────► Stable
 *     ▲                 ▲  │                       │                      │
 *     │ nobody joined   │  │                       │ join, leave, expiry  │
 *     └─────────────────┼──┘                       │                      │
 *                       └──────────────────────────┴──────────────────────┘
 *
 * I1. A member waiting for JoinGroup or SyncGroup never times out: the broker holds its answer.
 * I2. The rebalance waits for every member at most the longest rebalance timeout; dynamic members
 *     that did not come are out, static ones stay with their place (KIP-345).
 * I3. A member that took a generation asks for its assignment within the longest rebalance timeout,
 *     also when the group is stable by then; else it is put out.
 * I4. A newcomer with the instance id of a member takes its place and assignment, and whatever the
 *     old member id still waits for or sends is FENCED_INSTANCE_ID.
 */
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import type { Ports, Timer } from '../ports.ts';
import type { BrokerCounts } from './counts.ts';
import {
  type JoinAnswer,
  type JoinRequest,
  joinRefused,
  type Member,
  type MemberView,
  metadataOf,
  NOTHING,
  type SyncAnswer,
  type SyncRequest,
  sameProtocols,
  syncRefused,
  topicsOf,
} from './membership.ts';
import { Roster } from './roster.ts';

export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead';

const CONSUMER_PROTOCOL = 'consumer';
/** A newcomer may wait this long in a rebalance although its session timeout is shorter. */
const NEWCOMER_SESSION_MS = 300_000;

/** What the log of the coordinator has of a group. */
interface WrittenGroup {
  readonly members: readonly Member[];
  readonly leader: string | null;
  readonly generation: number;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
}

export interface GroupOptions {
  readonly initialRebalanceDelayMs: number;
  readonly counts: BrokerCounts;
}

export class Group {
  readonly groupId: string;
  state: GroupState = 'Empty';
  generation = 0;
  protocolType: string | null = null;
  protocolName: string | null = null;
  readonly #ports: Ports;
  readonly #options: GroupOptions;
  readonly #roster = new Roster();
  /** Ids given out by MEMBER_ID_REQUIRED that did not come back yet. */
  readonly #expected = new Map<string, Timer>();
  #rebalance: Timer | null = null;
  #initialDelay: 'running' | 'over' = 'over';
  /** Members that came since the initial delay began; they prolong it. */
  #lateComers: 'some' | 'none' = 'none';
  #pendingSync: Timer | null = null;
  #written: WrittenGroup = {
    members: [],
    leader: null,
    generation: 0,
    protocolType: null,
    protocolName: null,
  };
  /** Members of this generation that did not ask for their assignment yet (I3). */
  #unsynced = new Set<string>();
  /** Topics of the members of this generation, null when they are not known. */
  #subscribed: ReadonlySet<string> | null = null;
  #emptySince: number;

  constructor(groupId: string, ports: Ports, options: GroupOptions) {
    this.groupId = groupId;
    this.#ports = ports;
    this.#options = options;
    this.#emptySince = ports.clock.now();
  }

  /** Whether a member reads the topic, as far as the group can know. */
  isSubscribed(topic: string): boolean {
    return this.#subscribed?.has(topic) ?? this.protocolType === CONSUMER_PROTOCOL;
  }

  /** When the retention of a committed offset begins; null while the group keeps all (rule 24). */
  retentionStart(committedAt: number): number | null {
    if (this.protocolType === null) return committedAt;
    if (this.state === 'Empty') return this.#emptySince;
    return this.state === 'Stable' && this.#subscribed !== null ? committedAt : null;
  }

  members(): MemberView[] {
    return this.#roster.members.map((member) => ({
      memberId: member.memberId,
      instanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      metadata: metadataOf(member, this.protocolName),
      assignment: member.assignment,
    }));
  }

  join(request: JoinRequest): void {
    const errorCode = this.#checkJoin(request);
    const member = this.#roster.find(request.memberId);
    const expected = this.#expected.get(request.memberId);
    if (errorCode !== KafkaErrorCode.NONE) {
      request.answer(joinRefused(errorCode, request.memberId));
    } else if (request.memberId === '') {
      this.#joinNewcomer(request);
    } else if (expected !== undefined) {
      expected.cancel();
      this.#expected.delete(request.memberId);
      this.#addMember(request.memberId, request);
    } else if (member === undefined) {
      request.answer(joinRefused(KafkaErrorCode.UNKNOWN_MEMBER_ID, request.memberId));
    } else {
      this.#joinMember(member, request);
    }
  }

  sync(request: SyncRequest): void {
    const errorCode = this.#checkSync(request);
    const member = this.#roster.find(request.memberId);
    if (errorCode !== KafkaErrorCode.NONE || member === undefined) {
      request.answer(syncRefused(errorCode));
      return;
    }
    this.#touch(member);
    if (this.state !== 'CompletingRebalance') {
      this.#unsynced.delete(member.memberId);
      request.answer(this.#syncAnswer(member));
      return;
    }
    member.sync?.(syncRefused(KafkaErrorCode.REBALANCE_IN_PROGRESS));
    member.sync = request.answer;
    this.#unsynced.delete(member.memberId);
    if (member.memberId === this.#roster.leader) this.#assign(request);
  }

  /** A commit shows that a member lives, except while the group waits for its leader. */
  committed(memberId: string): void {
    const member = this.#roster.find(memberId);
    if (member !== undefined && this.state !== 'CompletingRebalance') this.#touch(member);
  }

  heartbeat(memberId: string, instanceId: string | null, generation: number): number {
    const errorCode = this.check(memberId, instanceId, generation);
    if (errorCode !== KafkaErrorCode.NONE) return errorCode;
    this.#touch(this.#roster.find(memberId)!);
    return this.state === 'PreparingRebalance'
      ? KafkaErrorCode.REBALANCE_IN_PROGRESS
      : KafkaErrorCode.NONE;
  }

  leave(memberId: string, instanceId: string | null): number {
    if (instanceId !== null) {
      const current = this.#roster.ofInstance(instanceId);
      if (current === undefined) return KafkaErrorCode.UNKNOWN_MEMBER_ID;
      if (memberId !== '' && memberId !== current.memberId) {
        return KafkaErrorCode.FENCED_INSTANCE_ID;
      }
      this.#remove(current);
      return KafkaErrorCode.NONE;
    }
    const expected = this.#expected.get(memberId);
    if (expected !== undefined) {
      this.#dropExpected(memberId);
      return KafkaErrorCode.NONE;
    }
    const member = this.#roster.find(memberId);
    if (member === undefined) return KafkaErrorCode.UNKNOWN_MEMBER_ID;
    this.#remove(member);
    return KafkaErrorCode.NONE;
  }

  /** Whether the caller is a member of this generation; the error code if not. */
  check(memberId: string, instanceId: string | null, generation: number): number {
    const fenced = this.#roster.checkInstance(memberId, instanceId);
    if (fenced !== KafkaErrorCode.NONE) return fenced;
    if (this.#roster.find(memberId) === undefined) return KafkaErrorCode.UNKNOWN_MEMBER_ID;
    return generation === this.generation ? KafkaErrorCode.NONE : KafkaErrorCode.ILLEGAL_GENERATION;
  }

  close(): void {
    this.state = 'Dead';
    this.#clear();
  }

  /**
   * Another node coordinates the group now (rule 17): whoever waits is told so, and the group is
   * what was last written to its log, the generation that was last assigned. Sessions start again.
   */
  reload(): void {
    for (const member of this.#roster.members) {
      member.join?.(joinRefused(KafkaErrorCode.NOT_COORDINATOR, member.memberId));
      member.sync?.(syncRefused(KafkaErrorCode.NOT_COORDINATOR));
    }
    this.#clear();
    const { members, leader, generation, protocolType, protocolName } = this.#written;
    this.state = members.length === 0 ? 'Empty' : 'Stable';
    this.generation = generation;
    this.protocolType = protocolType;
    this.protocolName = protocolName;
    for (const written of members) {
      const member: Member = { ...written };
      this.#roster.add(member);
      this.#touch(member);
    }
    this.#roster.leader = leader;
    this.#subscribed = this.#subscriptionsOf();
  }

  #clear(): void {
    this.#rebalance?.cancel();
    this.#pendingSync?.cancel();
    this.#rebalance = null;
    this.#pendingSync = null;
    this.#unsynced.clear();
    for (const timer of this.#expected.values()) timer.cancel();
    for (const member of this.#roster.members) member.session?.cancel();
    this.#roster.clear();
    this.#expected.clear();
  }

  /** As Kafka writes a group: when it is assigned, when a static member is replaced, when empty. */
  #write(): void {
    this.#written = {
      members: this.#roster.members.map((member) => ({
        ...member,
        join: null,
        sync: null,
        session: null,
      })),
      leader: this.#roster.leader,
      generation: this.generation,
      protocolType: this.protocolType,
      protocolName: this.protocolName,
    };
  }

  #checkJoin(request: JoinRequest): number {
    if (this.state === 'Dead') return KafkaErrorCode.COORDINATOR_NOT_AVAILABLE;
    if (!this.#accepts(request)) return KafkaErrorCode.INCONSISTENT_GROUP_PROTOCOL;
    return request.memberId === ''
      ? KafkaErrorCode.NONE
      : this.#roster.checkInstance(request.memberId, request.instanceId);
  }

  #checkSync(request: SyncRequest): number {
    const { memberId, instanceId, generation, protocolType, protocolName } = request;
    const errorCode = this.check(memberId, instanceId, generation);
    if (errorCode !== KafkaErrorCode.NONE) return errorCode;
    if (
      (protocolType !== null && protocolType !== this.protocolType) ||
      (protocolName !== null && protocolName !== this.protocolName)
    ) {
      return KafkaErrorCode.INCONSISTENT_GROUP_PROTOCOL;
    }
    return this.state === 'PreparingRebalance'
      ? KafkaErrorCode.REBALANCE_IN_PROGRESS
      : KafkaErrorCode.NONE;
  }

  /** One protocol type, and a protocol that everybody speaks. */
  #accepts(request: JoinRequest): boolean {
    if (request.protocolType === '' || request.protocols.length === 0) return false;
    if (this.#roster.size === 0) return true;
    return request.protocolType === this.protocolType && this.#roster.shares(request.protocols);
  }

  #joinNewcomer(request: JoinRequest): void {
    const { instanceId, clientId } = request;
    const unique = this.#ports.random.bytes(16).toString('hex');
    const memberId = `${instanceId ?? clientId}-${unique}`;
    const replaced = instanceId === null ? undefined : this.#roster.ofInstance(instanceId);
    if (replaced !== undefined) {
      this.#replace(replaced, memberId, request);
    } else if (instanceId !== null || request.newcomer === 'let-in') {
      this.#addMember(memberId, request);
    } else {
      const timer = this.#ports.timers.after(request.sessionTimeoutMs, () =>
        this.#dropExpected(memberId),
      );
      this.#expected.set(memberId, timer);
      request.answer(joinRefused(KafkaErrorCode.MEMBER_ID_REQUIRED, memberId));
    }
  }

  /** I4: the instance came again, most likely after a restart. */
  #replace(member: Member, memberId: string, request: JoinRequest): void {
    const oldId = member.memberId;
    const oldLeader = this.#roster.leader;
    member.join?.(joinRefused(KafkaErrorCode.FENCED_INSTANCE_ID, oldId));
    member.sync?.(syncRefused(KafkaErrorCode.FENCED_INSTANCE_ID));
    member.join = null;
    member.sync = null;
    this.#roster.rename(member, memberId);
    if (this.#unsynced.delete(oldId)) this.#unsynced.add(memberId);
    this.#update(member, request);
    if (this.state === 'Stable' && this.#roster.selectProtocol() === this.protocolName) {
      // No rebalance: SyncGroup gives the old assignment back. Before v9 the answer names the old
      // leader, so that the newcomer does not assign on top of a generation that stands.
      this.#touch(member);
      this.#write();
      const { leader } = this.#roster;
      const isLeader = leader === memberId;
      const known = request.skipAssignment === 'known';
      request.answer({
        errorCode: KafkaErrorCode.NONE,
        generation: this.generation,
        protocolType: this.protocolType,
        protocolName: this.protocolName,
        leader: (known ? leader : oldLeader) ?? '',
        skipAssignment: known && isLeader,
        memberId,
        members: known && isLeader ? this.#subscriptions() : [],
      });
      return;
    }
    member.join = request.answer;
    this.#prepare();
  }

  #addMember(memberId: string, request: JoinRequest): void {
    const member: Member = {
      memberId,
      instanceId: request.instanceId,
      clientId: '',
      clientHost: '',
      sessionTimeoutMs: 0,
      rebalanceTimeoutMs: 0,
      protocols: [],
      assignment: NOTHING,
      join: request.answer,
      sync: null,
      session: null,
    };
    if (this.#roster.size === 0) this.protocolType = request.protocolType;
    this.#roster.add(member);
    this.#lateComers = 'some';
    this.#update(member, request);
    member.session?.cancel();
    member.session = this.#ports.timers.after(NEWCOMER_SESSION_MS, () => this.#remove(member));
    this.#prepare();
  }

  #joinMember(member: Member, request: JoinRequest): void {
    const same = sameProtocols(member.protocols, request.protocols);
    const isLeader = member.memberId === this.#roster.leader;
    // The answer to an earlier JoinGroup was lost, or a follower checks in: nothing changes.
    const nothingNew =
      same && (this.state === 'CompletingRebalance' || (this.state === 'Stable' && !isLeader));
    if (this.state === 'Empty') {
      request.answer(joinRefused(KafkaErrorCode.UNKNOWN_MEMBER_ID, member.memberId));
      return;
    }
    this.#update(member, request);
    if (nothingNew) {
      this.#touch(member);
      request.answer(this.#joinAnswer(member));
      return;
    }
    member.join?.(joinRefused(KafkaErrorCode.REBALANCE_IN_PROGRESS, member.memberId));
    member.join = request.answer;
    this.#prepare();
  }

  #update(member: Member, request: JoinRequest): void {
    member.clientId = request.clientId;
    member.clientHost = request.clientHost;
    member.sessionTimeoutMs = request.sessionTimeoutMs;
    member.rebalanceTimeoutMs = request.rebalanceTimeoutMs;
    // The metadata outlives the request it came in.
    member.protocols = request.protocols.map(({ name, metadata }) => ({
      name,
      metadata: Buffer.from(metadata),
    }));
  }

  /** A member has shown that it lives: its session starts again. */
  #touch(member: Member): void {
    member.session?.cancel();
    member.session = this.#ports.timers.after(member.sessionTimeoutMs, () => {
      if (member.join !== null || member.sync !== null) this.#touch(member);
      else {
        this.#options.counts.sessionTimeouts += 1;
        this.#remove(member);
      }
    });
  }

  #remove(member: Member): void {
    member.session?.cancel();
    member.join?.(joinRefused(KafkaErrorCode.UNKNOWN_MEMBER_ID, member.memberId));
    member.sync?.(syncRefused(KafkaErrorCode.UNKNOWN_MEMBER_ID));
    this.#forget(member);
    if (this.state === 'Stable' || this.state === 'CompletingRebalance') this.#prepare();
    else if (this.state === 'PreparingRebalance') this.#tryComplete();
  }

  #forget(member: Member): void {
    this.#roster.remove(member);
    this.#unsynced.delete(member.memberId);
  }

  #dropExpected(memberId: string): void {
    this.#expected.get(memberId)?.cancel();
    this.#expected.delete(memberId);
    if (this.state === 'PreparingRebalance') this.#tryComplete();
  }

  #prepare(): void {
    if (this.state === 'PreparingRebalance') {
      this.#tryComplete();
      return;
    }
    this.#pendingSync?.cancel();
    this.#pendingSync = null;
    this.#unsynced.clear();
    if (this.state === 'CompletingRebalance') {
      for (const member of this.#roster.members) {
        member.assignment = NOTHING;
        this.#answerSync(member, syncRefused(KafkaErrorCode.REBALANCE_IN_PROGRESS));
      }
    }
    const fromEmpty = this.state === 'Empty';
    this.state = 'PreparingRebalance';
    this.#initialDelay =
      fromEmpty && this.#options.initialRebalanceDelayMs > 0 ? 'running' : 'over';
    if (this.#initialDelay === 'running') {
      const delayMs = this.#options.initialRebalanceDelayMs;
      this.#lateComers = 'none';
      this.#awaitFirst(delayMs, Math.max(this.#roster.longestRebalanceMs() - delayMs, 0));
      return;
    }
    this.#awaitMembers();
    this.#tryComplete();
  }

  /**
   * Gives the other members of a fresh group time to come, so that it rebalances once; as long as
   * some come it waits on, up to the rebalance timeout (KIP-134).
   */
  #awaitFirst(delayMs: number, leftMs: number): void {
    this.#rebalance = this.#ports.timers.after(delayMs, () => {
      if (this.#lateComers === 'some' && leftMs > 0) {
        this.#lateComers = 'none';
        const nextMs = Math.min(this.#options.initialRebalanceDelayMs, leftMs);
        this.#awaitFirst(nextMs, Math.max(leftMs - delayMs, 0));
        return;
      }
      this.#initialDelay = 'over';
      this.#complete();
    });
  }

  #awaitMembers(): void {
    this.#rebalance = this.#ports.timers.after(this.#roster.longestRebalanceMs(), () =>
      this.#complete(),
    );
  }

  #subscriptionsOf(): ReadonlySet<string> | null {
    return this.protocolType === CONSUMER_PROTOCOL ? topicsOf(this.#roster.members) : null;
  }

  #tryComplete(): void {
    if (this.#initialDelay === 'running' || this.#expected.size > 0) return;
    if (this.#roster.haveAllJoined()) this.#complete();
  }

  /** Ends the join phase with whoever came (I2). */
  #complete(): void {
    this.#rebalance?.cancel();
    this.#rebalance = null;
    for (const member of this.#roster.members) {
      if (member.join !== null || member.instanceId !== null) continue;
      member.session?.cancel();
      this.#forget(member);
    }
    if (this.#roster.size > 0) {
      const joined = this.#roster.members.filter(({ join }) => join !== null);
      const [first] = joined;
      if (first === undefined) {
        this.#awaitMembers();
        return;
      }
      if (!joined.some(({ memberId }) => memberId === this.#roster.leader)) {
        this.#roster.leader = first.memberId;
      }
    }
    this.generation += 1;
    this.#subscribed = this.#subscriptionsOf();
    if (this.#roster.size === 0) {
      this.state = 'Empty';
      this.#emptySince = this.#ports.clock.now();
      this.protocolName = null;
      this.#write();
      return;
    }
    this.protocolName = this.#roster.selectProtocol();
    this.state = 'CompletingRebalance';
    for (const member of this.#roster.members) {
      const answer = member.join;
      member.join = null;
      this.#touch(member);
      answer?.(this.#joinAnswer(member));
    }
    this.#awaitSync();
  }

  #awaitSync(): void {
    this.#unsynced = new Set(this.#roster.ids);
    this.#pendingSync?.cancel();
    this.#pendingSync = this.#ports.timers.after(this.#roster.longestRebalanceMs(), () => {
      const silent = [...this.#unsynced].map((memberId) => this.#roster.find(memberId)!);
      for (const member of silent) {
        member.session?.cancel();
        this.#forget(member);
      }
      if (silent.length > 0) this.#prepare();
    });
  }

  #assign(request: SyncRequest): void {
    const given = new Map(request.assignments.map((each) => [each.memberId, each.assignment]));
    this.state = 'Stable';
    for (const member of this.#roster.members) {
      member.assignment = Buffer.from(given.get(member.memberId) ?? NOTHING);
    }
    this.#write();
    for (const member of this.#roster.members) {
      if (member.sync === null) continue;
      this.#touch(member);
      this.#answerSync(member, this.#syncAnswer(member));
    }
  }

  #answerSync(member: Member, answer: SyncAnswer): void {
    const waiting = member.sync;
    member.sync = null;
    waiting?.(answer);
  }

  #subscriptions(): JoinAnswer['members'] {
    return this.#roster.members.map((member) => ({
      memberId: member.memberId,
      instanceId: member.instanceId,
      metadata: metadataOf(member, this.protocolName),
    }));
  }

  #joinAnswer(member: Member): JoinAnswer {
    return {
      errorCode: KafkaErrorCode.NONE,
      generation: this.generation,
      protocolType: this.protocolType,
      protocolName: this.protocolName,
      leader: this.#roster.leader ?? '',
      skipAssignment: false,
      memberId: member.memberId,
      members:
        member.memberId === this.#roster.leader && this.state !== 'Stable'
          ? this.#subscriptions()
          : [],
    };
  }

  #syncAnswer(member: Member): SyncAnswer {
    return {
      errorCode: KafkaErrorCode.NONE,
      protocolType: this.protocolType,
      protocolName: this.protocolName,
      assignment: member.assignment,
    };
  }
}
