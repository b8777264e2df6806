/** What a log keeps: batches with their offsets, and the index of aborted transactions. */
import type { BatchHeader } from './batch-header.ts';

export interface StoredBatch {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly bytes: Buffer;
  readonly header: BatchHeader;
  /** Bytes of all batches ever written before this one: differences are sizes. */
  readonly position: number;
  /** Whether Kafka's sparse offset index has an entry here, `index.interval.bytes` after the last. */
  readonly indexed: boolean;
}

export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
  /** Offset of the abort marker. */
  readonly lastOffset: number;
  /** When the marker was written: transactions that end later began at or after it. */
  readonly lastStableOffset: number;
}
