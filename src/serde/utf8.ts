/**
 * UTF-8 in both directions, strict: what is read back is what was written, or it is an error.
 *
 * Owned by the serdes. Per record and per string, so no Buffer object and no closure is made:
 * `utf8Slice` and `utf8Write` are the calls underneath `toString` and `write`, without their
 * argument handling (about 100 ns against 180 for 100 bytes).
 *
 * I1. Invalid UTF-8 is refused: replaced characters would make two different keys equal.
 * I2. A lone surrogate is refused: it has no UTF-8 form, a replacement would lose it silently.
 */
import { isUtf8 } from 'node:buffer';
import { EscapementError } from '../errors.ts';

/** What Node's Buffer offers on 20 and 24 but its types leave out. */
interface RawBuffer {
  utf8Slice(start: number, end: number): string;
  utf8Write(text: string, at: number, room: number): number;
}
interface WellFormed {
  isWellFormed(): boolean;
}

const REPLACEMENT = '\ufffd';
/** Below this length a loop over the characters is faster than the call into Node. */
const LOOP_LENGTH_MAX = 16;

/** Reads `buffer[start, end)`; throws `SERDE_FAILED` when it is not UTF-8. */
export function readUtf8(buffer: Buffer, start: number, end: number): string {
  const text = (buffer as unknown as RawBuffer).utf8Slice(start, end);
  // A one-byte string cannot contain the replacement character, and V8 knows: this costs nothing.
  if (text.includes(REPLACEMENT) && !isUtf8(buffer.subarray(start, end))) {
    throw new EscapementError(
      'SERDE_FAILED',
      `${end - start} bytes are not valid UTF-8: decode them as bytes() or mend the producer`,
    );
  }
  return text;
}

/** Length of the UTF-8 form; throws `SERDE_FAILED` for a lone surrogate. */
export function utf8Length(text: string): number {
  const length = Buffer.byteLength(text);
  if (length !== text.length) refuseLoneSurrogate(text);
  return length;
}

/**
 * Writes `text` at `at` and returns the position after it, or minus the number of missing bytes.
 */
export function writeUtf8(text: string, buffer: Buffer, at: number): number {
  const room = buffer.length - at;
  const length = text.length;
  if (length <= LOOP_LENGTH_MAX && length <= room) {
    let index = 0;
    while (index < length) {
      const code = text.charCodeAt(index);
      if (code > 0x7f) break;
      buffer[at + index] = code;
      index += 1;
    }
    if (index === length) return at + length;
  }
  if (length * 3 > room) {
    const needed = utf8Length(text);
    if (needed > room) return room - needed;
  }
  const written = (buffer as unknown as RawBuffer).utf8Write(text, at, room);
  if (written !== length) refuseLoneSurrogate(text);
  return at + written;
}

function refuseLoneSurrogate(text: string): void {
  if ((text as unknown as WellFormed).isWellFormed()) return;
  throw new EscapementError(
    'SERDE_FAILED',
    'a string with a lone surrogate has no UTF-8 form: repair it with toWellFormed() first',
  );
}
