/**
 * The sequence numbers of one producer epoch: what lets a partition leader tell a repeated batch
 * from a new one.
 *
 * I1. Each partition counts its records from 0 when the epoch begins, across transactions, and
 *     wraps after 2^31 - 1 to 0 (DefaultRecordBatch.incrementSequence of Kafka).
 * I2. A sequence moves on a definite success only. After a request of unknown fate the whole epoch
 *     is given up: reused, the number would make the leader drop new records as repeated ones.
 */
const SEQUENCES = 2 ** 31;

export function sequenceAfter(sequence: number, records: number): number {
  return (sequence + records) % SEQUENCES;
}

export class PartitionSequence {
  readonly topic: string;
  readonly partition: number;
  /** Of the next record. */
  next = 0;
  /** Node that led the partition last time; -1: unknown. Outlives the epoch. */
  leader = -1;

  constructor(topic: string, partition: number) {
    this.topic = topic;
    this.partition = partition;
  }
}

export class Sequences {
  readonly #topics = new Map<string, (PartitionSequence | undefined)[]>();

  of(topic: string, partition: number): PartitionSequence {
    let partitions = this.#topics.get(topic);
    if (partitions === undefined) {
      partitions = [];
      this.#topics.set(topic, partitions);
    }
    partitions[partition] ??= new PartitionSequence(topic, partition);
    return partitions[partition];
  }

  /** A new epoch begins. */
  restart(): void {
    for (const partitions of this.#topics.values()) {
      for (const sequence of partitions) if (sequence !== undefined) sequence.next = 0;
    }
  }
}
