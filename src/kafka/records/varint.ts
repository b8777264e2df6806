/**
 * Zigzag varints of record batches, on the writing side. Small enough to be inlined.
 */

/** Bytes of a zigzag varint of 32 bits. */
export function varintBytes(value: number): number {
  const raw = ((value << 1) ^ (value >> 31)) >>> 0;
  if (raw < 0x80) return 1;
  if (raw < 0x4000) return 2;
  if (raw < 0x20_0000) return 3;
  return raw < 0x1000_0000 ? 4 : 5;
}

/** Writes a zigzag varint of 32 bits and returns the position behind it. */
export function writeVarint(buffer: Buffer, at: number, value: number): number {
  let raw = ((value << 1) ^ (value >> 31)) >>> 0;
  while (raw >= 0x80) {
    buffer[at++] = (raw & 0x7f) | 0x80;
    raw >>>= 7;
  }
  buffer[at++] = raw;
  return at;
}

/** Largest magnitude whose zigzag form is still an exact double. */
export const VARLONG_MAX = 2 ** 52;

const INT32_MAX = 0x7fff_ffff;

/** Bytes of a zigzag varint of up to `VARLONG_MAX`. */
export function varlongBytes(value: number): number {
  if (value <= INT32_MAX && value >= -INT32_MAX) return varintBytes(value);
  let raw = value < 0 ? -2 * value - 1 : 2 * value;
  let count = 1;
  for (; raw >= 0x80; raw = Math.floor(raw / 128)) count += 1;
  return count;
}

/** Writes a zigzag varint of up to `VARLONG_MAX` and returns the position behind it. */
export function writeVarlong(buffer: Buffer, at: number, value: number): number {
  if (value <= INT32_MAX && value >= -INT32_MAX) return writeVarint(buffer, at, value);
  let raw = value < 0 ? -2 * value - 1 : 2 * value;
  for (; raw >= 0x80; raw = Math.floor(raw / 128)) buffer[at++] = (raw % 128) | 0x80;
  buffer[at++] = raw;
  return at;
}
