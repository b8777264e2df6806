/**
 * Reads the record batches of a fetch response: headers only, so that the next fetch can be sent
 * before a record is decoded (compressed batches are decompressed here).
 *
 * I1. Every batch that is handed on, or whose end moves the position, has passed its checksum.
 * I2. `nextOffset` is the end of the last whole batch, be it data, control, empty or aborted: a
 *     compacted changelog ends in empty batches, and a position that ignores them never moves.
 * I3. With read_committed no record of an aborted transaction is handed on, whatever the order of the
 *     broker's list is, and nothing else is held back.
 * I4. Whatever the bytes are: a result, `BATCH_CORRUPT` or `COMPRESSION_UNSUPPORTED`.
 */
import { type Coordinates, EscapementError } from '../../errors.ts';
import { type AbortedTransaction, AbortedTransactions } from './aborted-transactions.ts';
import {
  ATTRIBUTES,
  BASE_OFFSET,
  BASE_TIMESTAMP,
  COMPRESSION_MASK,
  CONTROL,
  COUNT,
  CRC,
  HEADER_BYTES,
  LAST_OFFSET_DELTA,
  LENGTH,
  LENGTH_PREFIX_BYTES,
  LOG_APPEND_TIME,
  MAGIC,
  MAX_TIMESTAMP,
  PRODUCER_ID,
  readInt64,
  TRANSACTIONAL,
} from './batch-layout.ts';
import { DECOMPRESSED_BYTES_MAX, decompress, NO_COMPRESSION } from './codecs.ts';
import { crc32c } from './crc32c.ts';

export interface FetchOptions {
  readonly fetchOffset: number;
  readonly isolation: 'read_committed' | 'read_uncommitted';
  /** As the broker lists them, in any order. */
  readonly abortedTransactions: readonly AbortedTransaction[] | null;
  /** Whose bytes these are, for errors. */
  readonly source?: Source;
  /** Most bytes of one decompressed batch. Default: 64 MiB. */
  readonly decompressedBytesMax?: number;
}

export interface Source {
  readonly topic: string;
  readonly partition: number;
}

/** The records of one batch that may be read; `RecordCursor` decodes them. */
export interface FetchedBatch {
  /** The fetch response itself, or the decompressed records. */
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
  readonly count: number;
  readonly baseOffset: number;
  readonly lastOffsetDelta: number;
  readonly baseTimestamp: number;
  /** The time of all records when the broker sets it, else -1. */
  readonly logAppendTime: number;
}

export interface FetchedRecords {
  readonly source?: Source | undefined;
  readonly batches: readonly FetchedBatch[];
  /** Records below it are in the first batch only because batches are sent whole. */
  readonly fetchOffset: number;
  /** Where to fetch next. */
  readonly nextOffset: number;
  /** Bytes that are kept in memory for it: the answer, if a batch lies in it, and what was decompressed. */
  readonly bytes: number;
  /** Records in the batches, those below `fetchOffset` included. */
  readonly count: number;
}

const FORMAT = 2;
/** A record's length, attributes, two deltas, two lengths and header count. */
const RECORD_BYTES_MIN = 7;

/** Throws `BATCH_CORRUPT` for a batch that fails its checksum or its bounds, with its coordinates. */
export function parseFetched(records: Buffer, options: FetchOptions): FetchedRecords {
  try {
    return parse(records, options);
  } catch (error) {
    if (options.source !== undefined && error instanceof EscapementError) {
      throw located(error, options.source, options.fetchOffset);
    }
    throw error;
  }
}

/** The same error of a place: `offset` where the error does not know better. */
export function located(error: EscapementError, source: Source, offset: number): EscapementError {
  const at: Coordinates = { ...source, offset: error.at.offset ?? offset };
  const where = `${at.topic}-${at.partition}@${at.offset}`;
  const { cause, decision } = error;
  return new EscapementError(error.code, `${where}: ${error.message}`, { cause, decision, at });
}

function parse(records: Buffer, options: FetchOptions): FetchedRecords {
  const { fetchOffset, isolation, abortedTransactions, source } = options;
  const { decompressedBytesMax = DECOMPRESSED_BYTES_MAX } = options;
  const aborted =
    isolation === 'read_committed' && abortedTransactions !== null
      ? new AbortedTransactions(abortedTransactions)
      : null;
  const batches: FetchedBatch[] = [];
  let nextOffset = fetchOffset;
  let answerBytes = 0;
  let decompressedBytes = 0;
  let count = 0;
  for (let at = 0, end = 0; ; at = end) {
    end = endOfBatch(records, at);
    if (end < 0) break;
    const baseOffset = readInt64(records, at + BASE_OFFSET);
    const lastOffset = checkedLastOffset(records, at, end, baseOffset);
    // Of overlapping batches, or ones that lie before the position, nothing is new.
    if (lastOffset < nextOffset) continue;
    const batch = isReadable(records, at, end, lastOffset, aborted)
      ? openBatch(records, at, end, baseOffset, decompressedBytesMax)
      : null;
    if (batch !== null) {
      const inflated = batch.buffer === records ? 0 : batch.end;
      // The rest is fetched again: many small bombs must not add up.
      if (decompressedBytes + inflated > decompressedBytesMax && batches.length > 0) break;
      decompressedBytes += inflated;
      batches.push(batch);
      if (batch.buffer === records) answerBytes = records.length;
      count += batch.count;
    }
    nextOffset = lastOffset + 1;
  }
  const bytes = answerBytes + decompressedBytes;
  return { source, batches, fetchOffset, nextOffset, bytes, count };
}

