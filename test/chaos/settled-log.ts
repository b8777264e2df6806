/**
 * A partition's log as it becomes certain: what a transaction wrote is handed on when its marker
 * comes, as committed or as aborted; data outside transactions at once.
 */
import type { RawBatch, RawRecord } from '../../src/simulation/oracle/raw-batches.ts';

export interface SettledListener {
  committed(record: RawRecord): void;
  aborted(record: RawRecord): void;
}

export class SettledLog {
  readonly #listener: SettledListener;
  readonly #open = new Map<number, RawBatch[]>();
  /** Offset after the last batch that was read. */
  position = 0;

  constructor(listener: SettledListener) {
    this.#listener = listener;
  }

  /** Below it everything was handed on. */
  get settledEnd(): number {
    let end = this.position;
    for (const [first] of this.#open.values()) end = Math.min(end, first!.baseOffset);
    return end;
  }

  /** Records of transactions that nothing has ended. */
  get open(): number {
    let count = 0;
    for (const batches of this.#open.values()) {
      for (const { records } of batches) count += records.length;
    }
    return count;
  }

  /** The next batch; one that was read already (a fetch begins inside it) is passed over. */
  take(batch: RawBatch): void {
    if (batch.lastOffset < this.position) return;
    this.position = batch.lastOffset + 1;
    if (batch.marker === null && !batch.isTransactional) {
      for (const record of batch.records) this.#listener.committed(record);
    } else if (batch.marker === null) {
      const open = this.#open.get(batch.producerId);
      if (open === undefined) this.#open.set(batch.producerId, [batch]);
      else open.push(batch);
    } else {
      const ended = this.#open.get(batch.producerId) ?? [];
      this.#open.delete(batch.producerId);
      for (const record of ended.flatMap(({ records }) => records)) {
        if (batch.marker === 'commit') this.#listener.committed(record);
        else this.#listener.aborted(record);
      }
    }
  }

  /**
   * What is below `start` was deleted before it was read, perhaps the marker of what is open with it:
   * the fate of that is not known, and it must not be given to the producer's next transaction.
   */
  skipTo(start: number): void {
    if (start <= this.position) return;
    this.position = start;
    this.#open.clear();
  }
}
