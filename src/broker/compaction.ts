/**
 * What a compaction leaves of a log (rule 18), as Kafka's LogCleaner does it.
 *
 * A function of batches; `log.ts` owns them and says how far it may go. Called on request.
 *
 * I1. Nothing at or above `upTo` is touched; the log sees to it that this is no more than the last
 *     stable offset, so an open transaction is neither kept from its readers nor taken for aborted.
 * I2. Of each key the latest committed value below `upTo` stays, with its offset. Records of aborted
 *     transactions go, whatever their keys.
 * I3. A tombstone stays for `deleteRetentionMs` after the first compaction that met it, a marker as
 *     long after the first that met no data of its transaction: both are told by the delete horizon
 *     in their batch (KIP-534).
 * I4. Batches keep base and last offset, epoch and sequence. A batch whose records all went stays,
 *     empty, while it is the last one of an active producer, or the last one below `upTo`.
 */

import { HEADER_BYTES } from '../kafka/records/batch-layout.ts';
import { varintBytes, varlongBytes, writeVarint, writeVarlong } from '../kafka/records/varint.ts';
import { type BatchHeader, rewriteBatch } from './batch-header.ts';
import { walk } from './records.ts';
import type { AbortedTransaction, StoredBatch } from './stored-batch.ts';

export interface CompactionInput {
  readonly batches: readonly StoredBatch[];
  readonly aborted: readonly AbortedTransaction[];
  /** Exclusive; a batch that reaches beyond it is left alone. */
  readonly upTo: number;
  readonly now: number;
  readonly deleteRetentionMs: number;
  /** Of an active producer: the last offset of its last batch, -1 after a bump of the epoch. */
  lastOf(producerId: number): { readonly lastOffset: number; readonly epoch: number } | null;
}

export interface CompactionResult {
  readonly batches: readonly StoredBatch[];
  readonly aborted: readonly AbortedTransaction[];
}

export function compact(input: CompactionInput): CompactionResult {
  const end = input.batches.findIndex((batch) => batch.lastOffset >= input.upTo);
  const cleaned = end === -1 ? input.batches : input.batches.slice(0, end);
  const rest = end === -1 ? [] : input.batches.slice(end);
  const latest = latestOffsets(cleaned, input.aborted);
  const transactions = new CleanedTransactions(input.aborted);
  const kept: StoredBatch[] = [];
  for (const batch of cleaned) {
    const goes = transactions.read(batch);
    const isLast = batch === cleaned.at(-1);
    const left = filter(batch, goes, latest, input);
    if (left !== null) kept.push(left);
    else if (isLast || isLastOfProducer(batch, input)) kept.push(emptied(batch));
  }
  const lowest = rest[0]?.baseOffset ?? input.upTo;
  const later = input.aborted.filter((entry) => entry.lastOffset >= lowest);
  return { batches: [...kept, ...rest], aborted: [...transactions.retained, ...later] };
}

/** What became of the transactions while the log is walked in order. */
class CleanedTransactions {
  readonly retained: AbortedTransaction[] = [];
  readonly #aborted: AbortedTransaction[];
  #next = 0;
  readonly #openAborted = new Map<number, { entry: AbortedTransaction; data: 'seen' | 'none' }>();
  readonly #openCommitted = new Set<number>();

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#aborted = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset);
  }

  /** `goes` for data of an aborted transaction, and for a marker whose data is all gone. */
  read({ header, lastOffset }: StoredBatch): 'goes' | 'stays' {
    for (let entry = this.#aborted[this.#next]; entry !== undefined; ) {
      if (entry.firstOffset > lastOffset) break;
      if (!this.#openAborted.has(entry.producerId)) {
        this.#openAborted.set(entry.producerId, { entry, data: 'none' });
      }
      this.#next += 1;
      entry = this.#aborted[this.#next];
    }
    const { producerId } = header;
    const open = this.#openAborted.get(producerId);
    if (header.kind === 'control') {
      if (open === undefined) return this.#openCommitted.delete(producerId) ? 'stays' : 'goes';
      this.#openAborted.delete(producerId);
      if (open.data === 'none') return 'goes';
      this.retained.push(open.entry);
      return 'stays';
    }
    if (!header.transactional) return 'stays';
    if (open === undefined) {
      this.#openCommitted.add(producerId);
      return 'stays';
    }
    open.data = 'seen';
    return 'goes';
  }
}

