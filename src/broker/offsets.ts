/**
 * Committed offsets of one group, and those that open transactions hold back.
 *
 * Owned by `groups.ts`, one per group: it plays the part of the group's records in
 * __consumer_offsets.
 *
 * I1. A transactional commit is pending under its producer id until that producer's marker comes
 *     (rule 13); a commit marker makes it the committed offset, an abort marker drops it.
 * I2. Of two commits the one appended later wins, even when the earlier one becomes visible later:
 *     a pending commit carries the place in the log at which it was written.
 * I3. A producer's epoch never goes back here either.
 */
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import type { Clock } from '../ports.ts';
import type { Marker } from './batch-header.ts';
import type { MarkerOutcome } from './markers.ts';
import type { MarkerEpochs } from './producer-state.ts';
import { EPOCH_MAX } from './transaction-state.ts';

export interface CommittedOffset {
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly metadata: string;
  /** Order of append among the commits of this group. */
  readonly place: number;
  /** When it was written, in milliseconds. */
  readonly committedAt: number;
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
  readonly #clock: Clock;
  #place = 0;
  /** No committed offset is older, epoch milliseconds. */
  #oldest = Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Nothing committed, nothing pending. */
  get isVacant(): boolean {
    if (this.#committed.size > 0) return false;
    return [...this.#producers.values()].every((producer) => producer.pending.size === 0);
  }

  /** A time at or before which every committed offset was written; spares looking at each. */
  get oldest(): number {
    return this.#oldest;
  }

  commit(entry: OffsetEntry): void {
    this.#store(entry.topic, entry.partition, this.#placed(entry));
  }

  /** Whether this epoch of the producer has offsets pending, so that no verification is due. */
  hasOpenTransaction(producerId: number, epoch: number | 'any'): boolean {
    const producer = this.#producers.get(producerId);
    if (producer === undefined || producer.pending.size === 0) return false;
    return epoch === 'any' || producer.epoch === epoch;
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

  /** By the rules of markers in any partition: see `ProducerState.checkMarker`. */
  mark(marker: Marker, epochs: MarkerEpochs): MarkerOutcome {
    const { producerId, producerEpoch } = marker;
    if (this.checkEpoch(producerId, producerEpoch) !== KafkaErrorCode.NONE) return 'refused';
    const isSame = this.#producers.get(producerId)?.epoch === producerEpoch;
    const isRepeat = !this.hasOpenTransaction(producerId, 'any') || producerEpoch === EPOCH_MAX;
    const mustBeNewer = marker.rules === 'v2' && epochs === 'newer';
    if (mustBeNewer && isSame && !isRepeat) return 'refused';
    const producer = this.#producerAt(producerId, producerEpoch);
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

  /** Every topic and partition with a committed offset. */
  partitions(): Map<string, number[]> {
    return new Map(
      [...this.#committed].map(([topic, partitions]) => [
        topic,
        [...partitions.keys()].sort((a, b) => a - b),
      ]),
    );
  }

  /** Drops an offset, a pending one as well. */
  delete(topic: string, partition: number): void {
    for (const producer of this.#producers.values()) {
      producer.pending.delete(`${topic}/${partition}`);
    }
    this.#drop(topic, partition);
  }

  /** Drops what `isExpired` names unless a transaction holds it; answers whether any was dropped. */
  expire(isExpired: (topic: string, committedAt: number) => boolean): 'some' | 'none' {
    let dropped: 'some' | 'none' = 'none';
    this.#oldest = Infinity;
    for (const [topic, partitions] of this.#committed) {
      for (const [partition, { committedAt }] of partitions) {
        if (isExpired(topic, committedAt) && !this.isPending(topic, partition)) {
          this.#drop(topic, partition);
          dropped = 'some';
        } else {
          this.#oldest = Math.min(this.#oldest, committedAt);
        }
      }
    }
    return dropped;
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
    const committedAt = this.#clock.now();
    return { offset, leaderEpoch, metadata, place: this.#place, committedAt };
  }

  #drop(topic: string, partition: number): void {
    const partitions = this.#committed.get(topic);
    partitions?.delete(partition);
    if (partitions?.size === 0) this.#committed.delete(topic);
  }

  #store(topic: string, partition: number, committed: CommittedOffset): void {
    this.#oldest = Math.min(this.#oldest, committed.committedAt);
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
