/** Values of Avro's types without parts, within what their logical types allow. */
import fc, { type Arbitrary } from 'fast-check';
import type { LongRepresentation } from '../serde/avro-types.ts';
import type { FixedForm, SimpleForm } from './avro-form.ts';

const DAY_MS = 86_400_000;
/** The years 1 to 9999, which every calendar and every database takes. */
const FIRST_DAY = -719_162;
const LAST_DAY = 2_932_896;
const FIRST_MS = FIRST_DAY * DAY_MS;
const LAST_MS = (LAST_DAY + 1) * DAY_MS - 1;
const LONG_MIN = -(2n ** 63n);
const LONG_MAX = 2n ** 63n - 1n;
const BYTES_MOST = 16;
const CHARACTERS_MOST = 12;

type Range = readonly [min: bigint, max: bigint];

const INT_RANGES: Readonly<Record<string, readonly [min: number, max: number]>> = {
  date: [FIRST_DAY, LAST_DAY],
  'time-millis': [0, DAY_MS - 1],
};

const MILLIS: Range = [BigInt(FIRST_MS), BigInt(LAST_MS)];
const MICROS: Range = [MILLIS[0] * 1_000n, MILLIS[1] * 1_000n + 999n];
const LONG_RANGES: Readonly<Record<string, Range>> = {
  'time-micros': [0n, BigInt(DAY_MS) * 1_000n - 1n],
  'timestamp-millis': MILLIS,
  'local-timestamp-millis': MILLIS,
  'timestamp-micros': MICROS,
  'local-timestamp-micros': MICROS,
};

export function intOf({ logicalType = '' }: SimpleForm): Arbitrary<number> {
  const [min, max] = INT_RANGES[logicalType] ?? [-(2 ** 31), 2 ** 31 - 1];
  return fc.integer({ min, max });
}

/** As numbers: as far as numbers are exact. */
export function longOf(
  { logicalType = '' }: SimpleForm,
  long: LongRepresentation,
): Arbitrary<number | bigint> {
  const [min, max] = LONG_RANGES[logicalType] ?? [LONG_MIN, LONG_MAX];
  if (long === 'bigint') return fc.bigInt({ min, max });
  return fc.integer({
    min: Math.max(Number(min), Number.MIN_SAFE_INTEGER),
    max: Math.min(Number(max), Number.MAX_SAFE_INTEGER),
  });
}

/** Mostly what a keyboard has; halves of surrogate pairs are not text. */
export function stringOf({ logicalType }: SimpleForm): Arbitrary<string> {
  if (logicalType === 'uuid') return fc.uuid();
  return fc.oneof(
    { withCrossShrink: true },
    { weight: 3, arbitrary: fc.string({ unit: 'grapheme-ascii', maxLength: CHARACTERS_MOST }) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: CHARACTERS_MOST }) },
  );
}

export function bytesOf({ logicalType, precision }: SimpleForm): Arbitrary<Buffer> {
  if (logicalType === 'decimal') {
    return unscaled(precision, null).map((value) => twosComplement(value, sizeOf(value)));
  }
  return fc.uint8Array({ maxLength: BYTES_MOST }).map((bytes) => Buffer.from(bytes));
}

export function fixedOf({ size, logicalType, precision }: FixedForm): Arbitrary<Buffer> {
  if (logicalType === 'decimal' && size > 0) {
    const most = 2n ** BigInt(8 * size - 1) - 1n;
    return unscaled(precision, most).map((value) => twosComplement(value, size));
  }
  const bytes = fc.uint8Array({ minLength: size, maxLength: size, size: 'max' });
  return bytes.map((each) => Buffer.from(each));
}

/**
 * Integers of so many digits, within what the bytes hold. A precision that is none makes the logical
 * type void, which Avro says to ignore.
 */
function unscaled(precision: unknown, most: bigint | null): Arbitrary<bigint> {
  const isPrecision = Number.isSafeInteger(precision) && (precision as number) > 0;
  const digits = isPrecision ? 10n ** BigInt(precision as number) - 1n : (most ?? LONG_MAX);
  const max = most !== null && most < digits ? most : digits;
  return fc.bigInt({ min: -max, max });
}

/** Bytes that the value needs with its sign. */
function sizeOf(value: bigint): number {
  let size = 1;
  while (value < -(2n ** BigInt(8 * size - 1)) || value >= 2n ** BigInt(8 * size - 1)) size += 1;
  return size;
}

function twosComplement(value: bigint, size: number): Buffer {
  const hex = BigInt.asUintN(8 * size, value).toString(16);
  return Buffer.from(hex.padStart(2 * size, '0'), 'hex');
}
