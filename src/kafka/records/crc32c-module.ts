/**
 * The inner loop of CRC-32C as a WebAssembly module, put together here instruction by instruction:
 * these lines are its source. Called by `crc32c.ts` alone, once at start.
 *
 * What it exports: `memory`, whose first 16 KiB are for the sixteen tables of 256 words (slice s at
 * s * 1024), and `update(crc, from, to)`, which runs over `memory[from, to)`.
 *
 *   loop over 16 bytes:  low = load64(from) ^ crc, high = load64(from + 8)
 *                        crc = table15[low byte 0] ^ … ^ table8[low byte 7] ^ table7[high byte 0] ^ …
 *   loop over the rest:  crc = (crc >>> 8) ^ table0[(crc ^ byte) & 0xff]
 */
const MAGIC_AND_VERSION = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const TYPE = 1;
const FUNCTION = 3;
const MEMORY = 5;
const EXPORT = 7;
const CODE = 10;
const I32 = 0x7f;
const I64 = 0x7e;
const FUNC = 0x60;
const EXPORT_FUNCTION = 0;
const EXPORT_MEMORY = 2;

const BLOCK = [0x02, 0x40];
const LOOP = [0x03, 0x40];
const END = [0x0b];
const branch = (depth: number): number[] => [0x0c, depth];
const branchIf = (depth: number): number[] => [0x0d, depth];
const get = (local: number): number[] => [0x20, local];
const set = (local: number): number[] => [0x21, local];
const i32 = (value: number): number[] => [0x41, ...signed(value)];
const i64 = (value: number): number[] => [0x42, ...signed(value)];
/** Loads: alignment as a power of two, then the constant part of the address. */
const load32 = (offset: number): number[] => [0x28, 2, ...unsigned(offset)];
const load64 = (offset: number): number[] => [0x29, 0, ...unsigned(offset)];
const load8 = (offset: number): number[] => [0x2d, 0, ...unsigned(offset)];
const GREATER_THAN_UNSIGNED = [0x4b];
const ADD = [0x6a];
const AND = [0x71];
const XOR = [0x73];
const SHIFT_LEFT = [0x74];
const SHIFT_RIGHT_UNSIGNED = [0x76];
const XOR_64 = [0x85];
const SHIFT_RIGHT_UNSIGNED_64 = [0x88];
const WRAP = [0xa7];
const EXTEND_UNSIGNED = [0xad];

const CRC = 0;
const FROM = 1;
const TO = 2;
const LOW = 3;
const HIGH = 4;
const SLICES = 16;
/** Bytes of one table. */
const TABLE_BYTES = 1024;

/** A module of `pages` times 64 KiB of memory. */
export function crc32cModule(pages: number): Uint8Array {
  return Uint8Array.from([
    ...MAGIC_AND_VERSION,
    ...section(TYPE, vector([[FUNC, ...vector([[I32], [I32], [I32]]), ...vector([[I32]])]])),
    ...section(FUNCTION, vector([[0]])),
    ...section(MEMORY, vector([[0, ...unsigned(pages)]])),
    ...section(
      EXPORT,
      vector([
        [...name('update'), EXPORT_FUNCTION, 0],
        [...name('memory'), EXPORT_MEMORY, 0],
      ]),
    ),
    ...section(CODE, vector([sized([...vector([[2, I64]]), ...update(), ...END])])),
  ]);
}

function update(): number[] {
  return [
    ...whileLess(SLICES, [
      ...[...get(CRC), ...EXTEND_UNSIGNED, ...get(FROM), ...load64(0), ...XOR_64, ...set(LOW)],
      ...[...get(FROM), ...load64(8), ...set(HIGH)],
      ...lookUp(LOW, 0, SLICES - 1),
      ...Array.from({ length: 7 }, (_, i) => [...lookUp(LOW, i + 1, 14 - i), ...XOR]).flat(),
      ...Array.from({ length: 8 }, (_, i) => [...lookUp(HIGH, i, 7 - i), ...XOR]).flat(),
      ...set(CRC),
    ]),
    ...whileLess(1, [
      ...[...get(CRC), ...get(FROM), ...load8(0), ...XOR, ...i32(0xff), ...AND],
      ...[...i32(2), ...SHIFT_LEFT, ...load32(0)],
      ...[...get(CRC), ...i32(8), ...SHIFT_RIGHT_UNSIGNED, ...XOR, ...set(CRC)],
    ]),
    ...get(CRC),
  ];
}

/** `while (from + step <= to) { body; from += step }`, with `from + step` written once. */
function whileLess(step: number, body: readonly number[]): number[] {
  return [
    ...BLOCK,
    ...LOOP,
    ...[...get(FROM), ...i32(step), ...ADD, ...get(TO), ...GREATER_THAN_UNSIGNED, ...branchIf(1)],
    ...body,
    ...[...get(FROM), ...i32(step), ...ADD, ...set(FROM), ...branch(0)],
    ...END,
    ...END,
  ];
}

/** The word of table `slice` for one byte of a 64-bit local: its number times 4 is the address. */
function lookUp(local: number, byte: number, slice: number): number[] {
  const address =
    byte === 0
      ? [...get(local), ...WRAP, ...i32(2), ...SHIFT_LEFT]
      : [...get(local), ...i64(8 * byte - 2), ...SHIFT_RIGHT_UNSIGNED_64, ...WRAP];
  return [...address, ...i32(0x3fc), ...AND, ...load32(slice * TABLE_BYTES)];
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...sized(content)];
}

function sized(content: readonly number[]): number[] {
  return [...unsigned(content.length), ...content];
}

function vector(items: readonly (readonly number[])[]): number[] {
  return [...unsigned(items.length), ...items.flat()];
}

function name(text: string): number[] {
  return sized([...Buffer.from(text)]);
}

/** LEB128. */
function unsigned(value: number): number[] {
  const bytes: number[] = [];
  for (; value > 0x7f; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  return [...bytes, value];
}

/** LEB128 of a number that is not negative: the sign bit of the last byte stays clear. */
function signed(value: number): number[] {
  const bytes: number[] = [];
  for (; value > 0x3f; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  return [...bytes, value];
}
