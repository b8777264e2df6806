/**
 * Record batches written and read the plain way, sharing no code with the broker: the oracle of its
 * tests.
 */
import { gzipSync } from 'node:zlib';
import { rawBatches } from '../../src/simulation/oracle/raw-batches.ts';

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
  return [...rawBatches(records ?? Buffer.alloc(0))].map((read) => {
    const found = read.marker === null ? read.records : [];
    const rows = found.map(({ offset, timestamp, key, value }) => ({
      offset,
      timestamp,
      key: key?.toString() ?? '',
      value: value?.toString() ?? null,
    }));
    return {
      baseOffset: read.baseOffset,
      lastOffset: read.lastOffset,
      producerId: read.producerId,
      epoch: read.producerEpoch,
      sequence: read.baseSequence,
      kind: read.marker ?? 'data',
      records: rows,
      values: rows.map(({ value }) => value ?? '(none)'),
    };
  });
}
