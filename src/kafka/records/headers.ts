/**
 * Record headers: read when somebody looks at them, written when there are any.
 *
 * I1. Reading is linear in the bytes and bounded in both count and bytes: a record with ten thousand
 *     headers must not hold up its partition for ever.
 * I2. Order and duplicates are kept.
 */
import { EscapementError } from '../../errors.ts';

export interface Header {
  readonly key: string;
  readonly value: Buffer | null;
}

export interface HeaderLimits {
  readonly headersMax: number;
  readonly headerBytesMax: number;
}

/** Where nobody sets others. */
const LIMITS: HeaderLimits = { headersMax: 1_000, headerBytesMax: 64 * 1024 };

/**
 * The headers that begin at `start`. Values are views into `buffer`.
 * Throws `RECORD_UNDECODABLE` for more headers or bytes than the limits allow, or malformed ones.
 */
export function readHeaders(
  buffer: Buffer,
  start: number,
  count: number,
  limits: HeaderLimits = LIMITS,
): Header[] {
  if (count > limits.headersMax) {
    throw undecodable(`${count} headers exceed the ${limits.headersMax} allowed (headersMax)`);
  }
  const walk = new HeaderWalk(buffer, start, limits.headerBytesMax);
  const headers: Header[] = [];
  for (let index = 0; index < count; index++) {
    const keyBytes = walk.length();
    if (keyBytes < 0) throw undecodable('a header without a key');
    const keyStart = walk.pass(keyBytes);
    const key = buffer.toString('utf8', keyStart, keyStart + keyBytes);
    const valueBytes = walk.length();
    if (valueBytes < 0) {
      headers.push({ key, value: null });
      continue;
    }
    const valueStart = walk.pass(valueBytes);
    headers.push({ key, value: buffer.subarray(valueStart, valueStart + valueBytes) });
  }
  return headers;
}

class HeaderWalk {
  readonly #buffer: Buffer;
  readonly #bytesMax: number;
  readonly #end: number;
  #at: number;

  constructor(buffer: Buffer, start: number, bytesMax: number) {
    this.#buffer = buffer;
    this.#bytesMax = bytesMax;
    this.#at = start;
    this.#end = Math.min(buffer.length, start + bytesMax);
  }

  /** Passes `count` bytes and returns where they start. */
  pass(count: number): number {
    const start = this.#at;
    if (count > this.#end - start) {
      const allowed = `${this.#bytesMax} bytes allowed (headerBytesMax)`;
      throw undecodable(`headers exceed the ${allowed}, or their record`);
    }
    this.#at = start + count;
    return start;
  }

  /** A zigzag varint of at most 32 bits; every negative length is null. */
  length(): number {
    let raw = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#buffer[this.pass(1)]!;
      raw |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (raw >>> 1) ^ -(raw & 1);
    }
    throw undecodable('a header length of more than 32 bits');
  }
}

function undecodable(what: string): EscapementError {
  return new EscapementError(
    'RECORD_UNDECODABLE',
    `Headers of a record: ${what}. Write fewer headers, or let the source skip such records.`,
  );
}
