/** Record batches in all codecs, as a reader and as the broker meets them. */
import { isDeepStrictEqual } from 'node:util';
import { readBatchHeader } from '../../src/broker/batch-header.ts';
import { firstAtOrAfter, keysOf } from '../../src/broker/records.ts';
import type { AbortedTransaction } from '../../src/kafka/records/aborted-transactions.ts';
import { decompress, decompressZstdInScript } from '../../src/kafka/records/codecs.ts';
import { crc32c } from '../../src/kafka/records/crc32c.ts';
import { readHeaders } from '../../src/kafka/records/headers.ts';
import { type FetchedRecords, parseFetched } from '../../src/kafka/records/parse-fetched.ts';
import { RecordCursor } from '../../src/kafka/records/record-cursor.ts';
import { javaBatch, javaPayload } from '../kafka/records/java-vectors.ts';
import {
  ABORT,
  COMMIT,
  dataBatch,
  emptyBatch,
  marker,
  readSlowly,
} from '../kafka/records/log-bytes.ts';
import type { Target } from './fuzz.ts';
import type { Random } from './random.ts';

const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
const BYTES_MAX = 1_048_576;
const UNREADABLE = ['BATCH_CORRUPT', 'COMPRESSION_UNSUPPORTED', 'RECORD_UNDECODABLE'];
const LENGTH_AT = 8;
const CRC_AT = 17;
const ATTRIBUTES_AT = 21;
const LAST_DELTA_AT = 23;
const COUNT_AT = 57;
const HEADER_BYTES = 61;
/** One in so many results is compared with the slow reader of the tests. */
const VERIFY_ONE_IN = 4;

/** Length, count and checksum are made right, mostly: then the records themselves are met. */
function mend(bytes: Buffer, random: Random): Buffer {
  if (bytes.length < HEADER_BYTES || random.oneIn(4)) return bytes;
  if (!random.oneIn(8)) bytes.writeInt32BE(bytes.length - 12, LENGTH_AT);
  if (random.oneIn(8)) {
    const count = random.oneIn(2) ? 1 + random.below(8) : random.uint32() >>> 1;
    bytes.writeInt32BE(count, COUNT_AT);
    bytes.writeInt32BE(count - 1, LAST_DELTA_AT);
  }
  const end = Math.max(ATTRIBUTES_AT, Math.min(bytes.length, bytes.readInt32BE(LENGTH_AT) + 12));
  bytes.writeUInt32BE(crc32c(bytes, ATTRIBUTES_AT, end), CRC_AT);
  return bytes;
}

function aborted(random: Random): AbortedTransaction[] | null {
  if (random.oneIn(3)) return null;
  return Array.from({ length: random.below(4) }, () => ({
    producerId: random.pick([1, 4_000_000_017, random.below(5)]),
    firstOffset: random.below(120),
  }));
}

interface Seen {
  readonly offset: number;
  readonly timestamp: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: readonly { readonly key: string; readonly value: string | null }[];
}

/** Every record, with what a reader may rely on checked. */
function walk(fetched: FetchedRecords): Seen[] {
  const cursor = new RecordCursor();
  const seen: Seen[] = [];
  cursor.load(fetched);
  while (cursor.next()) {
    const { buffer, offset, keyStart, keyEnd, valueStart, valueEnd } = cursor;
    const inside = (start: number, end: number) =>
      start === -1 ? end === -1 : start >= 0 && end >= start && end <= buffer.length;
    if (!inside(keyStart, keyEnd) || !inside(valueStart, valueEnd)) {
      throw new Error(`key or value lie outside: ${keyStart} ${keyEnd} ${valueStart} ${valueEnd}`);
    }
    if (offset < fetched.fetchOffset || offset >= fetched.nextOffset) {
      throw new Error(`offset ${offset} of ${fetched.fetchOffset} to ${fetched.nextOffset}`);
    }
    const text = (start: number, end: number) =>
      start < 0 ? null : buffer.toString('latin1', start, end);
    const headers = readHeaders(buffer, cursor.headersStart, cursor.headerCount);
    seen.push({
      offset,
      timestamp: cursor.timestamp,
      key: text(keyStart, keyEnd),
      value: text(valueStart, valueEnd),
      headers: headers.map(({ key, value }) => ({ key, value: value?.toString('latin1') ?? null })),
    });
  }
  return seen;
}

/** What the slow reader says of a plain batch; null where it does not look so closely or so far. */
function slowly(bytes: Buffer): Seen[] | null {
  if (bytes.length !== bytes.readInt32BE(LENGTH_AT) + 12) return null;
  if ((bytes.readInt16BE(ATTRIBUTES_AT) & 0x2f) !== 0) return null;
  try {
    return readSlowly(bytes, 'latin1').filter(({ offset }) => offset >= 0);
  } catch {
    return null; // bytes behind the headers of a record: tolerated by the one, refused by the other
  }
}

