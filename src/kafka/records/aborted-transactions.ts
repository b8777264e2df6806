/**
 * Which producers' data is that of an aborted transaction, while batches are passed in offset order.
 *
 * I1. The broker lists transactions in the order of their completion, so they are sorted by first
 *     offset here; several may become due with one batch.
 * I2. A producer's transaction ends at its marker, and only a batch with the control bit is one: a
 *     data record may have the same key bytes.
 */
import { HEADER_BYTES } from './batch-layout.ts';

export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
}

/** Types of a control record; others (leader changes of KRaft) end no transaction. */
const ABORT = 0;
const COMMIT = 1;

export class AbortedTransactions {
  readonly #byFirstOffset: readonly AbortedTransaction[];
  #due = 0;
  readonly #producers = new Set<number>();

  constructor(transactions: readonly AbortedTransaction[]) {
    this.#byFirstOffset = transactions.toSorted((a, b) => a.firstOffset - b.firstOffset);
  }

  /** Makes every transaction due that begins at or before the batch's last offset. */
  advanceTo(lastOffset: number): void {
    for (; this.#due < this.#byFirstOffset.length; this.#due++) {
      const { producerId, firstOffset } = this.#byFirstOffset[this.#due]!;
      if (firstOffset > lastOffset) return;
      this.#producers.add(producerId);
    }
  }

  has(producerId: number): boolean {
    return this.#producers.has(producerId);
  }

  /**
   * Passes a control batch: whichever way the producer's transaction ended, it is over. An emptied
   * one (compaction keeps the last batch of a producer) says nothing.
   */
  marker(producerId: number, records: Buffer, at: number, end: number): void {
    const type = controlType(records, at + HEADER_BYTES, end);
    if (type === ABORT || type === COMMIT) this.#producers.delete(producerId);
  }
}

/** Length, attributes, timestamp delta, offset delta and key length come before the key. */
const VARINTS_BEFORE_KEY = [true, false, true, true, true] as const;
const VARINT_BYTES_MAX = 10;

/** The type in the key of a control batch's record (version int16, type int16), or -1. */
function controlType(records: Buffer, at: number, end: number): number {
  for (const isVarint of VARINTS_BEFORE_KEY) {
    const limit = Math.min(end, at + (isVarint ? VARINT_BYTES_MAX : 1));
    while (isVarint && at < limit && records[at]! >= 0x80) at += 1;
    at += 1;
  }
  return at + 4 > end ? -1 : records.readInt16BE(at + 2);
}
