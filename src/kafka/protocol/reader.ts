/**
 * Reads the primitive types of the Kafka protocol from one message.
 *
 * I1. Nothing is read beyond `end`; nothing is allocated before its bytes are known to be there.
 * I2. Whatever the bytes are, a method returns or throws `PROTOCOL_MALFORMED`.
 */
import { EscapementError } from '../../errors.ts';

const TWO_TO_32 = 4_294_967_296;

export class Reader {
  readonly buffer: Buffer;
  readonly end: number;
  at = 0;
  readonly #subject: string;

  /** `subject` names the message in errors: `Fetch v11 response`. */
  constructor(buffer: Buffer, subject: string) {
    this.buffer = buffer;
    this.end = buffer.length;
    this.#subject = subject;
  }

  get left(): number {
    return this.end - this.at;
  }

  malformed(what: string): EscapementError {
    return new EscapementError(
      'PROTOCOL_MALFORMED',
      `${this.#subject}: ${what} at byte ${this.at} of ${this.end}. ` +
        'Check that the other side speaks the Kafka protocol on this port.',
    );
  }

  /** Passes `count` bytes and returns where they start. */
  take(count: number): number {
    const start = this.at;
    if (count < 0 || count > this.end - start) {
      throw this.malformed(`${count} bytes expected, ${this.end - start} left`);
    }
    this.at = start + count;
    return start;
  }

  boolean(): boolean {
    return this.buffer[this.take(1)] !== 0;
  }

  int8(): number {
    return this.buffer.readInt8(this.take(1));
  }

  int16(): number {
    return this.buffer.readInt16BE(this.take(2));
  }

  int32(): number {
    return this.buffer.readInt32BE(this.take(4));
  }

  int64(): number {
    const start = this.take(8);
    const value = this.buffer.readInt32BE(start) * TWO_TO_32 + this.buffer.readUInt32BE(start + 4);
    if (!Number.isSafeInteger(value)) {
      this.at = start;
      throw this.malformed(`an int64 beyond 2^53 (${value})`);
    }
    return value;
  }

  /** Unsigned, at most 32 bits. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 5; count++) {
      const byte = this.buffer[this.take(1)]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value >= TWO_TO_32) break;
        return value;
      }
      scale *= 128;
    }
    throw this.malformed('a varint of more than 32 bits');
  }

  uuid(): string {
    const start = this.take(16);
    return this.buffer.toString('hex', start, start + 16);
  }

  /** A view, not a copy. */
  view(length: number): Buffer {
    const start = this.take(length);
    return this.buffer.subarray(start, start + length);
  }

  string(length: number): string {
    const start = this.take(length);
    return this.buffer.toString('utf8', start, start + length);
  }
}
