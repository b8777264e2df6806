/**
 * The Avro wire format of values, bounded and strict: what avsc's types read from and write to.
 *
 * Stands in for avsc's own `Tap`, which runs past the end and is asked afterwards whether it did,
 * takes any byte as a boolean, rounds long integers and replaces invalid UTF-8. One cursor serves
 * a serde for its whole life; it keeps no buffer after a value.
 *
 * I1. Nothing is read outside `[start, end)`: the first byte that is missing throws.
 * I2. A value costs at most its bytes plus ZERO_SIZE_ITEMS_MAX steps, whatever counts it claims.
 * I3. Integers are exact or refused.
 * I4. Writing never touches bytes after the value or outside the buffer; when the value does not
 *     fit, `position` still ends where it would have.
 */
import { EscapementError } from '../errors.ts';
import { readUtf8, utf8Length, writeUtf8 } from './utf8.ts';

/** Items that take no byte (nulls, empty records) in one value: a count alone could ask for 2^63. */
const ZERO_SIZE_ITEMS_MAX = 65_536;
/** Nesting of arrays, maps and unions: a recursive schema must not exhaust the stack. */
const DEPTH_MAX = 1_000;

const TWO_TO_27 = 2 ** 27;
const TWO_TO_55 = 2 ** 55;

const EMPTY = Buffer.alloc(0);

function refuse(what: string): never {
  throw new EscapementError('SERDE_FAILED', what);
}

export class AvroCursor {
  buffer: Buffer = EMPTY;
  position = 0;
  #end = 0;
  #depth = 0;
  #zeroSizeItems = 0;
  /** The last varint, in parts of 28, 28 and 8 bits. */
  #low = 0;
  #middle = 0;
  #high = 0;

  open(buffer: Buffer, start: number, end: number): void {
    this.buffer = buffer;
    this.position = start;
    this.#end = end;
    this.#depth = 0;
    this.#zeroSizeItems = 0;
  }

  close(): void {
    this.buffer = EMPTY;
  }

  /** avsc's name for the position: its generated code peeks at fields with two aliases. */
  get pos(): number {
    return this.position;
  }
  set pos(position: number) {
    this.position = position;
  }

  // Bounds.

