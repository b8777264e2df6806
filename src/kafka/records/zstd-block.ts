/**
 * Compressed blocks of zstd: literals, and sequences that interleave them with matches (RFC 8878,
 * section 3.1.1.3).
 *
 * I1. A block yields at most 128 KiB, so the work is bounded by input and output.
 * I2. What one block leaves to the next (tables, offsets) is in `BlockState`, new for each frame.
 */
import type { Decompressed } from './decompressed.ts';
import { BackwardBits } from './zstd-bits.ts';
import { type FseTable, fseOfOne, fseTable, nextState, readFseTable } from './zstd-fse.ts';
import { type HuffmanTable, readHuffmanStream, readHuffmanTable } from './zstd-huffman.ts';

export const BLOCK_BYTES_MAX = 131_072;

export class BlockState {
  huffman: HuffmanTable | null = null;
  readonly tables: (FseTable | null)[] = [null, null, null];
  /** Distances of the last matches, newest first. */
  readonly offsets: [number, number, number] = [1, 4, 8];
  /** Where the frame's output begins: no match reaches back beyond it. */
  readonly start: number;

  constructor(start: number) {
    this.start = start;
  }
}

interface Literals {
  readonly buffer: Buffer;
  readonly start: number;
  readonly length: number;
  /** Behind the literals in the block. */
  readonly end: number;
}

const literalsBuffer = Buffer.allocUnsafeSlow(BLOCK_BYTES_MAX);

export function readBlock(
  input: Buffer,
  at: number,
  end: number,
  state: BlockState,
  output: Decompressed,
): void {
  const before = output.bytes;
  const literals = readLiterals(input, at, end, state);
  readSequences(input, end, literals, state, output);
  if (output.bytes - before > BLOCK_BYTES_MAX) throw new RangeError('a block is too large');
}

const RAW = 0;
const RLE = 1;
const TREE = 2;

function readLiterals(input: Buffer, at: number, end: number, state: BlockState): Literals {
  const first = byteAt(input, at, end);
  const kind = first & 3;
  const format = (first >> 2) & 3;
  if (kind === RAW || kind === RLE) {
    const headerBytes = format === 1 ? 2 : format === 3 ? 3 : 1;
    const header = little(input, at, headerBytes, end);
    const length = headerBytes === 1 ? header >> 3 : header >> 4;
    checkLength(length);
    const start = at + headerBytes;
    if (kind === RAW) {
      if (start + length > end) throw new RangeError('literals are cut off');
      return { buffer: input, start, length, end: start + length };
    }
    literalsBuffer.fill(byteAt(input, start, end), 0, length);
    return { buffer: literalsBuffer, start: 0, length, end: start + 1 };
  }
  const headerBytes = format < 2 ? 3 : format + 2;
  const width = format < 2 ? 10 : format === 2 ? 14 : 18;
  const sizes = Math.floor(little(input, at, headerBytes, end) / 16);
  const length = sizes % (1 << width);
  const start = at + headerBytes;
  const stop = start + (Math.floor(sizes / (1 << width)) % (1 << width));
  checkLength(length);
  if (stop > end) throw new RangeError('literals are cut off');
  let from = start;
  if (kind === TREE) {
    const { table, end: treeEnd } = readHuffmanTable(input, start, stop);
    state.huffman = table;
    from = treeEnd;
  }
  if (state.huffman === null) throw new RangeError('literals without a tree');
  if (format === 0) readHuffmanStream(state.huffman, input, from, stop, literalsBuffer, 0, length);
  else readFourStreams(state.huffman, input, from, stop, length);
  return { buffer: literalsBuffer, start: 0, length, end: stop };
}

const JUMP_BYTES = 6;

function readFourStreams(
  table: HuffmanTable,
  input: Buffer,
  at: number,
  end: number,
  length: number,
): void {
  if (at + JUMP_BYTES > end) throw new RangeError('literals are cut off');
  const part = (length + 3) >> 2;
  let start = at + JUMP_BYTES;
  for (let index = 0; index < 4; index++) {
    const stop = index === 3 ? end : start + input.readUInt16LE(at + 2 * index);
    const from = index * part;
    const to = index === 3 ? length : from + part;
    if (stop > end || from > length || to > length) throw new RangeError('literals are cut off');
    readHuffmanStream(table, input, start, stop, literalsBuffer, from, to);
    start = stop;
  }
}

const LITERAL_LENGTHS = 0;
const OFFSETS = 1;
const MATCH_LENGTHS = 2;

