import { EscapementError } from '../errors.ts';
import { kindOf } from './kind-of.ts';
import type { Serde } from './serde.ts';

const BYTES: Serde<Buffer> = {
  name: 'bytes',
  decode(buffer, start, end) {
    // Slow allocation: a slice of Node's shared pool would pin 8 KiB per kept value.
    const copy = Buffer.allocUnsafeSlow(end - start);
    buffer.copy(copy, 0, start, end);
    return copy;
  },
  encode(value, buffer, at) {
    if (!(value instanceof Uint8Array)) {
      throw new EscapementError('SERDE_FAILED', `bytes() got ${kindOf(value)}`);
    }
    const room = buffer.length - at;
    if (value.length > room) return room - value.length;
    buffer.set(value, at);
    return at + value.length;
  },
};

/** Bytes as they are, copied out of the record: Java's `Serdes.ByteArray()`. */
export function bytes(): Serde<Buffer> {
  return BYTES;
}