  #take(count: number): number {
    const at = this.position;
    if (count < 0 || count > this.#end - at) {
      refuse(`Avro: ${count} bytes wanted at byte ${at}, ${this.#end - at} left`);
    }
    this.position = at + count;
    return at;
  }

  enter(): void {
    this.#depth += 1;
    if (this.#depth > DEPTH_MAX) refuse(`Avro: values nested deeper than ${DEPTH_MAX}`);
  }

  leave(): void {
    this.#depth -= 1;
  }

  /** I2. To be called after each item of an array with the position before it. */
  countItem(before: number): void {
    if (this.position !== before) return;
    this.#zeroSizeItems += 1;
    if (this.#zeroSizeItems > ZERO_SIZE_ITEMS_MAX) {
      refuse(`Avro: more than ${ZERO_SIZE_ITEMS_MAX} array items without a byte`);
    }
  }

  // Integers.

  /** Reads a zigzag varint of at most 10 bytes into the three parts. */
  #readVarint(): void {
    const { buffer } = this;
    let at = this.position;
    const last = Math.min(this.#end, at + 10);
    let low = 0;
    let middle = 0;
    let high = 0;
    let shift = 0;
    for (;;) {
      if (at >= last) {
        refuse(
          last === this.#end && last < this.position + 10
            ? 'Avro: the value ends within an integer'
            : 'Avro: an integer of more than 64 bits',
        );
      }
      const byte = buffer[at]!;
      at += 1;
      if (shift < 28) low |= (byte & 0x7f) << shift;
      else if (shift < 56) middle |= (byte & 0x7f) << (shift - 28);
      else high |= (byte & 0x7f) << (shift - 56);
      if (byte < 0x80) break;
      shift += 7;
    }
    if (high > 0xff) refuse('Avro: an integer of more than 64 bits');
    this.position = at;
    this.#low = low;
    this.#middle = middle;
    this.#high = high;
  }

  readInt(): number {
    const value = this.readLong();
    if (value !== (value | 0)) refuse(`Avro: ${value} is beyond the 32 bits of an int`);
    return value;
  }

  /** I3. Up to 2^53 - 1 in size. */
  readLong(): number {
    const at = this.position;
    if (at < this.#end) {
      const first = this.buffer[at]!;
      if (first < 0x80) {
        this.position = at + 1;
        return (first >>> 1) ^ -(first & 1);
      }
    }
    this.#readVarint();
    const magnitude = this.#magnitude();
    const value = (this.#low & 1) === 0 ? magnitude : -magnitude - 1;
    if (!Number.isSafeInteger(value)) {
      refuse(`Avro: the long ${this.#exact()} is beyond 2^53 - 1: use long: 'bigint'`);
    }
    return value;
  }

  readBigLong(): bigint {
    this.#readVarint();
    return this.#exact();
  }

  /** For promotion to a double, which rounds as Java's does. */
  readRoundedLong(): number {
    this.#readVarint();
    return Number(this.#exact());
  }

  #magnitude(): number {
    return (this.#low >>> 1) + this.#middle * TWO_TO_27 + this.#high * TWO_TO_55;
  }

  #exact(): bigint {
    const magnitude =
      (BigInt(this.#high) << 55n) | (BigInt(this.#middle) << 27n) | BigInt(this.#low >>> 1);
    return (this.#low & 1) === 0 ? magnitude : -magnitude - 1n;
  }

  skipInt(): void {
    this.#readVarint();
  }
  skipLong(): void {
    this.#readVarint();
  }

  writeInt(value: number): void {
    this.writeLong(value);
  }

  /** `value` is a safe integer; the types have checked it. */
  writeLong(value: number): void {
    if (value >= -0x4000_0000 && value < 0x4000_0000) {
      let rest = ((value << 1) ^ (value >> 31)) >>> 0;
      while (rest > 0x7f) {
        this.#writeByte((rest & 0x7f) | 0x80);
        rest >>>= 7;
      }
      this.#writeByte(rest);
      return;
    }
    // Doubling leaves the exact range of a number, so the value goes out as magnitude and sign.
    let magnitude = value < 0 ? -value - 1 : value;
    const first = (magnitude % 64) * 2 + (value < 0 ? 1 : 0);
    magnitude = Math.floor(magnitude / 64);
    this.#writeByte(first | (magnitude > 0 ? 0x80 : 0));
    while (magnitude > 0x7f) {
      this.#writeByte((magnitude % 128) | 0x80);
      magnitude = Math.floor(magnitude / 128);
    }
    if (magnitude > 0) this.#writeByte(magnitude);
  }

  writeBigLong(value: bigint): void {
    let rest = BigInt.asUintN(64, value < 0n ? ~(value << 1n) : value << 1n);
    while (rest > 0x7fn) {
      this.#writeByte(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.#writeByte(Number(rest));
  }

  #writeByte(byte: number): void {
    if (this.position < this.#end) this.buffer[this.position] = byte;
    this.position += 1;
  }

  // Booleans and floating point.

  readBoolean(): boolean {
    const byte = this.buffer[this.#take(1)]!;
    if (byte > 1) refuse(`Avro: the byte ${byte} is no boolean`);
    return byte === 1;
  }
  skipBoolean(): void {
    this.#take(1);
  }
  writeBoolean(value: boolean): void {
    this.#writeByte(value ? 1 : 0);
  }

  readFloat(): number {
    return this.buffer.readFloatLE(this.#take(4));
  }
  skipFloat(): void {
    this.#take(4);
  }
  writeFloat(value: number): void {
    const at = this.position;
    this.position += 4;
    if (this.position <= this.#end) this.buffer.writeFloatLE(value, at);
  }

  readDouble(): number {
    return this.buffer.readDoubleLE(this.#take(8));
  }
  skipDouble(): void {
    this.#take(8);
  }
  writeDouble(value: number): void {
    const at = this.position;
    this.position += 8;
    if (this.position <= this.#end) this.buffer.writeDoubleLE(value, at);
  }

  // Bytes and strings.

  readFixed(size: number): Buffer {
    const at = this.#take(size);
    const copy = Buffer.allocUnsafeSlow(size);
    this.buffer.copy(copy, 0, at, at + size);
    return copy;
  }
  skipFixed(size: number): void {
    this.#take(size);
  }
  writeFixed(value: Uint8Array): void {
    const at = this.position;
    this.position += value.length;
    if (this.position <= this.#end) this.buffer.set(value, at);
  }

  readBytes(): Buffer {
    return this.readFixed(this.readLong());
  }
  skipBytes(): void {
    this.#take(this.readLong());
  }
  writeBytes(value: Uint8Array): void {
    this.writeLong(value.length);
    this.writeFixed(value);
  }

  readString(): string {
    const length = this.readLong();
    const at = this.#take(length);
    return readUtf8(this.buffer, at, at + length);
  }
  skipString(): void {
    this.#take(this.readLong());
  }
  writeString(value: string): void {
    const length = utf8Length(value);
    this.writeLong(length);
    const at = this.position;
    this.position += length;
    if (this.position <= this.#end) writeUtf8(value, this.buffer, at);
  }
}