function readBatches(bytes: Buffer, random: Random): void {
  const fetched = parseFetched(bytes, {
    fetchOffset: 0,
    isolation: random.oneIn(2) ? 'read_committed' : 'read_uncommitted',
    abortedTransactions: aborted(random),
    source: { topic: 'orders', partition: 0 },
    decompressedBytesMax: BYTES_MAX,
  });
  if (fetched.nextOffset < 0 || !Number.isSafeInteger(fetched.nextOffset)) {
    throw new Error(`the position is ${fetched.nextOffset}`);
  }
  const seen = walk(fetched);
  if (seen.length === 0 || fetched.batches.length !== 1 || !random.oneIn(VERIFY_ONE_IN)) return;
  const expected = slowly(bytes);
  if (expected === null) return;
  const base = fetched.batches[0]!.baseTimestamp;
  if (!isDeepStrictEqual(exactly(seen, base), exactly(expected, base))) {
    throw new Error(`read ${JSON.stringify(seen)}, where ${JSON.stringify(expected)} is written`);
  }
}

/** Times far from our age are rounded as doubles are: they are not compared. */
function exactly(seen: readonly Seen[], base: number): Seen[] {
  const isExact = (time: number) => Math.abs(time) < 2 ** 51;
  return seen.map((each) =>
    isExact(base) && isExact(each.timestamp) ? each : { ...each, timestamp: 0 },
  );
}

/** What the broker does with the batch of a Produce request before it appends it. */
function brokerReads(bytes: Buffer): void {
  const header = readBatchHeader(bytes, 0);
  if (typeof header === 'string') return;
  keysOf(bytes, header);
  firstAtOrAfter(bytes, header, 1_700_000_000_000);
}

const CONTENT = 'the same words again and again and again, '.repeat(20);

function batchesOf(codec: (typeof CODECS)[number]): Buffer[] {
  const values = ['a', CONTENT, '', 'ünïcode'];
  // Node 20 reads zstd and does not write it: there only Kafka's own bytes are at hand.
  const own =
    codec === 'zstd'
      ? []
      : [
          dataBatch({ baseOffset: 3, values, compression: codec }),
          dataBatch({ baseOffset: 7, values, key: 'key', producerId: 1, compression: codec }),
        ];
  return [javaBatch(codec), ...own];
}

export function batchTargets(): Target[] {
  const fetched = (name: string, corpus: Buffer[]): Target => ({
    name,
    corpus,
    codes: UNREADABLE,
    run: readBatches,
    mend,
  });
  const payload = (name: string, codec: number, corpus: Buffer[]): Target => ({
    name: `${name} payload`,
    corpus,
    codes: UNREADABLE,
    run: (bytes) => {
      decompress(codec, bytes, BYTES_MAX);
    },
  });
  const payloads = (codec: (typeof CODECS)[number]) =>
    batchesOf(codec).map((bytes) => bytes.subarray(HEADER_BYTES));
  const zstd = [...payloads('zstd'), javaPayload('zstd of one segment')];
  const log = [
    dataBatch({ baseOffset: 0, values: ['a', 'b'], producerId: 1 }),
    emptyBatch(2, 5),
    marker(6, 1, ABORT),
    dataBatch({ baseOffset: 7, values: ['c'], producerId: 2, key: '\0\0\0\0' }),
    marker(8, 2, COMMIT),
  ];
  return [
    ...CODECS.map((codec) => fetched(`${codec} batch`, batchesOf(codec))),
    fetched('log append time, markers, emptied', [
      ...['logAppendTime', 'abortMarker', 'commitMarker', 'empty'].map(javaBatch),
      ...log,
    ]),
    { ...fetched('several batches', [Buffer.concat(log)]), mend: (bytes) => bytes },
    payload('gzip', 1, payloads('gzip')),
    payload('snappy', 2, [...payloads('snappy'), javaPayload('snappy block')]),
    payload('lz4', 3, [...payloads('lz4'), javaPayload('lz4 with checksums and size')]),
    payload('zstd', 4, zstd),
    {
      name: 'zstd payload in script',
      corpus: zstd,
      codes: [],
      run: readInScript,
    },
    {
      name: 'batch of a Produce request',
      corpus: [...batchesOf('none'), ...batchesOf('lz4')],
      codes: [],
      run: brokerReads,
      mend,
    },
  ];
}

/** The decoder throws what it likes; `decompress` makes `BATCH_CORRUPT` of it on Node 20. */
function readInScript(bytes: Buffer): void {
  try {
    const content = decompressZstdInScript(bytes, BYTES_MAX);
    if (content.length > BYTES_MAX) throw new RangeError('unreachable');
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}
