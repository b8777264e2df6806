/**
 * What is fetched of one partition and not yet taken. Filled by the poller of its leader, emptied by
 * one task.
 *
 * I1. `position` is the end of the last whole batch that arrived, control and aborted ones included:
 *     base offset + lastOffsetDelta + 1, which moves on over batches that compaction emptied.
 * I2. A feed is part of at most one request at a time, so its chunks are in order without gaps.
 * I3. After an error a feed gets no more chunks; those that arrived before it can still be taken.
 */
import type { EscapementError } from '../../errors.ts';
import type { FetchedRecords } from '../records/parse-fetched.ts';

export interface PartitionFeed {
  readonly topic: string;
  readonly partition: number;
  /** Next offset to fetch. */
  readonly position: number;
  /** Not mendable by fetching again; final. */
  readonly error: EscapementError | null;
  /** Of the last answer; -1 before the first. */
  readonly highWatermark: number;
  readonly lastStableOffset: number;
  /** Bytes that wait to be taken. */
  readonly bufferedBytes: number;
  /** The next chunk in order; null when none waits. A chunk may hold no record at all. */
  take(): FetchedRecords | null;
}

export class Feed implements PartitionFeed {
  readonly topic: string;
  readonly partition: number;
  position: number;
  error: EscapementError | null = null;
  highWatermark = -1;
  lastStableOffset = -1;
  bufferedBytes = 0;
  /** `homing`: its leader is being looked up. */
  state: 'homing' | 'idle' | 'asked' | 'ended' = 'homing';
  /** Failures in a row, for the pause before the next attempt. */
  failures = 0;
  /** Where a batch was corrupt; the second time at one place is final. */
  corruptAt = -1;
  #onTaken: (feed: Feed) => void;
  #chunks: FetchedRecords[] = [];

  constructor(topic: string, partition: number, position: number, onTaken: (feed: Feed) => void) {
    this.topic = topic;
    this.partition = partition;
    this.position = position;
    this.#onTaken = onTaken;
  }

  take(): FetchedRecords | null {
    const chunk = this.#chunks.shift();
    if (chunk === undefined) return null;
    this.bufferedBytes -= chunk.bytes;
    this.#onTaken(this);
    return chunk;
  }

  put(chunk: FetchedRecords): void {
    this.position = chunk.nextOffset;
    this.bufferedBytes += chunk.bytes;
    this.#chunks.push(chunk);
  }

  end(): void {
    this.state = 'ended';
    this.bufferedBytes = 0;
    this.#chunks = [];
  }
}
