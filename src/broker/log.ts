/**
 * The log of one partition: batches as they came, with their offsets.
 *
 * Owns the bytes, the log start, the open transactions that hold the last stable offset and the
 * index of aborted transactions. Called by `partition.ts` (append) and by the fetch and list-offsets
 * handlers (read).
 *
 * I1. Base offsets are strictly increasing; a marker takes an offset like any record (rule 10), so
 *     the offsets of data are sparse for a reader.
 * I2. lastStableOffset is the first offset of the oldest open transaction, or the high watermark
 *     when there is none (rule 11). It never moves back.
 * I3. Compaction removes batches and records between the log start and the last stable offset only
 *     (rule 18), and never the last offset; what it leaves keeps its offsets, so the log has gaps.
 * I4. The aborted index is in the order of completion, that is of *last* offsets, not of first
 *     offsets (rule 12): a reader that takes it for sorted by first offset leaks aborted records.
 */
import { type BatchHeader, placeBatch } from './batch-header.ts';
import { type CompactionInput, compact } from './compaction.ts';
import type { AbortedTransaction, StoredBatch } from './stored-batch.ts';

/** `index.interval.bytes`. */
const INDEX_INTERVAL_BYTES = 4_096;

export interface LogSlice {
  readonly batches: readonly Buffer[];
  readonly bytes: number;
  /**
   * Where the aborted transactions of the slice end: the next entry of the sparse offset index, or
   * the end of the log. A list may thus name transactions beyond what it comes with, as Kafka's does.
   */
  readonly abortedBound: number;
}

export class PartitionLog {
  #batches: StoredBatch[] = [];
  #logStart = 0;
  #logEnd = 0;
  #endPosition = 0;
  #indexedPosition = 0;
  #leaderEpoch = 0;
  /** First offset by producer id, in the order of opening, hence ascending. */
  readonly #open = new Map<number, number>();
  #aborted: AbortedTransaction[] = [];
  readonly #watchers = new Set<() => void>();

  get logStartOffset(): number {
    return this.#logStart;
  }

  /** Offset that the next record gets. */
  get logEndOffset(): number {
    return this.#logEnd;
  }

  /** With one replica everything that is written is replicated. */
  get highWatermark(): number {
    return this.#logEnd;
  }

  get lastStableOffset(): number {
    for (const firstOffset of this.#open.values()) return Math.max(firstOffset, this.#logStart);
    return this.highWatermark;
  }

  /** Bytes of all batches. */
  get bytes(): number {
    return this.#endPosition - (this.#batches[0]?.position ?? this.#endPosition);
  }

  get leaderEpoch(): number {
    return this.#leaderEpoch;
  }

  /** A new leader; batches appended from now on carry its epoch (KIP-101). */
  nextLeaderEpoch(): void {
    this.#leaderEpoch += 1;
  }

  get batches(): readonly StoredBatch[] {
    return this.#batches;
  }

  /** Appends an own copy of the batch; `bytes` may belong to a request that is sent again. */
  append(bytes: Buffer, header: BatchHeader): number {
    const baseOffset = this.#logEnd;
    const copy = Buffer.from(bytes);
    placeBatch(copy, baseOffset, this.#leaderEpoch);
    const lastOffset = baseOffset + header.lastOffsetDelta;
    const indexed = this.#endPosition - this.#indexedPosition > INDEX_INTERVAL_BYTES;
    if (indexed) this.#indexedPosition = this.#endPosition;
    this.#batches.push({
      baseOffset,
      lastOffset,
      bytes: copy,
      header,
      position: this.#endPosition,
      indexed,
    });
    this.#endPosition += copy.length;
    this.#logEnd = lastOffset + 1;
    return baseOffset;
  }

  /** First offset of the producer's open transaction. */
  openSince(producerId: number): number | undefined {
    return this.#open.get(producerId);
  }

  openTransaction(producerId: number, firstOffset: number): void {
    this.#open.set(producerId, firstOffset);
  }

  /** Takes a finished transaction out of the way of the last stable offset. */
  closeTransaction(producerId: number, markerOffset: number, result: 'commit' | 'abort'): void {
    const firstOffset = this.#open.get(producerId);
    if (firstOffset === undefined) return;
    this.#open.delete(producerId);
    if (result === 'commit') return;
    const { lastStableOffset } = this;
    this.#aborted.push({ producerId, firstOffset, lastOffset: markerOffset, lastStableOffset });
  }

