/**
 * The two questions for which the broker has to walk the records of a batch: has one no key (on
 * compacted topics), and which is the first of a timestamp (ListOffsets by time).
 */
import { gunzipSync } from 'node:zlib';
import { type BatchHeader, HEADER_BYTES } from './batch-header.ts';

const GZIP = 1;
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/** Position of a walk over records; one object for the whole walk. */
class RecordWalk {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  timestampDelta = 0;
  keyBytes = 0;

  next(): void {
    const length = this.#varint();
    const end = this.#at + length;
    this.#at += 1;
    this.timestampDelta = this.#varint();
    this.#varint();
    this.keyBytes = this.#varint();
    this.#at = end;
  }

  /** Zigzag varint of up to 64 bits as a double. */
  #varint(): number {
    let raw = 0;
    let scale = 1;
    for (;;) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new RangeError('a record runs past its batch');
      raw += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      scale *= 128;
    }
    return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2;
  }
}

/** Null when the codec is not available here: such batches are passed on unread. */
function walk(batch: Buffer, header: BatchHeader): RecordWalk | null {
  if (header.compression === 0) return new RecordWalk(batch, HEADER_BYTES);
  if (header.compression !== GZIP) return null;
  const body = batch.subarray(HEADER_BYTES, header.bytes);
  return new RecordWalk(gunzipSync(body, { maxOutputLength: OUTPUT_BYTES_MAX }), 0);
}

export function hasNullKey(batch: Buffer, header: BatchHeader): boolean {
  const records = walk(batch, header);
  if (records === null) return false;
  for (let index = 0; index < header.count; index++) {
    records.next();
    if (records.keyBytes < 0) return true;
  }
  return false;
}

/** Offset delta and timestamp of the first record at or after `timestamp`, or null. */
export function firstAtOrAfter(
  batch: Buffer,
  header: BatchHeader,
  timestamp: number,
): { delta: number; timestamp: number } | null {
  const records = walk(batch, header);
  if (records === null) return { delta: 0, timestamp: header.maxTimestamp };
  for (let delta = 0; delta < header.count; delta++) {
    records.next();
    const recordTimestamp = header.firstTimestamp + records.timestampDelta;
    if (recordTimestamp >= timestamp) return { delta, timestamp: recordTimestamp };
  }
  return null;
}
