/**
 * Snappy as Kafka's clients write it: raw, or in the frames of xerial's Java stream.
 *
 * xerial: 8 bytes of magic, two int32 versions, then chunks of an int32 length and a raw block. A raw
 * block is the length of its content and elements: literals, and copies of what lies behind.
 *
 * Written here because the package at hand reads a literal's length as a signed number: six bytes
 * lead it back and round in circles for ever.
 *
 * I1. Every element takes at least one byte and the output is bounded, so the work is.
 */
import { Decompressed } from './decompressed.ts';
import { findMatches } from './matches.ts';

const XERIAL_MAGIC: Buffer = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const XERIAL_HEADER_BYTES = 16;
const XERIAL_VERSION = 1;

export function decompressSnappy(input: Buffer, bytesMax: number): Buffer {
  const framed =
    input.length >= XERIAL_HEADER_BYTES &&
    input.compare(XERIAL_MAGIC, 0, XERIAL_MAGIC.length, 0, XERIAL_MAGIC.length) === 0;
  const output = new Decompressed(input.length, bytesMax);
  if (!framed) {
    readBlock(input, 0, input.length, output);
    return output.finish();
  }
  for (let at = XERIAL_HEADER_BYTES; at < input.length; ) {
    const length = input.readInt32BE(at);
    at += 4;
    if (length < 0 || length > input.length - at) throw new RangeError('a chunk is cut off');
    readBlock(input, at, at + length, output);
    at += length;
  }
  return output.finish();
}

const LITERAL = 0;
const COPY_OF_ONE_BYTE = 1;
const COPY_OF_TWO_BYTES = 2;
/** Lengths of literals from here on stand behind the tag, in as many bytes as they are above it. */
const LENGTH_IN_TAG_MAX = 60;

function readBlock(input: Buffer, start: number, end: number, output: Decompressed): void {
  const before = output.bytes;
  let at = start;
  let claimed = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = byteAt(input, at++, end);
    claimed += (byte & 0x7f) * scale;
    if (byte < 0x80) break;
    if (scale > 2 ** 28) throw new RangeError('the length of a block has more than 32 bits');
  }
  const little = (bytes: number): number => {
    if (at + bytes > end) throw new RangeError('an element is cut off');
    at += bytes;
    return input.readUIntLE(at - bytes, bytes);
  };
  while (at < end) {
    const tag = input[at++]!;
    const kind = tag & 3;
    let length = (tag >> 2) + 1;
    if (kind === LITERAL) {
      if (length > LENGTH_IN_TAG_MAX) length = little(length - LENGTH_IN_TAG_MAX) + 1;
      if (length > end - at) throw new RangeError('a literal is cut off');
      output.literals(input, at, length);
      at += length;
    } else if (kind === COPY_OF_ONE_BYTE) {
      output.match(((tag >> 5) << 8) + little(1), ((tag >> 2) & 7) + 4, before);
    } else output.match(little(kind === COPY_OF_TWO_BYTES ? 2 : 4), length, before);
    if (output.bytes - before > claimed) throw new RangeError('a block is longer than it claims');
  }
  if (output.bytes - before !== claimed) throw new RangeError('a block is shorter than it claims');
}

function byteAt(input: Buffer, at: number, end: number): number {
  if (at >= end) throw new RangeError('a block is cut off');
  return input[at]!;
}

const BLOCK_BYTES = 32 * 1024;
const COPY_BYTES_MAX = 64;

/** In the frames of xerial's stream, as the Java client writes it. */
export function compressSnappy(content: Buffer): Buffer {
  const blocks = Math.ceil(content.length / BLOCK_BYTES);
  // A long literal before a short copy takes a byte or two more than its content.
  const worst = content.length + (content.length >> 5) + blocks * 64;
  const output = Buffer.allocUnsafe(XERIAL_HEADER_BYTES + worst);
  XERIAL_MAGIC.copy(output);
  output.writeInt32BE(XERIAL_VERSION, XERIAL_MAGIC.length);
  output.writeInt32BE(XERIAL_VERSION, XERIAL_MAGIC.length + 4);
  let at = XERIAL_HEADER_BYTES;
  for (let start = 0; start < content.length; start += BLOCK_BYTES) {
    const end = Math.min(start + BLOCK_BYTES, content.length);
    const after = writeBlock(content, start, end, output, at + 4);
    output.writeInt32BE(after - at - 4, at);
    at = after;
  }
  return output.subarray(0, at);
}

function writeBlock(input: Buffer, start: number, end: number, output: Buffer, out: number) {
  for (let length = end - start; ; length >>>= 7) {
    output[out++] = length < 0x80 ? length : (length & 0x7f) | 0x80;
    if (length < 0x80) break;
  }
  const literalsEnd = findMatches(input, start, end, end, (literalsAt, at, distance, length) => {
    out = writeLiterals(input, literalsAt, at, output, out);
    for (let left = length; left > 0; left -= COPY_BYTES_MAX) {
      output[out++] = ((Math.min(left, COPY_BYTES_MAX) - 1) << 2) | COPY_OF_TWO_BYTES;
      output[out++] = distance & 0xff;
      output[out++] = distance >>> 8;
    }
  });
  return writeLiterals(input, literalsEnd, end, output, out);
}

function writeLiterals(input: Buffer, start: number, end: number, output: Buffer, out: number) {
  const length = end - start;
  if (length === 0) return out;
  const rest = length - 1;
  if (rest < LENGTH_IN_TAG_MAX) output[out++] = rest << 2;
  else {
    output[out++] = (rest < 0x100 ? LENGTH_IN_TAG_MAX : LENGTH_IN_TAG_MAX + 1) << 2;
    output[out++] = rest & 0xff;
    if (rest >= 0x100) output[out++] = rest >>> 8;
  }
  return out + input.copy(output, out, start, end);
}
