/**
 * Finds what repeats within a block, for the encoders of LZ4 and snappy: greedily, by a hash of four
 * bytes, with longer steps where nothing repeats.
 */
export const MATCH_BYTES_MIN = 4;
const HASH_BITS = 13;
const HASH_FACTOR = 0x9e3779b1;
/** Bytes without a match after which the search takes longer steps. */
const PATIENCE_BITS = 6;

/** Position of the last occurrence by hash; -1: none in this block. */
const positions = new Int32Array(1 << HASH_BITS);

/**
 * Tells each match with the start of the literals before it, and returns where the last literals
 * start. No match begins less than 12 bytes before `end`, or ends behind `matchEnd`.
 */
export function findMatches(
  input: Buffer,
  start: number,
  end: number,
  matchEnd: number,
  found: (literalsAt: number, at: number, distance: number, length: number) => void,
): number {
  positions.fill(-1);
  const searchEnd = end - LAST_MATCH_BEFORE_END;
  let literalsAt = start;
  for (let at = start; at <= searchEnd; ) {
    const word = wordAt(input, at);
    const hash = Math.imul(word, HASH_FACTOR) >>> (32 - HASH_BITS);
    const candidate = positions[hash]!;
    positions[hash] = at;
    if (candidate < 0 || wordAt(input, candidate) !== word) {
      at += 1 + ((at - literalsAt) >> PATIENCE_BITS);
      continue;
    }
    let length = MATCH_BYTES_MIN;
    while (at + length < matchEnd && input[candidate + length] === input[at + length]) length += 1;
    found(literalsAt, at, at - candidate, length);
    at += length;
    literalsAt = at;
  }
  return literalsAt;
}

const LAST_MATCH_BEFORE_END = 12;

function wordAt(input: Buffer, at: number): number {
  return input[at]! | (input[at + 1]! << 8) | (input[at + 2]! << 16) | (input[at + 3]! << 24);
}