/** Base value and number of extra bits by code; codes below are their own value, without bits. */
const LITERAL_BASES = [
  16, 18, 20, 22, 24, 28, 32, 40, 48, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768,
  65536,
];
const LITERAL_BITS = [1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const MATCH_BASES = [
  35, 37, 39, 41, 43, 47, 51, 59, 67, 83, 99, 131, 259, 515, 1027, 2051, 4099, 8195, 16387, 32771,
  65539,
];
const MATCH_BITS = [1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const LITERAL_CODES_PLAIN = 16;
const MATCH_CODES_PLAIN = 32;
const MATCH_LEAST = 3;

/** By kind of code. */
const LIMITS = [
  { logMax: 9, symbolMax: 35 },
  { logMax: 8, symbolMax: 31 },
  { logMax: 9, symbolMax: 52 },
] as const;

const PREDEFINED: readonly FseTable[] = [
  fseTable(
    // biome-ignore format: one distribution
    [4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1,
      -1, -1, -1, -1],
    6,
  ),
  fseTable(
    // biome-ignore format: one distribution
    [1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1],
    5,
  ),
  fseTable(
    // biome-ignore format: one distribution
    [1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
      1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1],
    6,
  ),
];

function readSequences(
  input: Buffer,
  end: number,
  literals: Literals,
  state: BlockState,
  output: Decompressed,
): void {
  const { buffer, end: at } = literals;
  let literalsAt = literals.start;
  const literalsEnd = literals.start + literals.length;
  const { count, end: modesAt } = readCount(input, at, end);
  if (count > 0) {
    const stream = new BackwardBits(input, readTables(input, modesAt, end, state), end);
    const [lengths, offsets, matches] = state.tables as [FseTable, FseTable, FseTable];
    let lengthState = stream.read(lengths.log);
    let offsetState = stream.read(offsets.log);
    let matchState = stream.read(matches.log);
    let blockBytes = 0;
    for (let left = count; left > 0; left--) {
      const offsetCode = offsets.symbols[offsetState]!;
      const offsetValue = 2 ** offsetCode + stream.read(offsetCode);
      const match = lengthOf(
        matches.symbols[matchState]!,
        MATCH_CODES_PLAIN,
        MATCH_BASES,
        MATCH_BITS,
        stream,
        MATCH_LEAST,
      );
      const literal = lengthOf(
        lengths.symbols[lengthState]!,
        LITERAL_CODES_PLAIN,
        LITERAL_BASES,
        LITERAL_BITS,
        stream,
        0,
      );
      blockBytes += literal + match;
      if (literal > literalsEnd - literalsAt || blockBytes > BLOCK_BYTES_MAX) {
        throw new RangeError('a sequence is too long');
      }
      output.literals(buffer, literalsAt, literal);
      literalsAt += literal;
      output.match(distanceOf(offsetValue, literal, state.offsets), match, state.start);
      if (left === 1) break;
      lengthState = nextState(lengths, lengthState, stream);
      matchState = nextState(matches, matchState, stream);
      offsetState = nextState(offsets, offsetState, stream);
    }
    if (stream.left !== 0) throw new RangeError('a stream of sequences has bits left');
  } else if (modesAt !== end) throw new RangeError('a block has bytes left');
  output.literals(buffer, literalsAt, literalsEnd - literalsAt);
}

function readCount(input: Buffer, at: number, end: number) {
  const first = byteAt(input, at, end);
  if (first < 128) return { count: first, end: at + 1 };
  const second = byteAt(input, at + 1, end);
  if (first < 255) return { count: ((first - 128) << 8) + second, end: at + 2 };
  return { count: second + (byteAt(input, at + 2, end) << 8) + 0x7f00, end: at + 3 };
}

/** Reads the tables of the three kinds of codes and returns where they end. */
function readTables(input: Buffer, modesAt: number, end: number, state: BlockState): number {
  const modes = byteAt(input, modesAt, end);
  if ((modes & 3) !== 0) throw new RangeError('reserved bits are set');
  let at = modesAt + 1;
  for (const kind of [LITERAL_LENGTHS, OFFSETS, MATCH_LENGTHS] as const) {
    const limits = LIMITS[kind];
    switch ((modes >> (6 - 2 * kind)) & 3) {
      case 0:
        state.tables[kind] = PREDEFINED[kind]!;
        break;
      case 1: {
        const symbol = byteAt(input, at, end);
        if (symbol > limits.symbolMax) throw new RangeError(`code ${symbol} is not defined`);
        state.tables[kind] = fseOfOne(symbol);
        at += 1;
        break;
      }
      case 2: {
        const read = readFseTable(input, at, end, limits);
        state.tables[kind] = read.table;
        at = read.end;
        break;
      }
      default:
        if (state.tables[kind] === null) throw new RangeError('no table to repeat');
    }
  }
  return at;
}

function lengthOf(
  code: number,
  plain: number,
  bases: readonly number[],
  bits: readonly number[],
  stream: BackwardBits,
  least: number,
): number {
  if (code < plain) return code + least;
  return bases[code - plain]! + stream.read(bits[code - plain]!);
}

/** Values up to 3 name one of the last distances; without literals before, the next but one. */
function distanceOf(value: number, literal: number, offsets: [number, number, number]): number {
  const [first, second, third] = offsets;
  if (value > 3) {
    offsets[2] = second;
    offsets[1] = first;
    offsets[0] = value - 3;
    return offsets[0];
  }
  const which = literal === 0 ? value + 1 : value;
  if (which === 1) return first;
  const distance = which === 2 ? second : which === 3 ? third : first - 1;
  if (which !== 2) offsets[2] = second;
  offsets[1] = first;
  offsets[0] = distance;
  return distance;
}

function checkLength(length: number): void {
  if (length > BLOCK_BYTES_MAX) throw new RangeError(`${length} literals in a block`);
}

function byteAt(input: Buffer, at: number, end: number): number {
  if (at >= end) throw new RangeError('a block is cut off');
  return input[at]!;
}

function little(input: Buffer, at: number, bytes: number, end: number): number {
  if (at + bytes > end) throw new RangeError('a block is cut off');
  return input.readUIntLE(at, bytes);
}