  /** Entries that a reader of [from, to) needs, those that began before `from` included (rule 12). */
  abortedTransactions(from: number, to: number): AbortedTransaction[] {
    if (from >= to) return [];
    const found: AbortedTransaction[] = [];
    let index = firstIndex(this.#aborted, (entry) => entry.lastOffset >= from);
    for (; index < this.#aborted.length; index++) {
      const entry = this.#aborted[index]!;
      if (entry.firstOffset < to) found.push(entry);
      if (entry.lastStableOffset >= to) break;
    }
    return found;
  }

  /**
   * Whole batches from the one that holds `from` up to the offset `to` (exclusive) within
   * `bytesMax`; `first: 'always'` hands out one batch whatever its size (KIP-74).
   */
  read(from: number, to: number, bytesMax: number, first: 'always' | 'within'): LogSlice {
    const batches: Buffer[] = [];
    let bytes = 0;
    let index = this.indexOf(from);
    for (; index < this.#batches.length; index++) {
      const batch = this.#batches[index]!;
      if (batch.baseOffset >= to) break;
      const forced = batches.length === 0 && first === 'always';
      if (bytes + batch.bytes.length > bytesMax && !forced) break;
      batches.push(batch.bytes);
      bytes += batch.bytes.length;
    }
    return { batches, bytes, abortedBound: this.#abortedBound(from, to, index) };
  }

  #abortedBound(from: number, to: number, next: number): number {
    // A fetch at or beyond its end is answered without a look at the log.
    if (from >= to) return from;
    for (let index = next; index < this.#batches.length; index++) {
      const { indexed, lastOffset } = this.#batches[index]!;
      if (indexed) return lastOffset;
    }
    return this.#logEnd;
  }

  /** Bytes that a read of [from, to) could return. */
  bytesBetween(from: number, to: number): number {
    const start = this.#batches[this.indexOf(from)]?.position ?? this.#endPosition;
    const end = this.#batches[this.indexOf(to)]?.position ?? this.#endPosition;
    return Math.max(0, end - start);
  }

  /** Index of the first batch whose last offset is not below `offset`. */
  indexOf(offset: number): number {
    return firstIndex(this.#batches, (batch) => batch.lastOffset >= offset);
  }

  /** Moves the log start (rule 19); batches that lie wholly below it are gone. */
  deleteBefore(offset: number): void {
    if (offset <= this.#logStart) return;
    this.#logStart = offset;
    this.#batches = this.#batches.slice(this.indexOf(offset));
    this.#aborted = this.#aborted.filter((entry) => entry.lastOffset >= offset);
  }

  /**
   * Retention by whole batches, where Kafka drops whole segments: moves the log start over what is
   * older than `before` (by its newest timestamp), or stands above `bytesMax` (-1: no limit).
   */
  retain(before: number, bytesMax: number): void {
    let start = this.#logStart;
    let { bytes } = this;
    for (const batch of this.#batches) {
      const isOld = batch.header.maxTimestamp < before;
      const isTooMuch = bytesMax >= 0 && bytes - batch.bytes.length >= bytesMax;
      if (!isOld && !isTooMuch) break;
      bytes -= batch.bytes.length;
      start = batch.lastOffset + 1;
    }
    this.deleteBefore(Math.min(start, this.highWatermark));
  }

  /**
   * Compacts up to the last stable offset, and up to the first batch newer than `cleanableUntil`.
   * The last batch stays as it is: in Kafka it is in the active segment.
   */
  compact(
    options: Pick<CompactionInput, 'now' | 'deleteRetentionMs' | 'lastOf'> & {
      readonly cleanableUntil: number;
    },
  ): void {
    const isNew = (batch: StoredBatch) => batch.header.maxTimestamp > options.cleanableUntil;
    const limits = [this.#batches.find(isNew), this.#batches.at(-1)];
    const upTo = Math.min(
      this.lastStableOffset,
      ...limits.flatMap((batch) => (batch === undefined ? [] : [batch.baseOffset])),
    );
    const { batches, aborted } = compact({
      ...options,
      batches: this.#batches,
      aborted: this.#aborted,
      upTo,
    });
    let position = 0;
    this.#batches = batches.map((batch) => {
      const placed = { ...batch, position };
      position += batch.bytes.length;
      return placed;
    });
    this.#endPosition = position;
    this.#indexedPosition = position;
    this.#aborted = [...aborted];
  }

  /** Calls back after each change of what can be read, until the returned function is called. */
  watch(changed: () => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  announce(): void {
    for (const changed of [...this.#watchers]) changed();
  }
}

/** Index of the first item for which the test holds; it holds for all behind it. */
function firstIndex<T>(items: readonly T[], holds: (item: T) => boolean): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(items[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}
