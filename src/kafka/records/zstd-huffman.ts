/**
 * Huffman trees and the literals coded with them (RFC 8878, section 4.2).
 *
 * I1. Weights that do not make a whole tree are refused, so every code of a table has a symbol.
 * I2. A stream holds exactly the literals it is said to hold.
 */
import { BackwardBits } from './zstd-bits.ts';
import { nextState, readFseTable } from './zstd-fse.ts';

export interface HuffmanTable {
  readonly bitsMax: number;
  /** By the next `bitsMax` bits: the symbol, and its bits above it. */
  readonly entries: Uint16Array;
}

const BITS_MAX = 11;
const WEIGHTS_MAX = 255;
const WEIGHT_TABLE = { logMax: 6, symbolMax: BITS_MAX } as const;

export function readHuffmanTable(
  input: Buffer,
  at: number,
  end: number,
): { readonly table: HuffmanTable; readonly end: number } {
  const first = at < end ? input[at]! : 0;
  const direct = first >= 128;
  const bytes = direct ? (first - 127 + 1) >> 1 : first;
  const from = at + 1;
  if (bytes === 0 || from + bytes > end) throw new RangeError('a Huffman tree is cut off');
  const weights = direct
    ? Array.from({ length: first - 127 }, (_, index) => {
        const byte = input[from + (index >> 1)]!;
        return (index & 1) === 0 ? byte >> 4 : byte & 15;
      })
    : compressedWeights(input, from, from + bytes);
  return { table: huffmanTable(weights), end: from + bytes };
}

/** Two states take turns until the stream is used up. */
function compressedWeights(input: Buffer, at: number, end: number): number[] {
  const { table, end: start } = readFseTable(input, at, end, WEIGHT_TABLE);
  const stream = new BackwardBits(input, start, end);
  const { symbols, bits, log } = table;
  const states: [number, number] = [stream.read(log), stream.read(log)];
  const weights: number[] = [];
  for (let turn: 0 | 1 = 0; ; turn = turn === 0 ? 1 : 0) {
    const state = states[turn];
    weights.push(symbols[state]!);
    if (weights.length >= WEIGHTS_MAX) throw new RangeError('a Huffman tree is too large');
    if (stream.left < bits[state]!) {
      weights.push(symbols[states[turn === 0 ? 1 : 0]]!);
      return weights;
    }
    states[turn] = nextState(table, state, stream);
  }
}

/** The weight of the last symbol is what the tree lacks. */
function huffmanTable(weights: number[]): HuffmanTable {
  let sum = 0;
  for (const weight of weights) sum += weight === 0 ? 0 : 1 << (weight - 1);
  const bitsMax = 32 - Math.clz32(sum);
  const missing = (1 << bitsMax) - sum;
  if (sum === 0 || bitsMax > BITS_MAX || (missing & (missing - 1)) !== 0) {
    throw new RangeError('a Huffman tree is not whole');
  }
  const all = [...weights, 32 - Math.clz32(missing)];
  const entries = new Uint16Array(1 << bitsMax);
  let at = 0;
  for (let weight = 1; weight <= bitsMax; weight++) {
    const entry = (bitsMax + 1 - weight) << 8;
    for (const [symbol, its] of all.entries()) {
      if (its !== weight) continue;
      entries.fill(entry | symbol, at, at + (1 << (weight - 1)));
      at += 1 << (weight - 1);
    }
  }
  if (at !== entries.length) throw new RangeError('a Huffman tree is not whole');
  return { bitsMax, entries };
}

/** Fills `output[outAt, outEnd)` from the stream in `input[start, end)`. */
export function readHuffmanStream(
  { bitsMax, entries }: HuffmanTable,
  input: Buffer,
  start: number,
  end: number,
  output: Buffer,
  outAt: number,
  outEnd: number,
): void {
  const stream = new BackwardBits(input, start, end);
  for (let at = outAt; at < outEnd; at++) {
    const entry = entries[stream.peek(bitsMax)]!;
    stream.skip(entry >> 8);
    output[at] = entry & 0xff;
  }
  if (stream.left !== 0) throw new RangeError('a stream of literals has bits left');
}
