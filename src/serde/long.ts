/**
 * 64-bit integers as 8 bytes big-endian, the bytes of Java's `Serdes.Long()`.
 *
 * `writeLong` and `readLong` are also what the windowed key uses. A JavaScript number holds
 * integers exactly up to 2^53 - 1; beyond that there is an error, never a rounded value.
 */
import { EscapementError } from '../errors.ts';
import { kindOf } from './kind-of.ts';
import type { Serde } from './serde.ts';

const LONG_BYTES = 8;
const TWO_TO_32 = 0x1_0000_0000;
const LONG_MIN = -(2n ** 63n);
const LONG_MAX = 2n ** 63n - 1n;

/** Writes a safe integer into 8 bytes. Two 32-bit halves: `writeBigInt64BE` costs 79 ns. */
export function writeLong(value: number, buffer: Buffer, at: number): void {
  const high = Math.floor(value / TWO_TO_32);
  writeHalf(high, buffer, at);
  writeHalf(value - high * TWO_TO_32, buffer, at + 4);
}

/** Reads 8 bytes; throws `SERDE_FAILED` for a value beyond 2^53 - 1. */
export function readLong(buffer: Buffer, at: number): number {
  const value = readHalf(buffer, at) * TWO_TO_32 + (readHalf(buffer, at + 4) >>> 0);
  if (!Number.isSafeInteger(value)) {
    throw new EscapementError('SERDE_FAILED', 'an int64 is beyond 2^53 - 1: use bigintLong()');
  }
  return value;
}

function writeHalf(value: number, buffer: Buffer, at: number): void {
  buffer[at] = value >>> 24;
  buffer[at + 1] = value >>> 16;
  buffer[at + 2] = value >>> 8;
  buffer[at + 3] = value;
}

function readHalf(buffer: Buffer, at: number): number {
  return (
    (buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | (buffer[at + 3]! | 0)
  );
}

/** Why a value is no long, with the mend that there is. */
function unfitLong(value: unknown): string {
  if (typeof value === 'bigint') return 'long() got a bigint: use bigintLong()';
  if (Number.isInteger(value)) return 'long() got an integer beyond 2^53 - 1: use bigintLong()';
  const isFraction = typeof value === 'number' && Number.isFinite(value);
  return `long() got ${isFraction ? 'a fraction' : kindOf(value)}, it writes integers`;
}

function refuseLength(name: string, length: number): void {
  if (length === LONG_BYTES) return;
  throw new EscapementError('SERDE_FAILED', `${name} needs 8 bytes, the record has ${length}`);
}

const LONG: Serde<number> = {
  name: 'long',
  decode(buffer, start, end) {
    refuseLength('long()', end - start);
    return readLong(buffer, start);
  },
  encode(value, buffer, at) {
    if (!Number.isSafeInteger(value)) {
      throw new EscapementError('SERDE_FAILED', unfitLong(value));
    }
    const room = buffer.length - at;
    if (room < LONG_BYTES) return room - LONG_BYTES;
    writeLong(value, buffer, at);
    return at + LONG_BYTES;
  },
};

const BIGINT_LONG: Serde<bigint> = {
  name: 'bigintLong',
  decode(buffer, start, end) {
    refuseLength('bigintLong()', end - start);
    return buffer.readBigInt64BE(start);
  },
  encode(value, buffer, at) {
    if (typeof value !== 'bigint' || value < LONG_MIN || value > LONG_MAX) {
      const got =
        typeof value === 'bigint' ? 'a bigint beyond' : `${kindOf(value)}, it writes bigints of`;
      throw new EscapementError('SERDE_FAILED', `bigintLong() got ${got} 64 bits`);
    }
    const room = buffer.length - at;
    if (room < LONG_BYTES) return room - LONG_BYTES;
    return buffer.writeBigInt64BE(value, at);
  },
};

/** Integers up to 2^53 - 1 in size as numbers; larger ones are `SERDE_FAILED`. Java: `Serdes.Long()`. */
export function long(): Serde<number> {
  return LONG;
}

/** All 64-bit integers, as bigints. The same bytes as `long()`. */
export function bigintLong(): Serde<bigint> {
  return BIGINT_LONG;
}
