/**
 * Tables of zstd's finite state entropy coding (RFC 8878, section 4.1): a state stands for a symbol,
 * and some bits of the stream lead to the next state.
 *
 * I1. A distribution that does not add up is refused, so every state of a table leads to another.
 */
import type { BackwardBits } from './zstd-bits.ts';

export interface FseTable {
  /** Bits of a state. */
  readonly log: number;
  readonly symbols: Uint8Array;
  readonly bits: Uint8Array;
  readonly next: Uint16Array;
}

const LOG_LEAST = 5;
/** A symbol that is rarer than the table can say: it takes one state. */
const RARE = -1;

/** Reads a distribution at `at` and returns its table and where it ends. */
export function readFseTable(
  input: Buffer,
  at: number,
  end: number,
  limits: { readonly logMax: number; readonly symbolMax: number },
): { readonly table: FseTable; readonly end: number } {
  let position = 0;
  const peek = (count: number): number => {
    const from = at + (position >>> 3);
    const word = input[from]! | (input[from + 1]! << 8) | (input[from + 2]! << 16);
    return (word >>> (position & 7)) & ((1 << count) - 1);
  };
  const log = peek(4) + LOG_LEAST;
  position += 4;
  if (log > limits.logMax) throw new RangeError(`an FSE table of ${log} bits`);
  const counts: number[] = [];
  // One more than what is left, since a count is sent as one more than it is.
  for (let left = (1 << log) + 1; left > 1; ) {
    if (counts.length > limits.symbolMax) throw new RangeError('an FSE table has too many symbols');
    const width = 32 - Math.clz32(left);
    // Values below `short` fit into one bit less.
    const short = (1 << width) - 1 - left;
    let value = peek(width - 1);
    if (value < short) position += width - 1;
    else {
      value = peek(width);
      if (value >= 1 << (width - 1)) value -= short;
      position += width;
    }
    const count = value - 1;
    left -= Math.abs(count);
    counts.push(count);
    for (let zeros = count === 0 ? 3 : 0; zeros === 3; ) {
      zeros = peek(2);
      position += 2;
      for (let index = 0; index < zeros; index++) counts.push(0);
      if (counts.length > limits.symbolMax + 1) {
        throw new RangeError('an FSE table has too many symbols');
      }
    }
    if (left < 1 || at + (position + 7) / 8 > end + 1) throw new RangeError('an FSE table is off');
  }
  const after = at + ((position + 7) >>> 3);
  if (after > end) throw new RangeError('an FSE table is cut off');
  return { table: fseTable(counts, log), end: after };
}

/** The table of a distribution: how many of the `1 << log` states each symbol has. */
export function fseTable(counts: readonly number[], log: number): FseTable {
  const size = 1 << log;
  const symbols = new Uint8Array(size);
  const bits = new Uint8Array(size);
  const next = new Uint16Array(size);
  const upcoming = new Uint16Array(counts.length);
  let high = size - 1;
  for (const [symbol, count] of counts.entries()) {
    upcoming[symbol] = count === RARE ? 1 : count;
    if (count === RARE) symbols[high--] = symbol;
  }
  const step = (size >> 1) + (size >> 3) + 3;
  let position = 0;
  for (const [symbol, count] of counts.entries()) {
    for (let left = count; left > 0; left--) {
      symbols[position] = symbol;
      do position = (position + step) & (size - 1);
      while (position > high);
    }
  }
  if (position !== 0) throw new RangeError('an FSE distribution does not add up');
  for (let state = 0; state < size; state++) {
    const symbol = symbols[state]!;
    const order = upcoming[symbol]!;
    upcoming[symbol] = order + 1;
    const width = log - (31 - Math.clz32(order));
    bits[state] = width;
    next[state] = (order << width) - size;
  }
  return { log, symbols, bits, next };
}

/** The table of one symbol: one state that takes no bits. */
export function fseOfOne(symbol: number): FseTable {
  return {
    log: 0,
    symbols: Uint8Array.of(symbol),
    bits: Uint8Array.of(0),
    next: Uint16Array.of(0),
  };
}

export function nextState({ next, bits }: FseTable, state: number, stream: BackwardBits): number {
  return next[state]! + stream.read(bits[state]!);
}
