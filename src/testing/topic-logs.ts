/**
 * The topics of a driven topology: what was piped in and what steps committed, by partition.
 *
 * I1. An offset is an index: nothing is compacted, nothing is aborted in here.
 * I2. `order` counts over all partitions, so that whoever reads several inputs reads them in the
 *     order in which they were written, also when it reads them a second time.
 */
import type { SessionStep } from '../kafka/producer/step.ts';
import { type FetchedRecords, parseFetched } from '../kafka/records/parse-fetched.ts';
import type { TopicPartition } from '../kafka/topic-partition.ts';
import { batchBytes, type PlainRecord, recordsOf } from './record-bytes.ts';

export interface LoggedRecord extends TopicPartition, PlainRecord {
  /** The task that wrote it; null: the test. */
  readonly task: string | null;
}

interface Entry {
  readonly record: LoggedRecord;
  readonly order: number;
}

export class TopicLogs {
  readonly #logs = new Map<string, Entry[]>();
  #order = 0;

  append(record: LoggedRecord): void {
    const { topic, partition } = record;
    const key = `${topic}-${partition}`;
    const log = this.#logs.get(key) ?? [];
    this.#logs.set(key, log);
    log.push({ record, order: this.#order });
    this.#order += 1;
  }

  /**
   * The outputs of a step that commits, partition after partition: the order in which the step holds
   * them depends on what its task wrote before.
   */
  appendStep(task: string, { outputs }: SessionStep): void {
    const sorted = [...outputs].sort(
      (one, other) => compare(one.topic, other.topic) || one.partition - other.partition,
    );
    for (const { topic, partition, batches } of sorted) {
      for (const batch of batches) {
        for (const row of recordsOf(batch)) this.append({ ...row, topic, partition, task });
      }
    }
  }

  end({ topic, partition }: TopicPartition): number {
    return this.#logs.get(`${topic}-${partition}`)?.length ?? 0;
  }

  /** When the record at the offset was written, among all; infinity when none was. */
  orderAt({ topic, partition }: TopicPartition, offset: number): number {
    return this.#logs.get(`${topic}-${partition}`)?.[offset]?.order ?? Number.POSITIVE_INFINITY;
  }

  /** The records of a topic in the order in which they were written. */
  records(topic: string): readonly LoggedRecord[] {
    const entries = [...this.#logs.values()].flat().filter(({ record }) => record.topic === topic);
    return entries.sort((one, other) => one.order - other.order).map(({ record }) => record);
  }

  /** What a fetch of so many records from that offset on brings. */
  chunk({ topic, partition }: TopicPartition, offset: number, count: number): FetchedRecords {
    const entries = this.#logs.get(`${topic}-${partition}`) ?? [];
    const records = entries.slice(offset, offset + count).map(({ record }) => record);
    return parseFetched(batchBytes(records, offset), {
      fetchOffset: offset,
      isolation: 'read_committed',
      abortedTransactions: null,
      source: { topic, partition },
    });
  }
}

function compare(one: string, other: string): number {
  return one === other ? 0 : one < other ? -1 : 1;
}
