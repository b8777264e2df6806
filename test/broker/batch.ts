/**
 * Record batches written and read the slow way, sharing no code with `src`: the oracle of the
 * broker's tests.
 */
import { gunzipSync, gzipSync } from 'node:zlib';

export interface BatchSpec {
  /** Null is a tombstone. */
  readonly values: readonly (string | null)[];
  /** One for all records; null writes records without a key. */
  readonly key?: string | null;
  /** One for each record, over `key`. */
  readonly keys?: readonly string[];
  readonly producerId?: number;
  readonly epoch?: number;
  readonly sequence?: number;
  readonly transactional?: 'transactional' | 'plain';
  readonly timestamp?: number;
  /** Added to the timestamp record by record. */
  readonly timestampStep?: number;
  readonly magic?: number;
  readonly compression?: 'gzip';
  /** Set as they are, over what `transactional` says. */
  readonly attributes?: number;
}

export interface ReadRecord {
  readonly offset: number;
  readonly timestamp: number;
  readonly key: string;
  readonly value: string | null;
}

export interface ReadBatch {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly sequence: number;
  readonly records: readonly ReadRecord[];
  readonly producerId: number;
  readonly epoch: number;
  readonly kind: 'data' | 'commit' | 'abort';
  readonly values: readonly string[];
}

function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = BigInt(value) >= 0n ? BigInt(value) * 2n : BigInt(value) * -2n - 1n;
  while (rest >= 128n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

function sized(text: string | null): Buffer {
  if (text === null) return varint(-1);
  const bytes = Buffer.from(text, 'utf8');
  return Buffer.concat([varint(bytes.length), bytes]);
}

export function batch(spec: BatchSpec): Buffer {
  const first = spec.timestamp ?? 1_700_000_000_000;
  const step = spec.timestampStep ?? 0;
  const key = spec.key === undefined ? 'k' : spec.key;
  const records = spec.values.map((value, index) => {
    const body = Buffer.concat([
      Buffer.from([0]),
      varint(step * index),
      varint(index),
      sized(spec.keys?.[index] ?? key),
      sized(value),
      varint(0),
    ]);
    return Buffer.concat([varint(body.length), body]);
  });
  const fields = Buffer.alloc(40);
  const transactional = spec.transactional === 'transactional' ? 0x10 : 0;
  const codec = spec.compression === 'gzip' ? 1 : 0;
  fields.writeInt16BE(spec.attributes ?? transactional | codec, 0);
  fields.writeInt32BE(spec.values.length - 1, 2);
  fields.writeBigInt64BE(BigInt(first), 6);
  fields.writeBigInt64BE(BigInt(first + step * (spec.values.length - 1)), 14);
  fields.writeBigInt64BE(BigInt(spec.producerId ?? -1), 22);
  fields.writeInt16BE(spec.epoch ?? -1, 30);
  fields.writeInt32BE(spec.sequence ?? -1, 32);
  fields.writeInt32BE(spec.values.length, 36);
  const content = codec === 0 ? Buffer.concat(records) : gzipSync(Buffer.concat(records));
  const checked = Buffer.concat([fields, content]);
  const head = Buffer.alloc(21);
  head.writeInt32BE(9 + checked.length, 8);
  head.writeInt8(spec.magic ?? 2, 16);
  head.writeUInt32BE(crc32c(checked), 17);
  return Buffer.concat([head, checked]);
}

/** Every batch of a fetched record set; a wrong CRC throws. */
export function readBatches(records: Buffer | null): ReadBatch[] {
  const found: ReadBatch[] = [];
  let rest = records ?? Buffer.alloc(0);
  while (rest.length >= 12) {
    const bytes = rest.subarray(0, rest.readInt32BE(8) + 12);
    if (crc32c(bytes.subarray(21)) !== bytes.readUInt32BE(17)) throw new Error('wrong CRC');
    found.push(readBatch(bytes));
    rest = rest.subarray(bytes.length);
  }
  return found;
}

function readBatch(batch: Buffer): ReadBatch {
  const isGzip = (batch.readInt16BE(21) & 7) === 1;
  const bytes = isGzip
    ? Buffer.concat([batch.subarray(0, 61), gunzipSync(batch.subarray(61))])
    : batch;
  const control = (bytes.readInt16BE(21) & 0x20) !== 0;
  let at = 61;
  const next = () => {
    let raw = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes.readUInt8(at++);
      raw |= BigInt(byte & 127) << shift;
      if (byte < 128) return Number(raw & 1n ? -(raw + 1n) / 2n : raw / 2n);
    }
  };
  const slice = () => {
    const length = next();
    if (length < 0) return null;
    at += length;
    return bytes.subarray(at - length, at);
  };
  const records: ReadRecord[] = [];
  const baseOffset = Number(bytes.readBigInt64BE(0));
  const firstTimestamp = Number(bytes.readBigInt64BE(27));
  let kind: ReadBatch['kind'] = 'data';
  for (let index = 0; index < bytes.readInt32BE(57); index++) {
    next();
    at += 1;
    const timestamp = firstTimestamp + next();
    const offset = baseOffset + next();
    const key = slice();
    const value = slice()?.toString('utf8') ?? null;
    next();
    if (control) kind = key?.readInt16BE(2) === 1 ? 'commit' : 'abort';
    else records.push({ offset, timestamp, key: key?.toString('utf8') ?? '', value });
  }
  return {
    baseOffset,
    lastOffset: baseOffset + bytes.readInt32BE(23),
    producerId: Number(bytes.readBigInt64BE(43)),
    epoch: bytes.readInt16BE(51),
    sequence: bytes.readInt32BE(53),
    kind,
    records,
    values: records.map((record) => record.value ?? '(none)'),
  };
}
