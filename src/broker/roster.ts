/**
 * Who is in a group: its members in the order in which they came, their instance ids, its leader.
 *
 * `group.ts` owns it and decides who comes and goes; no state of a rebalance is known here.
 *
 * I1. The leader is a member, or null while there is none: when it goes, the oldest one takes over.
 * I2. An instance id names one member.
 */
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import { type GroupProtocol, type Member, selectProtocol, speaks } from './membership.ts';

export class Roster {
  leader: string | null = null;
  readonly #members = new Map<string, Member>();
  readonly #instances = new Map<string, string>();

  get size(): number {
    return this.#members.size;
  }

  /** In their order; they may go while the list is walked. */
  get members(): Member[] {
    return [...this.#members.values()];
  }

  get ids(): string[] {
    return [...this.#members.keys()];
  }

  find(memberId: string): Member | undefined {
    return this.#members.get(memberId);
  }

  /** The member that has the instance id. */
  ofInstance(instanceId: string): Member | undefined {
    const memberId = this.#instances.get(instanceId);
    return memberId === undefined ? undefined : this.#members.get(memberId);
  }

  /** Whether the caller is who its instance id names; the error code if not. */
  checkInstance(memberId: string, instanceId: string | null): number {
    if (instanceId === null) return KafkaErrorCode.NONE;
    const current = this.#instances.get(instanceId);
    if (current === undefined) return KafkaErrorCode.UNKNOWN_MEMBER_ID;
    return current === memberId ? KafkaErrorCode.NONE : KafkaErrorCode.FENCED_INSTANCE_ID;
  }

  add(member: Member): void {
    this.#members.set(member.memberId, member);
    if (member.instanceId !== null) this.#instances.set(member.instanceId, member.memberId);
    this.leader ??= member.memberId;
  }

  /** Its place, its instance and whether it leads stay. */
  rename(member: Member, memberId: string): void {
    const oldId = member.memberId;
    const members = this.members;
    member.memberId = memberId;
    this.#members.clear();
    for (const each of members) this.#members.set(each.memberId, each);
    if (member.instanceId !== null) this.#instances.set(member.instanceId, memberId);
    if (this.leader === oldId) this.leader = memberId;
  }

  remove(member: Member): void {
    this.#members.delete(member.memberId);
    if (member.instanceId !== null) this.#instances.delete(member.instanceId);
    if (this.leader === member.memberId) this.leader = this.#members.keys().next().value ?? null;
  }

  clear(): void {
    this.#members.clear();
    this.#instances.clear();
    this.leader = null;
  }

  /** Whether one of the protocols is spoken by everybody. */
  shares(protocols: readonly GroupProtocol[]): boolean {
    const members = this.members;
    return protocols.some(({ name }) => members.every((member) => speaks(member.protocols, name)));
  }

  selectProtocol(): string {
    return selectProtocol(this.members);
  }

  longestRebalanceMs(): number {
    return Math.max(0, ...this.members.map(({ rebalanceTimeoutMs }) => rebalanceTimeoutMs));
  }

  haveAllJoined(): boolean {
    return this.members.every(({ join }) => join !== null);
  }
}
