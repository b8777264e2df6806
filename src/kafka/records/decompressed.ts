/**
 * Where the decoders of LZ4 and zstd write to: bytes that grow, copied in or repeated from before.
 *
 * I1. It grows only by bytes that exist or matches that lie behind, and never beyond `bytesMax`.
 */

/** `copy` costs more than a loop below this many bytes. */
const COPY_BYTES_MIN = 48;

export class Decompressed {
  #buffer: Buffer;
  #at = 0;
  readonly #bytesMax: number;

  constructor(inputBytes: number, bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#buffer = Buffer.allocUnsafe(Math.min(bytesMax, 4 * inputBytes));
  }

  get bytes(): number {
    return this.#at;
  }

  finish(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }

  literals(input: Buffer, start: number, length: number): void {
    this.#reserve(length);
    const buffer = this.#buffer;
    let at = this.#at;
    this.#at = at + length;
    if (length >= COPY_BYTES_MIN) input.copy(buffer, at, start, start + length);
    else for (const end = start + length; start < end; ) buffer[at++] = input[start++]!;
  }

  fill(byte: number, length: number): void {
    this.#reserve(length);
    this.#buffer.fill(byte, this.#at, this.#at + length);
    this.#at += length;
  }

  /** Source and target may overlap: a distance below the length repeats what was just written. */
  match(distance: number, length: number, start = 0): void {
    let from = this.#at - distance;
    if (distance <= 0 || from < start) throw new RangeError('a match lies before the output');
    this.#reserve(length);
    const buffer = this.#buffer;
    let at = this.#at;
    this.#at = at + length;
    if (length >= COPY_BYTES_MIN && distance >= length) {
      buffer.copyWithin(at, from, from + length);
      return;
    }
    for (const end = at + length; at < end; ) buffer[at++] = buffer[from++]!;
  }

  #reserve(count: number): void {
    const need = this.#at + count;
    if (need <= this.#buffer.length) return;
    if (need > this.#bytesMax) throw new RangeError('the output is larger');
    const bytes = Math.min(this.#bytesMax, Math.max(2 * this.#buffer.length, need));
    const grown = Buffer.allocUnsafe(bytes);
    this.#buffer.copy(grown, 0, 0, this.#at);
    this.#buffer = grown;
  }
}
