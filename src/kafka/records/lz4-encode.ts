/**
 * Writes the LZ4 frame format, in independent blocks of 64 KiB as Kafka's Java client does: greedy
 * matches found by a hash of four bytes.
 *
 * I1. The last five bytes of a block are literals and its last match begins twelve before its end:
 *     readers rely on it (LZ4 block format, "End of block conditions").
 * I2. A block that does not become smaller is stored, so the output is never much larger than the
 *     content.
 */

/** Magic, version 1 with independent blocks and no checksums, blocks of 64 KiB, header checksum. */
const HEADER: Buffer = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
const BLOCK_BYTES = 65_536;
const STORED = 0x8000_0000;
const MATCH_BYTES_MIN = 4;
const LAST_MATCH_BEFORE_END = 12;
const LITERALS_AT_END = 5;
const HASH_BITS = 13;
const HASH_FACTOR = 0x9e3779b1;
/** Bytes without a match after which the search takes longer steps. */
const PATIENCE_BITS = 6;

/** Position of the last occurrence by hash; -1: none in this block. */
const positions = new Int32Array(1 << HASH_BITS);

export function compressLz4(content: Buffer): Buffer {
  const blocks = Math.ceil(content.length / BLOCK_BYTES);
  const worst = content.length + Math.ceil(content.length / 255) + blocks * 32 + 32;
  const output = Buffer.allocUnsafe(worst);
  let at = HEADER.copy(output);
  for (let start = 0; start < content.length; start += BLOCK_BYTES) {
    const end = Math.min(start + BLOCK_BYTES, content.length);
    const bytes = encodeBlock(content, start, end, output, at + 4) - (at + 4);
    if (bytes < end - start) {
      output.writeUInt32LE(bytes, at);
      at += 4 + bytes;
      continue;
    }
    output.writeUInt32LE(STORED + (end - start), at);
    at += 4 + content.copy(output, at + 4, start, end);
  }
  output.writeUInt32LE(0, at);
  return output.subarray(0, at + 4);
}

/** Returns the end of what was written. */
function encodeBlock(input: Buffer, start: number, end: number, output: Buffer, out: number) {
  positions.fill(-1);
  const searchEnd = end - LAST_MATCH_BEFORE_END;
  const matchEnd = end - LITERALS_AT_END;
  let anchor = start;
  for (let at = start; at <= searchEnd; ) {
    const word = wordAt(input, at);
    const hash = Math.imul(word, HASH_FACTOR) >>> (32 - HASH_BITS);
    const candidate = positions[hash]!;
    positions[hash] = at;
    if (candidate < 0 || wordAt(input, candidate) !== word) {
      at += 1 + ((at - anchor) >> PATIENCE_BITS);
      continue;
    }
    let length = MATCH_BYTES_MIN;
    while (at + length < matchEnd && input[candidate + length] === input[at + length]) length += 1;
    out = writeSequence(input, anchor, at, output, out, length - MATCH_BYTES_MIN);
    const distance = at - candidate;
    output[out++] = distance & 0xff;
    output[out++] = distance >>> 8;
    if (length - MATCH_BYTES_MIN >= 15)
      out = writeLength(output, out, length - MATCH_BYTES_MIN - 15);
    at += length;
    anchor = at;
  }
  return writeSequence(input, anchor, end, output, out, 0);
}

/** The token and the literals; the distance and a long match length follow. */
function writeSequence(
  input: Buffer,
  start: number,
  end: number,
  output: Buffer,
  out: number,
  matchLength: number,
): number {
  const literals = end - start;
  output[out++] = (Math.min(literals, 15) << 4) | Math.min(matchLength, 15);
  if (literals >= 15) out = writeLength(output, out, literals - 15);
  return out + input.copy(output, out, start, end);
}

function writeLength(output: Buffer, out: number, rest: number): number {
  for (; rest >= 255; rest -= 255) output[out++] = 255;
  output[out++] = rest;
  return out;
}

function wordAt(input: Buffer, at: number): number {
  return input[at]! | (input[at + 1]! << 8) | (input[at + 2]! << 16) | (input[at + 3]! << 24);
}
