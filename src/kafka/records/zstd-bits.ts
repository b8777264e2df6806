/**
 * Bit streams of zstd that are read from their end: the last byte's highest set bit marks where
 * (RFC 8878, section 4.1.1).
 *
 * I1. No bit before the start is handed out: `read` throws, `peek` pads with zeros.
 */
export class BackwardBits {
  readonly #buffer: Buffer;
  readonly #start: number;
  /** Bits that were not read. */
  left: number;

  constructor(buffer: Buffer, start: number, end: number) {
    const last = end > start ? buffer[end - 1]! : 0;
    if (last === 0) throw new RangeError('a bit stream has no end mark');
    this.#buffer = buffer;
    this.#start = start;
    this.left = (end - start - 1) * 8 + (31 - Math.clz32(last));
  }

  /** Up to 31 bits. */
  read(count: number): number {
    if (count > 24) return this.read(count - 16) * 65_536 + this.read(16);
    this.left -= count;
    if (this.left < 0) throw new RangeError('a bit stream is used up');
    return this.#bitsAt(this.left, count);
  }

  /** The next bits, at most 24, without passing them; zeros follow the start of the stream. */
  peek(count: number): number {
    const from = this.left - count;
    return from >= 0 ? this.#bitsAt(from, count) : this.#bitsAt(0, this.left) << -from;
  }

  skip(count: number): void {
    this.left -= count;
    if (this.left < 0) throw new RangeError('a bit stream is used up');
  }

  #bitsAt(position: number, count: number): number {
    const buffer = this.#buffer;
    const at = this.#start + (position >>> 3);
    const word =
      buffer[at]! | (buffer[at + 1]! << 8) | (buffer[at + 2]! << 16) | (buffer[at + 3]! << 24);
    return (word >>> (position & 7)) & ((1 << count) - 1);
  }
}