function latestOffsets(
  batches: readonly StoredBatch[],
  aborted: readonly AbortedTransaction[],
): Map<string, number> {
  const latest = new Map<string, number>();
  const transactions = new CleanedTransactions(aborted);
  for (const batch of batches) {
    const goes = transactions.read(batch);
    if (batch.header.kind === 'control' || goes === 'goes') continue;
    const records = walk(batch.bytes, batch.header);
    for (let index = 0; index < batch.header.count; index++) {
      records.next();
      if (records.keyBytes < 0) continue;
      const key = records.bytes.toString(
        'latin1',
        records.keyStart,
        records.keyStart + records.keyBytes,
      );
      latest.set(key, batch.baseOffset + records.offsetDelta);
    }
  }
  return latest;
}

/** The batch with what stays of it, or null when nothing does. */
function filter(
  batch: StoredBatch,
  goes: 'goes' | 'stays',
  latest: ReadonlyMap<string, number>,
  { now, deleteRetentionMs }: CompactionInput,
): StoredBatch | null {
  const { header } = batch;
  const horizon = header.deleteHorizonMs;
  if (header.count === 0) return null;
  if (header.kind === 'control') {
    if (goes === 'stays') return batch;
    if (horizon !== null) return now >= horizon ? null : batch;
    return rewritten(batch, [0], now + deleteRetentionMs);
  }
  if (goes === 'goes') return null;
  const kept: number[] = [];
  let tombstones: 'some' | 'none' = 'none';
  const records = walk(batch.bytes, header);
  for (let index = 0; index < header.count; index++) {
    records.next();
    if (records.keyBytes < 0) continue;
    const key = records.bytes.toString(
      'latin1',
      records.keyStart,
      records.keyStart + records.keyBytes,
    );
    if (latest.get(key) !== batch.baseOffset + records.offsetDelta) continue;
    const isTombstone = records.valueBytes < 0;
    if (isTombstone && horizon !== null && now >= horizon) continue;
    if (isTombstone) tombstones = 'some';
    kept.push(index);
  }
  if (kept.length === 0) return null;
  const setsHorizon = horizon === null && tombstones === 'some';
  if (kept.length === header.count && !setsHorizon) return batch;
  return rewritten(batch, kept, setsHorizon ? now + deleteRetentionMs : horizon);
}

function rewritten(
  batch: StoredBatch,
  kept: readonly number[],
  horizon: number | null,
): StoredBatch {
  const { header } = batch;
  const records = walk(batch.bytes, header);
  const pieces: Buffer[] = [];
  let next = 0;
  let maxTimestamp = -1;
  const first = header.firstTimestamp;
  let base = horizon ?? first;
  for (let index = 0; index < header.count && next < kept.length; index++) {
    records.next();
    if (kept[next] !== index) continue;
    const timestamp = first + records.timestampDelta;
    if (next === 0 && horizon === null) base = timestamp;
    next += 1;
    maxTimestamp = Math.max(maxTimestamp, timestamp);
    const delta = timestamp - base;
    const tail = records.bytes.subarray(records.offsetStart, records.end);
    const length = 1 + varlongBytes(delta) + tail.length;
    const piece = Buffer.alloc(varintBytes(length) + length);
    let at = writeVarint(piece, 0, length);
    at = writeVarlong(piece, at + 1, delta);
    tail.copy(piece, at);
    pieces.push(piece);
  }
  const [bytes, renewed] = rewriteBatch(batch.bytes, {
    records: Buffer.concat(pieces),
    count: kept.length,
    baseTimestamp: base,
    maxTimestamp,
    deleteHorizon: horizon === null ? 'none' : 'set',
  });
  return { ...batch, bytes, header: renewed };
}

function emptied(batch: StoredBatch): StoredBatch {
  if (batch.header.count === 0 && batch.bytes.length === HEADER_BYTES) return batch;
  const [bytes, header] = rewriteBatch(batch.bytes, {
    records: Buffer.alloc(0),
    count: 0,
    baseTimestamp: -1,
    maxTimestamp: batch.header.maxTimestamp,
    deleteHorizon: 'none',
  });
  return { ...batch, bytes, header };
}

function isLastOfProducer(batch: StoredBatch, { lastOf }: CompactionInput): boolean {
  const header: BatchHeader = batch.header;
  if (header.producerId < 0) return false;
  const last = lastOf(header.producerId);
  if (last === null) return false;
  return last.lastOffset >= 0
    ? batch.lastOffset === last.lastOffset
    : header.kind === 'control' && header.producerEpoch === last.epoch;
}
