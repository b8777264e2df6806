/**
 * What is fetched of one partition and not yet taken. Filled by the poller of its leader, emptied by
 * one task.
 *
 * I1. `position` is the end of the last whole batch that arrived, control and aborted ones included:
 *     base offset + lastOffsetDelta + 1, which moves on over batches that compaction emptied.
 * I2. A feed is part of at most one request at a time, so its chunks are in order without gaps.
 * I3. After an error a feed gets no more chunks; those that arrived before it can still be taken.
 * I4. Chunks without records do not pile up: what waits is bounded by its bytes alone.
 */
import { EscapementError } from '../../errors.ts';
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

/**
 * Where to go on when the position is no longer, or not yet, in the log: at its start, at its end, or
 * nowhere (`fail`).
 */
export type OutOfRange = 'earliest' | 'latest' | 'fail';

/** The position is not in the log, says the leader, or a follower that may itself be behind. */
export function isOutOfRange(error: unknown): error is EscapementError {
  return error instanceof EscapementError && error.code === 'OFFSET_OUT_OF_RANGE';
}

export interface FeedOptions {
  readonly topic: string;
  readonly partition: number;
  /** First offset to fetch. */
  readonly offset: number;
  readonly outOfRange: OutOfRange;
  readonly taken: (feed: Feed, bytes: number) => void;
}

export class Feed implements PartitionFeed {
  readonly topic: string;
  readonly partition: number;
  readonly outOfRange: OutOfRange;
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
  /** Until when the replica that the leader named is read from; -1: the leader itself is. */
  replicaUntil = -1;
  readonly #taken: (feed: Feed, bytes: number) => void;
  #chunks: FetchedRecords[] = [];

  constructor(options: FeedOptions) {
    this.topic = options.topic;
    this.partition = options.partition;
    this.position = options.offset;
    this.outOfRange = options.outOfRange;
    this.#taken = options.taken;
  }

  take(): FetchedRecords | null {
    const chunk = this.#chunks.shift();
    if (chunk === undefined) return null;
    this.bufferedBytes -= chunk.bytes;
    this.#taken(this, chunk.bytes);
    return chunk;
  }

  put(chunk: FetchedRecords): void {
    this.position = chunk.nextOffset;
    const last = this.#chunks.at(-1);
    if (chunk.batches.length === 0 && last !== undefined) {
      this.#chunks[this.#chunks.length - 1] = { ...last, nextOffset: chunk.nextOffset };
      return;
    }
    this.bufferedBytes += chunk.bytes;
    this.#chunks.push(chunk);
  }

  /** Goes on elsewhere; whoever takes chunks hears of it as of a chunk without records. */
  resetTo(offset: number): void {
    this.put({ batches: [], fetchOffset: this.position, nextOffset: offset, bytes: 0, count: 0 });
  }

  end(): void {
    this.state = 'ended';
    this.bufferedBytes = 0;
    this.#chunks = [];
  }
}
