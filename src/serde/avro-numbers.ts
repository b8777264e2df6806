/**
 * Avro's numbers: longs that are exact or fail their record, and promotions that round as Java's do.
 */
import type { AvroCursor } from './avro-cursor.ts';
import { type AvroType, type Resolver, refuse, types } from './avsc-types.ts';
import { kindOf } from './kind-of.ts';

const LONG_MIN = -(2n ** 63n);
const LONG_MAX = 2n ** 63n - 1n;

function readSafeLong(cursor: AvroCursor): number {
  return cursor.readLong();
}
function readBigLong(cursor: AvroCursor): bigint {
  return cursor.readBigLong();
}

export class SafeLong extends types.LongType {
  override _read(cursor: AvroCursor): unknown {
    return cursor.readLong();
  }
  override _write(cursor: AvroCursor, value: unknown): void {
    if (!Number.isSafeInteger(value)) {
      const isWhole = Number.isInteger(value) || typeof value === 'bigint';
      const mend = isWhole ? ": use the option long: 'bigint'" : '';
      refuse(`Avro: a long is a whole number up to 2^53 - 1, the value is ${got(value)}${mend}`);
    }
    cursor.writeLong(value as number);
  }
  override _update(resolver: Resolver, writer: AvroType): void {
    if (writer.typeName === 'long' || writer.typeName === 'int') resolver._read = readSafeLong;
  }
}

export class BigLong extends types.LongType {
  override _read(cursor: AvroCursor): unknown {
    return cursor.readBigLong();
  }
  override _write(cursor: AvroCursor, value: unknown): void {
    if (typeof value === 'number' && Number.isSafeInteger(value)) {
      cursor.writeLong(value);
    } else if (typeof value === 'bigint' && value >= LONG_MIN && value <= LONG_MAX) {
      // Defaults are encoded once while a schema is parsed, through a cursor of avsc's own.
      if (cursor.writeBigLong === undefined) cursor.writeLong(Number(value));
      else cursor.writeBigLong(value);
    } else {
      refuse(`Avro: a long is an integer of 64 bits, the value is ${got(value)}`);
    }
  }
  override _update(resolver: Resolver, writer: AvroType): void {
    if (writer.typeName === 'long' || writer.typeName === 'int') resolver._read = readBigLong;
  }
  override _copy(value: unknown): unknown {
    if (typeof value === 'bigint') return value;
    if (!Number.isSafeInteger(value)) refuse(`Avro: ${got(value)} is no default for a long`);
    return BigInt(value as number);
  }
}

export class RoundedDouble extends types.DoubleType {
  override _update(resolver: Resolver, writer: AvroType): void {
    if (writer.typeName === 'double') resolver._read = this._read;
    if (writer.typeName === 'float') resolver._read = (cursor) => cursor.readFloat();
    if (writer.typeName === 'int') resolver._read = (cursor) => cursor.readInt();
    if (writer.typeName === 'long') resolver._read = (cursor) => cursor.readRoundedLong();
  }
}

export class RoundedFloat extends types.FloatType {
  override _update(resolver: Resolver, writer: AvroType): void {
    if (writer.typeName === 'float') resolver._read = this._read;
    if (writer.typeName === 'int' || writer.typeName === 'long') {
      resolver._read = (cursor) => Math.fround(cursor.readRoundedLong());
    }
  }
}

function got(value: unknown): string {
  if (typeof value !== 'number' || !Number.isFinite(value)) return kindOf(value);
  return Number.isInteger(value) ? 'an integer beyond that' : 'a fraction';
}
