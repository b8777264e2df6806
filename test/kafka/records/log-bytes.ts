/**
 * Bytes of a partition's log for tests, and a slow reader of them that shares no code with `src`:
 * BigInt everywhere, objects everywhere.
 */
import { gunzipSync } from 'node:zlib';
import { BatchWriter, sealBatch } from '../../../src/kafka/records/batch-writer.ts';
import type { Compression } from '../../../src/kafka/records/codecs.ts';
import { crc32c } from '../../../src/kafka/records/crc32c.ts';

export interface PlainRecord {
  readonly timestamp: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: readonly { readonly key: string; readonly value: string | null }[];
}

export interface LoggedRecord extends PlainRecord {
  readonly offset: number;
}

export function plainRecord(value: string, key: string | null = null): PlainRecord {
  return { timestamp: 1_000, key, value, headers: [] };
}

export function append(writer: BatchWriter, record: PlainRecord): void {
  const key = record.key === null ? null : Buffer.from(record.key);
  const value = record.value === null ? null : Buffer.from(record.value);
  const headers = record.headers.map((header) => ({
    key: header.key,
    value: header.value === null ? null : Buffer.from(header.value),
  }));
  writer.append(
    record.timestamp,
    key,
    0,
    key?.length ?? -1,
    value,
    0,
    value?.length ?? -1,
    headers.length === 0 ? null : headers,
  );
}

/** Sets what the broker sets, and makes the checksum right for whatever `change` did. */
export function rewritten(batch: Buffer, baseOffset: number, change?: (b: Buffer) => void): Buffer {
  const copy = Buffer.from(batch);
  copy.writeBigInt64BE(BigInt(baseOffset), 0);
  change?.(copy);
  copy.writeUInt32BE(crc32c(copy, 21, copy.length), 17);
  return copy;
}

export interface DataBatch {
  readonly baseOffset: number;
  readonly values: readonly string[];
  /** Absent: not transactional. */
  readonly producerId?: number;
  /** Of the records; default null. */
  readonly key?: string | null;
  readonly compression?: Compression;
}

export function dataBatch(options: DataBatch): Buffer {
  const writer = new BatchWriter({ compression: options.compression ?? 'none' });
  for (const value of options.values) append(writer, plainRecord(value, options.key ?? null));
  const [batch] = writer.take();
  return rewritten(
    sealBatch(batch!, {
      producerId: options.producerId ?? -1,
      producerEpoch: 0,
      baseSequence: 0,
      transactional: options.producerId === undefined ? 'plain' : 'transactional',
    }),
    options.baseOffset,
  );
}

/** A control batch of one record: version 0 and the type in the key. */
export function marker(baseOffset: number, producerId: number, type: number): Buffer {
  const key = String.fromCharCode(0, 0, 0, type);
  const batch = dataBatch({ baseOffset, producerId, values: ['\0\0\0\0\0\0'], key });
  return rewritten(batch, baseOffset, (bytes) => bytes.writeInt16BE(0x30, 21));
}

export const ABORT = 0;
export const COMMIT = 1;

/** What compaction leaves of a producer's last batch: a header without records. */
export function emptyBatch(baseOffset: number, lastOffset: number, producerId = -1): Buffer {
  const header = dataBatch({ baseOffset, values: ['x'], producerId }).subarray(0, 61);
  return rewritten(header, baseOffset, (bytes) => {
    bytes.writeInt32BE(61 - 12, 8);
    bytes.writeInt32BE(lastOffset - baseOffset, 23);
    bytes.writeInt32BE(0, 57);
  });
}

class SlowReader {
  readonly #bytes: Buffer;
  readonly #encoding: 'utf8' | 'latin1';
  at = 0;

  constructor(bytes: Buffer, encoding: 'utf8' | 'latin1') {
    this.#bytes = bytes;
    this.#encoding = encoding;
  }

  varint(): bigint {
    let raw = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.#bytes[this.at++];
      if (byte === undefined) throw new RangeError('a record runs past its batch');
      raw |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, (raw >> 1n) ^ -(raw & 1n));
    }
  }

  text(encoding = this.#encoding): string | null {
    const length = Number(this.varint());
    if (length < 0) return null;
    this.at += length;
    return this.#bytes.toString(encoding, this.at - length, this.at);
  }
}

/** Every record of every batch, control records and aborted data too. */
export function readSlowly(log: Buffer, encoding: 'utf8' | 'latin1' = 'utf8'): LoggedRecord[] {
  const records: LoggedRecord[] = [];
  for (let at = 0; at < log.length; at += 12 + log.readInt32BE(at + 8)) {
    const body = log.subarray(at + 61, at + 12 + log.readInt32BE(at + 8));
    const content = (log.readInt16BE(at + 21) & 7) === 1 ? gunzipSync(body) : body;
    const reader = new SlowReader(content, encoding);
    for (let left = log.readInt32BE(at + 57); left > 0; left--) {
      const end = Number(reader.varint()) + reader.at;
      reader.at += 1;
      const timestamp = Number(log.readBigInt64BE(at + 27) + reader.varint());
      const offset = Number(log.readBigInt64BE(at) + reader.varint());
      const key = reader.text();
      const value = reader.text();
      const headers = Array.from({ length: Number(reader.varint()) }, () => ({
        key: reader.text('utf8')!,
        value: reader.text(),
      }));
      if (reader.at !== end) throw new Error(`the record at ${offset} has another length`);
      records.push({ offset, timestamp, key, value, headers });
    }
  }
  return records;
}
