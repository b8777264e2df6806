/**
 * All groups of the broker: a group of members and its offsets by group id.
 *
 * I1. Offsets outlive members: a group with offsets and no members is Empty, not gone.
 */
import type { Ports } from '../ports.ts';
import { Group } from './group.ts';
import { GroupOffsets } from './offsets.ts';

export interface GroupRecord {
  readonly group: Group;
  readonly offsets: GroupOffsets;
}

export class Groups {
  readonly #ports: Ports;
  readonly #initialRebalanceDelayMs: number;
  readonly #records = new Map<string, GroupRecord>();

  constructor(ports: Ports, initialRebalanceDelayMs: number) {
    this.#ports = ports;
    this.#initialRebalanceDelayMs = initialRebalanceDelayMs;
  }

  find(groupId: string): GroupRecord | undefined {
    return this.#records.get(groupId);
  }

  findOrCreate(groupId: string): GroupRecord {
    let record = this.#records.get(groupId);
    if (record === undefined) {
      record = {
        group: new Group(groupId, this.#ports, this.#initialRebalanceDelayMs),
        offsets: new GroupOffsets(),
      };
      this.#records.set(groupId, record);
    }
    return record;
  }

  delete(groupId: string): 'deleted' | 'unknown' | 'occupied' {
    const record = this.#records.get(groupId);
    if (record === undefined) return 'unknown';
    if (!record.group.isVacant) return 'occupied';
    record.group.close();
    this.#records.delete(groupId);
    return 'deleted';
  }

  all(): Group[] {
    return [...this.#records.values()].map((record) => record.group);
  }

  forgetTopic(topic: string): void {
    for (const record of this.#records.values()) record.offsets.forgetTopic(topic);
  }

  /** The coordinator of these groups is another node, which has them from its log. */
  moved(belongs: (groupId: string) => boolean): void {
    for (const { group } of this.#records.values()) if (belongs(group.groupId)) group.reload();
  }

  close(): void {
    for (const record of this.#records.values()) record.group.close();
  }
}
