/**
 * Committed offsets of one group, and those that open transactions hold back.
 *
 * Owned by `group-offsets.ts`' table, one per group: it plays the part of the group's records in
 * __consumer_offsets.
 *
 * I1. A transactional commit is pending under its producer id until that producer's marker comes
 *     (rule 13); a commit marker makes it the committed offset, an abort marker drops it.
 * I2. Of two commits the one appended later wins, even when the earlier one becomes visible later:
 *     a pending commit carries the place in the log at which it was written.
 * I3. A producer's epoch never goes back here either.
 */
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import type { Marker } from './batch-header.ts';
import type { MarkerOutcome } from './markers.ts';

export interface CommittedOffset {
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly metadata: string;
  /** Order of append among the commits of this group. */
  readonly place: number;
}

export interface OffsetEntry {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly metadata: string;
}

interface ProducerEntry {
  epoch: number;
  /** Of the newest transaction coordinator heard of (rule 17). */
  coordinatorEpoch: number;
  pending: Map<string, { topic: string; partition: number; committed: CommittedOffset }>;
}

export class GroupOffsets {
  readonly #committed = new Map<string, Map<number, CommittedOffset>>();
  readonly #producers = new Map<number, ProducerEntry>();
  #place = 0;

  commit(entry: OffsetEntry): void {
    this.#store(entry.topic, entry.partition, this.#placed(entry));
  }

  /** Whether this epoch of the producer has offsets pending, so that no verification is due. */
  hasOpenTransaction(producerId: number, epoch: number): boolean {
    const producer = this.#producers.get(producerId);
    return producer !== undefined && producer.epoch === epoch && producer.pending.size > 0;
  }

  checkEpoch(producerId: number, epoch: number): number {
    const producer = this.#producers.get(producerId);
    return producer !== undefined && epoch < producer.epoch
      ? KafkaErrorCode.INVALID_PRODUCER_EPOCH
      : KafkaErrorCode.NONE;
  }

  commitPending(producerId: number, epoch: number, entry: OffsetEntry): void {
    const key = `${entry.topic}/${entry.partition}`;
    this.#producerAt(producerId, epoch).pending.set(key, {
      topic: entry.topic,
      partition: entry.partition,
      committed: this.#placed(entry),
    });
  }

  mark(marker: Marker): MarkerOutcome {
    if (this.checkEpoch(marker.producerId, marker.producerEpoch) !== KafkaErrorCode.NONE) {
      return 'refused';
    }
    const producer = this.#producerAt(marker.producerId, marker.producerEpoch);
    if (marker.coordinatorEpoch < producer.coordinatorEpoch) return 'refused';
    producer.coordinatorEpoch = marker.coordinatorEpoch;
    if (marker.result === 'commit') {
      for (const { topic, partition, committed } of producer.pending.values()) {
        this.#store(topic, partition, committed);
      }
    }
    producer.pending.clear();
    return 'written';
  }

  find(topic: string, partition: number): CommittedOffset | undefined {
    return this.#committed.get(topic)?.get(partition);
  }

  isPending(topic: string, partition: number): boolean {
    const key = `${topic}/${partition}`;
    for (const producer of this.#producers.values()) if (producer.pending.has(key)) return true;
    return false;
  }

  /** Every topic and partition with a committed or a pending offset. */
  partitions(): Map<string, number[]> {
    const all = new Map<string, Set<number>>();
    const note = (topic: string, partition: number) => {
      const partitions = all.get(topic);
      if (partitions === undefined) all.set(topic, new Set([partition]));
      else partitions.add(partition);
    };
    for (const [topic, partitions] of this.#committed) {
      for (const partition of partitions.keys()) note(topic, partition);
    }
    for (const producer of this.#producers.values()) {
      for (const { topic, partition } of producer.pending.values()) note(topic, partition);
    }
    return new Map([...all].map(([topic, set]) => [topic, [...set].sort((a, b) => a - b)]));
  }

  forgetTopic(topic: string): void {
    this.#committed.delete(topic);
    for (const producer of this.#producers.values()) {
      for (const [key, entry] of producer.pending) {
        if (entry.topic === topic) producer.pending.delete(key);
      }
    }
  }

  #placed(entry: OffsetEntry): CommittedOffset {
    this.#place += 1;
    const { offset, leaderEpoch, metadata } = entry;
    return { offset, leaderEpoch, metadata, place: this.#place };
  }

  #store(topic: string, partition: number, committed: CommittedOffset): void {
    let partitions = this.#committed.get(topic);
    if (partitions === undefined) {
      partitions = new Map();
      this.#committed.set(topic, partitions);
    }
    const present = partitions.get(partition);
    if (present === undefined || present.place < committed.place) {
      partitions.set(partition, committed);
    }
  }

  #producerAt(producerId: number, epoch: number): ProducerEntry {
    let producer = this.#producers.get(producerId);
    if (producer === undefined) {
      producer = { epoch, coordinatorEpoch: -1, pending: new Map() };
      this.#producers.set(producerId, producer);
    }
    if (epoch > producer.epoch) producer.epoch = epoch;
    return producer;
  }
}
