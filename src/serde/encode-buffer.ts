/**
 * Where values become bytes: every key and value that is written passes here, in tests as well.
 *
 * I1. A result counts only when it leaves room behind it. `Buffer.write` cuts off a text that does not
 *     fit and says nothing, so an `encode` built on it would return the end of its room, or up to
 *     three bytes before it, where the next character did not fit: it is asked again with more room.
 * I2. Room is not given without end.
 */
import { EscapementError } from '../errors.ts';
import type { Serde } from './serde.ts';

const FIRST_BYTES = 512;
/** What a cut-off text may leave free: one less than the bytes of the longest character. */
const CUT_BYTES_MAX = 3;
/** I2. More than any record may have. */
const ROOM_BYTES_MAX = 268_435_456;

/** I1. Whether `end` is where a whole value ends, as far as anybody can see. */
export function isWhole(end: number, buffer: Buffer): boolean {
  return end >= 0 && end < buffer.length - CUT_BYTES_MAX;
}

/** A growing buffer to encode one key or value into; its content is valid until the next encode. */
export class EncodeBuffer {
  buffer = Buffer.allocUnsafe(FIRST_BYTES);

  /** Encodes at the start and returns the end. Throws `SERDE_FAILED` and `RECORD_TOO_LARGE`. */
  encode<T>(serde: Serde<T>, value: T): number {
    for (;;) {
      const end = serde.encode(value, this.buffer, 0);
      if (isWhole(end, this.buffer)) return end;
      this.buffer = Buffer.allocUnsafe(wanted(serde.name, end, this.buffer.length));
    }
  }
}

/** The bytes of one value, as nobody else's. */
export function encodedBytes<T>(serde: Serde<T>, value: T): Buffer {
  const scratch = new EncodeBuffer();
  const end = scratch.encode(serde, value);
  return Buffer.from(scratch.buffer.subarray(0, end));
}

/** How much room to offer after `end` was returned for `room` bytes. */
function wanted(name: string, end: number, room: number): number {
  if (!Number.isSafeInteger(end)) {
    throw new EscapementError(
      'SERDE_FAILED',
      `${name}: encode returned ${String(end)}, it must return the position after the value, or ` +
        `minus the number of missing bytes`,
    );
  }
  const least = room - Math.min(end, 0) + CUT_BYTES_MAX + 1;
  const doubled = Math.min(room * 2, ROOM_BYTES_MAX);
  if (least <= ROOM_BYTES_MAX) return Math.max(least, doubled);
  throw new EscapementError(
    'RECORD_TOO_LARGE',
    `${name}: the value does not fit into ${room} bytes: make it smaller, or have encode return ` +
      `the position after the value`,
  );
}
