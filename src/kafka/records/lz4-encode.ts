/**
 * Writes the LZ4 frame format, in independent blocks of 64 KiB as Kafka's Java client does.
 *
 * I1. The last five bytes of a block are literals and its last match begins twelve before its end:
 *     readers rely on it (LZ4 block format, "End of block conditions").
 * I2. A block that does not become smaller is stored, so the output is never much larger than the
 *     content.
 */
import { findMatches, MATCH_BYTES_MIN } from './matches.ts';

/** Magic, version 1 with independent blocks and no checksums, blocks of 64 KiB, header checksum. */
const HEADER: Buffer = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
const BLOCK_BYTES = 65_536;
const STORED = 0x8000_0000;
const LITERALS_AT_END = 5;

export function compressLz4(content: Buffer): Buffer {
  const blocks = Math.ceil(content.length / BLOCK_BYTES);
  const worst = content.length + Math.ceil(content.length / 255) + blocks * 32 + 32;
  const output = Buffer.allocUnsafe(worst);
  let at = HEADER.copy(output);
  for (let start = 0; start < content.length; start += BLOCK_BYTES) {
    const end = Math.min(start + BLOCK_BYTES, content.length);
    const bytes = writeBlock(content, start, end, output, at + 4) - (at + 4);
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
function writeBlock(input: Buffer, start: number, end: number, output: Buffer, out: number) {
  const matchEnd = end - LITERALS_AT_END;
  const literalsEnd = findMatches(input, start, end, matchEnd, (from, at, distance, length) => {
    const rest = length - MATCH_BYTES_MIN;
    out = writeLiterals(input, from, at, output, out, rest);
    output[out++] = distance & 0xff;
    output[out++] = distance >>> 8;
    if (rest >= 15) out = writeLength(output, out, rest - 15);
  });
  return writeLiterals(input, literalsEnd, end, output, out, 0);
}

/** The token and the literals; the distance and a long match length follow. */
function writeLiterals(
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
