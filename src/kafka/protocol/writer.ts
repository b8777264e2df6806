/**
 * Writes the primitive types of the Kafka protocol into one message.
 *
 * I1. Large byte fields (record batches) are kept aside and copied once, by `finish`.
 * I2. A value outside its type is a defect of the caller: `INVARIANT_VIOLATED` names the field.
 */
import { EscapementError } from '../../errors.ts';

const TWO_TO_32 = 4_294_967_296;
const FIRST_BYTES = 512;
/** From here on a byte field is worth its own piece. */
const PIECE_BYTES_MIN = 2_048;

export class Writer {
  #buffer: Buffer = Buffer.allocUnsafe(FIRST_BYTES);
  #at = 0;
  /** Start of what `#pieces` does not hold yet. */
  #pieceStart = 0;
  readonly #pieces: Buffer[] = [];
  readonly #subject: string;
  /** The field being written, for errors. */
  field = '';

  constructor(subject: string) {
    this.#subject = subject;
  }

  finish(): Buffer {
    const tail = this.#buffer.subarray(this.#pieceStart, this.#at);
    return this.#pieces.length === 0 ? tail : Buffer.concat([...this.#pieces, tail]);
  }

  unfit(value: unknown, need: string): EscapementError {
    return new EscapementError(
      'INVARIANT_VIOLATED',
      `${this.#subject}: field ${this.field} needs ${need}, not ${describe(value)}.`,
    );
  }

  boolean(value: boolean): void {
    if (typeof value !== 'boolean') throw this.unfit(value, 'a boolean');
    this.int8(value ? 1 : 0);
  }

  int8(value: number): void {
    this.#check(value, -0x80, 0x7f);
    const at = this.#reserve(1);
    this.#buffer.writeInt8(value, at);
  }

  int16(value: number): void {
    this.#check(value, -0x8000, 0x7fff);
    const at = this.#reserve(2);
    this.#buffer.writeInt16BE(value, at);
  }

  int32(value: number): void {
    this.#check(value, -0x8000_0000, 0x7fff_ffff);
    const at = this.#reserve(4);
    this.#buffer.writeInt32BE(value, at);
  }

  int64(value: number): void {
    this.#check(value, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    const at = this.#reserve(8);
    const high = Math.floor(value / TWO_TO_32);
    this.#buffer.writeInt32BE(high, at);
    this.#buffer.writeUInt32BE(value - high * TWO_TO_32, at + 4);
  }

  /** Unsigned, at most 32 bits. */
  varint(value: number): void {
    let at = this.#reserve(5);
    while (value >= 0x80) {
      this.#buffer[at++] = (value % 128) | 0x80;
      value = Math.floor(value / 128);
    }
    this.#buffer[at++] = value;
    this.#at = at;
  }

  uuid(value: string): void {
    if (typeof value !== 'string' || !/^[0-9a-f]{32}$/i.test(value)) {
      throw this.unfit(value, '32 hexadecimal digits');
    }
    // Before the buffer is named: making room may replace it.
    const at = this.#reserve(16);
    this.#buffer.write(value, at, 'hex');
  }

  /** The UTF-8 bytes alone, `length` of them. */
  string(value: string, length: number): void {
    const at = this.#reserve(length);
    this.#buffer.write(value, at, 'utf8');
  }

  bytes(value: Uint8Array): void {
    if (value.length < PIECE_BYTES_MIN) {
      const at = this.#reserve(value.length);
      this.#buffer.set(value, at);
      return;
    }
    this.#pieces.push(
      this.#buffer.subarray(this.#pieceStart, this.#at),
      Buffer.from(value.buffer, value.byteOffset, value.length),
    );
    this.#pieceStart = this.#at;
  }

  #check(value: number, min: number, max: number): void {
    if (!Number.isInteger(value) || value < min || value > max) {
      throw this.unfit(value, `an integer from ${min} to ${max}`);
    }
  }

  /** Makes room for `count` bytes and returns where they go. */
  #reserve(count: number): number {
    const start = this.#at;
    if (start + count <= this.#buffer.length) {
      this.#at = start + count;
      return start;
    }
    // Pieces point into the old buffer, so only what no piece holds moves to the new one.
    const pending = this.#buffer.subarray(this.#pieceStart, start);
    const grown = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, pending.length + count));
    grown.set(pending, 0);
    this.#buffer = grown;
    this.#pieceStart = 0;
    this.#at = pending.length + count;
    return pending.length;
  }
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return typeof value === 'object' ? 'an object' : `${typeof value} ${String(value).slice(0, 80)}`;
}
