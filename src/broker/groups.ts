/**
 * All groups of the broker: a group of members and its offsets by group id.
 *
 * I1. Offsets outlive members: a group with offsets and no members is Empty, not gone.
 * I2. Offsets expire (rule 24): those of a group without members a retention after the last one
 *     left, those of a group that reads other topics a retention after their commit; pending ones
 *     never. That is found out when somebody looks, so that no timer is needed.
 */
import type { Ports } from '../ports.ts';
import type { BrokerCounts } from './counts.ts';
import { Group } from './group.ts';
import { GroupOffsets } from './offsets.ts';

export interface GroupRecord {
  readonly group: Group;
  readonly offsets: GroupOffsets;
}

export interface GroupsOptions {
  readonly initialRebalanceDelayMs: number;
  readonly offsetsRetentionMs: number;
  readonly counts: BrokerCounts;
}

export class Groups {
  readonly #ports: Ports;
  readonly #options: GroupsOptions;
  readonly #records = new Map<string, GroupRecord>();

  constructor(ports: Ports, options: GroupsOptions) {
    this.#ports = ports;
    this.#options = options;
  }

  find(groupId: string): GroupRecord | undefined {
    const record = this.#records.get(groupId);
    if (record !== undefined) this.#expire(record);
    return this.#records.get(groupId);
  }

  findOrCreate(groupId: string): GroupRecord {
    let record = this.find(groupId);
    if (record === undefined) {
      record = {
        group: new Group(groupId, this.#ports, this.#options),
        offsets: new GroupOffsets(this.#ports.clock),
      };
      this.#records.set(groupId, record);
    }
    return record;
  }

  delete(groupId: string): 'deleted' | 'unknown' | 'occupied' {
    const record = this.find(groupId);
    if (record === undefined) return 'unknown';
    if (record.group.state !== 'Empty') return 'occupied';
    record.group.close();
    this.#records.delete(groupId);
    return 'deleted';
  }

  /** Drops a group that has neither members nor offsets. */
  retire(groupId: string): void {
    const record = this.#records.get(groupId);
    if (record?.group.state !== 'Empty' || !record.offsets.isVacant) return;
    record.group.close();
    this.#records.delete(groupId);
  }

  all(): Group[] {
    for (const record of [...this.#records.values()]) this.#expire(record);
    return [...this.#records.values()].map((record) => record.group);
  }

  forgetTopic(topic: string): void {
    for (const record of this.#records.values()) record.offsets.forgetTopic(topic);
  }

  /** The coordinator of these groups is another node, which has them from its log. */
  moved(belongs: (groupId: string) => boolean): void {
    for (const { group } of this.#records.values()) if (belongs(group.groupId)) group.reload();
  }

  #expire({ group, offsets }: GroupRecord): void {
    const before = this.#ports.clock.now() - this.#options.offsetsRetentionMs;
    const earliest = group.retentionStart(offsets.oldest);
    if (earliest === null || earliest > before) return;
    const isExpired = (topic: string, committedAt: number) => {
      const start = group.isSubscribed(topic) ? null : group.retentionStart(committedAt);
      return start !== null && start <= before;
    };
    // A group that never had an offset stays: there was nothing to expire.
    if (offsets.expire(isExpired) === 'some') this.retire(group.groupId);
  }

  close(): void {
    for (const record of this.#records.values()) record.group.close();
  }
}
