/**
 * Reading and writing the bytes that group members exchange through the broker.
 *
 * The consumer protocol's messages (ConsumerProtocolSubscription, ConsumerProtocolAssignment) are not
 * requests: they have no flexible versions and are opaque to all but the group's members and tools.
 *
 * I1. Counts and lengths are bounded by the bytes that are left: a foreign member cannot make this
 *     one allocate without bound.
 */
import { EscapementError } from '../../errors.ts';

export class ByteWriter {
  readonly #parts: Buffer[] = [];

  int8(value: number): this {
    return this.#add(1, (part) => part.writeInt8(value));
  }

  int16(value: number): this {
    return this.#add(2, (part) => part.writeInt16BE(value));
  }

  int32(value: number): this {
    return this.#add(4, (part) => part.writeInt32BE(value));
  }

  string(value: string | null): this {
    if (value === null) return this.int16(-1);
    const bytes = Buffer.from(value, 'utf8');
    this.int16(bytes.length);
    this.#parts.push(bytes);
    return this;
  }

  bytes(value: Buffer | null): this {
    if (value === null) return this.int32(-1);
    this.int32(value.length);
    this.#parts.push(value);
    return this;
  }

  /** As many bytes as the reader asks for. */
  raw(value: Buffer): this {
    this.#parts.push(value);
    return this;
  }

  array<T>(values: readonly T[], write: (value: T) => void): this {
    this.int32(values.length);
    for (const value of values) write(value);
    return this;
  }

  done(): Buffer {
    return Buffer.concat(this.#parts);
  }

  #add(size: number, write: (part: Buffer) => void): this {
    const part = Buffer.alloc(size);
    write(part);
    this.#parts.push(part);
    return this;
  }
}

export class ByteReader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  get left(): number {
    return this.#buffer.length - this.#at;
  }

  int8(): number {
    return this.#buffer.readInt8(this.#take(1));
  }

  int16(): number {
    return this.#buffer.readInt16BE(this.#take(2));
  }

  int32(): number {
    return this.#buffer.readInt32BE(this.#take(4));
  }

  string(): string {
    return this.nullableString() ?? this.#refuse('a string is null');
  }

  nullableString(): string | null {
    const length = this.int16();
    if (length < 0) return null;
    const start = this.#take(length);
    return this.#buffer.toString('utf8', start, start + length);
  }

  bytes(): Buffer | null {
    const length = this.int32();
    if (length < 0) return null;
    const start = this.#take(length);
    return this.#buffer.subarray(start, start + length);
  }

  raw(length: number): Buffer {
    const start = this.#take(length);
    return this.#buffer.subarray(start, start + length);
  }

  array<T>(read: () => T): T[] {
    const count = this.int32();
    if (count < 0 || count > this.left) this.#refuse(`an array of ${count}`);
    const values: T[] = [];
    for (let i = 0; i < count; i++) values.push(read());
    return values;
  }

  #take(length: number): number {
    if (length > this.left) this.#refuse(`${length} bytes wanted`);
    const start = this.#at;
    this.#at += length;
    return start;
  }

  #refuse(what: string): never {
    throw new EscapementError(
      'PROTOCOL_MALFORMED',
      `Group metadata is malformed at byte ${this.#at} of ${this.#buffer.length}: ${what}.`,
    );
  }
}
