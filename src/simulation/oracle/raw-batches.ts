/**
 * Record batches read and written the plain way, byte by byte, for those who judge: nothing here is
 * shared with the code that is judged (format: Kafka's message format v2).
 */
import { gunzipSync } from 'node:zlib';

export interface RawRecord {
  readonly offset: number;
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly { readonly key: string; readonly value: Buffer | null }[];
}

export interface RawBatch {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly isTransactional: boolean;
  /** A control batch ends a transaction of its producer. */
  readonly marker: 'commit' | 'abort' | null;
  readonly records: readonly RawRecord[];
}

/** What an outsider writes. Text is UTF-8. */
export interface RawInput {
  readonly key: string | Buffer | null;
  readonly value: string | Buffer | null;
  readonly timestampMs: number;
}

const HEADER_BYTES = 61;
const LENGTH_AT = 8;
const MAGIC_AT = 16;
const CRC_AT = 17;
const ATTRIBUTES_AT = 21;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;
const COMPRESSION = 0x07;
const GZIP = 1;

/**
 * Every whole batch in the bytes, plain or compressed with gzip. Throws at a wrong checksum, another
 * magic or another codec.
 */
export function* rawBatches(bytes: Buffer): Generator<RawBatch> {
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const end = at + LENGTH_AT + 4 + bytes.readInt32BE(at + LENGTH_AT);
    if (end > bytes.length) return;
    yield readBatch(bytes.subarray(at, end));
    at = end;
  }
}

function readBatch(bytes: Buffer): RawBatch {
  const magic = bytes[MAGIC_AT];
  if (magic !== 2) throw new Error(`a batch with magic ${magic}`);
  if (crc32c(bytes.subarray(ATTRIBUTES_AT)) !== bytes.readUInt32BE(CRC_AT)) {
    throw new Error('a batch with a wrong checksum');
  }
  const attributes = bytes.readInt16BE(ATTRIBUTES_AT);
  const codec = attributes & COMPRESSION;
  if (codec > GZIP) throw new Error(`a batch compressed with codec ${codec}, which is not gzip`);
  const content = bytes.subarray(HEADER_BYTES);
  const plain = codec === GZIP ? gunzipSync(content) : content;
  const baseOffset = Number(bytes.readBigInt64BE(0));
  const baseTimestamp = Number(bytes.readBigInt64BE(27));
  const count = bytes.readInt32BE(57);
  const records = [...readRecords(plain, { count, baseOffset, baseTimestamp })];
  const isControl = (attributes & CONTROL) !== 0;
  return {
    baseOffset,
    lastOffset: baseOffset + bytes.readInt32BE(23),
    producerId: Number(bytes.readBigInt64BE(43)),
    producerEpoch: bytes.readInt16BE(51),
    baseSequence: bytes.readInt32BE(53),
    isTransactional: (attributes & TRANSACTIONAL) !== 0,
    // One that compaction has emptied ends nothing any more.
    marker: isControl && records[0] !== undefined ? markerOf(records[0]) : null,
    records,
  };
}

function markerOf({ key }: RawRecord): 'commit' | 'abort' {
  return key?.readInt16BE(2) === 1 ? 'commit' : 'abort';
}

function* readRecords(
  bytes: Buffer,
  base: { readonly count: number; readonly baseOffset: number; readonly baseTimestamp: number },
): Generator<RawRecord> {
  let at = 0;
  const varint = (): number => {
    let raw = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes.readUInt8(at);
      at += 1;
      raw |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number((raw >> 1n) ^ -(raw & 1n));
    }
  };
  const field = (): Buffer | null => {
    const length = varint();
    if (length < 0) return null;
    at += length;
    return Buffer.from(bytes.subarray(at - length, at));
  };
  for (let left = base.count; left > 0; left -= 1) {
    varint();
    at += 1;
    const timestamp = base.baseTimestamp + varint();
    const offset = base.baseOffset + varint();
    const key = field();
    const value = field();
    const headers: { key: string; value: Buffer | null }[] = [];
    for (let count = varint(); count > 0; count -= 1) {
      headers.push({ key: field()!.toString(), value: field() });
    }
    yield { offset, timestamp, key, value, headers };
  }
}

/** Who writes in a transaction. */
export interface RawProducer {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
}

/** One batch; without a producer it is of none and outside of transactions. */
export function writeRawBatch(inputs: readonly RawInput[], producer?: RawProducer): Buffer {
  const baseTimestamp = inputs[0]?.timestampMs ?? 0;
  const records = inputs.map((input, index) => {
    const body = Buffer.concat([
      Buffer.from([0]),
      varintBytes(input.timestampMs - baseTimestamp),
      varintBytes(index),
      fieldBytes(input.key),
      fieldBytes(input.value),
      varintBytes(0),
    ]);
    return Buffer.concat([varintBytes(body.length), body]);
  });
  const fields = Buffer.alloc(40);
  fields.writeInt32BE(inputs.length - 1, 2);
  fields.writeBigInt64BE(BigInt(baseTimestamp), 6);
  const latest = inputs.reduce((most, { timestampMs }) => Math.max(most, timestampMs), 0);
  fields.writeBigInt64BE(BigInt(latest), 14);
  if (producer !== undefined) fields.writeInt16BE(TRANSACTIONAL, 0);
  fields.writeBigInt64BE(BigInt(producer?.producerId ?? -1), 22);
  fields.writeInt16BE(producer?.producerEpoch ?? -1, 30);
  fields.writeInt32BE(producer?.baseSequence ?? -1, 32);
  fields.writeInt32BE(inputs.length, 36);
  const checked = Buffer.concat([fields, ...records]);
  const head = Buffer.alloc(ATTRIBUTES_AT);
  head.writeInt32BE(ATTRIBUTES_AT - LENGTH_AT - 4 + checked.length, LENGTH_AT);
  head.writeInt8(2, MAGIC_AT);
  head.writeUInt32BE(crc32c(checked), CRC_AT);
  return Buffer.concat([head, checked]);
}

function varintBytes(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value >= 0 ? BigInt(value) * 2n : BigInt(value) * -2n - 1n;
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

function fieldBytes(field: string | Buffer | null): Buffer {
  if (field === null) return varintBytes(-1);
  const bytes = typeof field === 'string' ? Buffer.from(field) : field;
  return Buffer.concat([varintBytes(bytes.length), bytes]);
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let crc = index;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc >>> 0;
});

function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (let at = 0; at < bytes.length; at++) {
    crc = CRC_TABLE[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