/** The end of the batch at `at`, or -1 when it is cut off: brokers cut at the byte limit. */
function endOfBatch(records: Buffer, at: number): number {
  const left = records.length - at;
  if (left < MAGIC + 1) return -1;
  const format = records[at + MAGIC]!;
  if (format !== FORMAT) {
    throw corrupt(
      records,
      at,
      `has format ${format}, not 2; let the broker rewrite the log (message.format 0.11 or later)`,
    );
  }
  const length = records.readInt32BE(at + LENGTH);
  if (length < HEADER_BYTES - LENGTH_PREFIX_BYTES) {
    throw corrupt(records, at, `claims a length of ${length}`);
  }
  return length > left - LENGTH_PREFIX_BYTES ? -1 : at + LENGTH_PREFIX_BYTES + length;
}

/** I1. */
function checkedLastOffset(records: Buffer, at: number, end: number, baseOffset: number): number {
  const expected = records.readUInt32BE(at + CRC);
  const actual = crc32c(records, at + ATTRIBUTES, end);
  if (actual !== expected) {
    throw corrupt(records, at, `has checksum ${hex(actual)} where ${hex(expected)} is written`);
  }
  const delta = records.readInt32BE(at + LAST_OFFSET_DELTA);
  if (delta < 0 || baseOffset < 0 || !Number.isSafeInteger(baseOffset + delta + 1)) {
    throw corrupt(records, at, `spans ${delta} offsets`);
  }
  return baseOffset + delta;
}

/** False for control batches, aborted data and batches that compaction emptied. */
function isReadable(
  records: Buffer,
  at: number,
  end: number,
  lastOffset: number,
  aborted: AbortedTransactions | null,
): boolean {
  const attributes = records.readInt16BE(at + ATTRIBUTES);
  if (aborted !== null) {
    aborted.advanceTo(lastOffset);
    const producerId = readInt64(records, at + PRODUCER_ID);
    if ((attributes & CONTROL) !== 0) aborted.marker(producerId, records, at, end);
    else if ((attributes & TRANSACTIONAL) !== 0 && aborted.has(producerId)) return false;
  }
  return (attributes & CONTROL) === 0 && records.readInt32BE(at + COUNT) !== 0;
}

function openBatch(
  records: Buffer,
  at: number,
  end: number,
  baseOffset: number,
  decompressedBytesMax: number,
): FetchedBatch {
  const attributes = records.readInt16BE(at + ATTRIBUTES);
  const codec = attributes & COMPRESSION_MASK;
  const plain = codec === NO_COMPRESSION;
  const start = at + HEADER_BYTES;
  const buffer = plain
    ? records
    : decompressed(codec, records.subarray(start, end), baseOffset, decompressedBytesMax);
  const count = records.readInt32BE(at + COUNT);
  const bytes = plain ? end - start : buffer.length;
  if (count < 0 || count * RECORD_BYTES_MIN > bytes) {
    throw corrupt(records, at, `claims ${count} records in ${bytes} bytes`);
  }
  return {
    buffer,
    start: plain ? start : 0,
    end: plain ? end : buffer.length,
    count,
    baseOffset,
    lastOffsetDelta: records.readInt32BE(at + LAST_OFFSET_DELTA),
    baseTimestamp: readInt64(records, at + BASE_TIMESTAMP),
    logAppendTime:
      (attributes & LOG_APPEND_TIME) === 0 ? -1 : readInt64(records, at + MAX_TIMESTAMP),
  };
}

function decompressed(codec: number, input: Buffer, offset: number, bytesMax: number): Buffer {
  try {
    return decompress(codec, input, bytesMax);
  } catch (error) {
    if (!(error instanceof EscapementError)) throw error;
    const { code, message, cause } = error;
    throw new EscapementError(code, message, { cause, at: { offset } });
  }
}

function corrupt(records: Buffer, at: number, what: string): EscapementError {
  const offset = readInt64(records, at + BASE_OFFSET);
  return new EscapementError(
    'BATCH_CORRUPT',
    `The record batch at offset ${offset} (byte ${at} of ${records.length}) ${what}. ` +
      'Check the disk of the broker and the network.',
    { at: { offset } },
  );
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
