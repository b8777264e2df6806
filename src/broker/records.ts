/**
 * Where the broker has to walk the records of a batch: has one no key (on compacted topics), which
 * is the first of a timestamp (ListOffsets by time), and which does a compaction keep.
 */
import { HEADER_BYTES } from '../kafka/records/batch-layout.ts';
import { decompress, NO_COMPRESSION } from '../kafka/records/codecs.ts';
import type { BatchHeader } from './batch-header.ts';

/** Position of a walk over records; one object for the whole walk. */
export class RecordWalk {
  readonly bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes;
    this.#at = at;
  }

  /** Where the timestamp delta is, behind length and attributes. */
  timestampStart = 0;
  timestampDelta = 0;
  /** Where the offset delta is. */
  offsetStart = 0;
  offsetDelta = 0;
  keyStart = 0;
  /** -1 for a null key. */
  keyBytes = 0;
  /** -1 for a null value. */
  valueBytes = 0;
  end = 0;

  next(): void {
    const length = this.#varint();
    this.end = this.#at + length;
    if (length < 0 || this.end > this.bytes.length) {
      throw new RangeError('a record runs past its batch');
    }
    this.timestampStart = this.#at + 1;
    this.#at = this.timestampStart;
    this.timestampDelta = this.#varint();
    this.offsetStart = this.#at;
    this.offsetDelta = this.#varint();
    this.keyBytes = this.#varint();
    this.keyStart = this.#at;
    this.#at += Math.max(0, this.keyBytes);
    this.valueBytes = this.#varint();
    this.#at = this.end;
  }

  /** Zigzag varint of up to 64 bits as a double. */
  #varint(): number {
    let raw = 0;
    let scale = 1;
    for (;;) {
      const byte = this.bytes[this.#at++];
      if (byte === undefined) throw new RangeError('a record runs past its batch');
      raw += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      scale *= 128;
    }
    return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2;
  }
}

export function walk(batch: Buffer, header: BatchHeader): RecordWalk {
  if (header.compression === NO_COMPRESSION) return new RecordWalk(batch, HEADER_BYTES);
  return new RecordWalk(
    decompress(header.compression, batch.subarray(HEADER_BYTES, header.bytes)),
    0,
  );
}

/** `unreadable` records are the producer's fault: they fit the CRC but not the format. */
export function keysOf(batch: Buffer, header: BatchHeader): 'given' | 'missing' | 'unreadable' {
  try {
    const records = walk(batch, header);
    for (let index = 0; index < header.count; index++) {
      records.next();
      if (records.keyBytes < 0) return 'missing';
    }
    return 'given';
  } catch {
    return 'unreadable';
  }
}

/** Offset delta and timestamp of the first record at or after `timestamp`, or null. */
export function firstAtOrAfter(
  batch: Buffer,
  header: BatchHeader,
  timestamp: number,
): { delta: number; timestamp: number } | null {
  try {
    const records = walk(batch, header);
    for (let index = 0; index < header.count; index++) {
      records.next();
      const recordTimestamp = header.firstTimestamp + records.timestampDelta;
      if (recordTimestamp >= timestamp) {
        return { delta: records.offsetDelta, timestamp: recordTimestamp };
      }
    }
    return null;
  } catch {
    // Nobody can read this batch, so nobody looks for a record in it.
    return null;
  }
}
