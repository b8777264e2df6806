/**
 * Reads the LZ4 frame format, which Kafka uses from message format 1 on.
 *
 * Written here because the packages at hand check no bounds: a match length of their input's choice
 * keeps them busy for seconds. Checksums of the frame are not looked at; the batch has its own.
 */
import { Decompressed } from './decompressed.ts';

const MAGIC = 0x184d2204;
const VERSION_MASK = 0xc0;
const VERSION = 0x40;
const BLOCK_CHECKSUM = 0x10;
const CONTENT_SIZE = 0x08;
const DICTIONARY_ID = 0x01;
const STORED = 0x8000_0000;
const MATCH_BYTES_MIN = 4;

export function decompressLz4(input: Buffer, bytesMax: number): Buffer {
  if (input.readUInt32LE(0) !== MAGIC) throw new RangeError('not an LZ4 frame');
  const flags = input.readUInt8(4);
  if ((flags & VERSION_MASK) !== VERSION) throw new RangeError('an unknown LZ4 frame version');
  const checksumBytes = flags & BLOCK_CHECKSUM ? 4 : 0;
  // Magic, flags, block size, optional content size and dictionary id, header checksum.
  let at = 6 + (flags & CONTENT_SIZE ? 8 : 0) + (flags & DICTIONARY_ID ? 4 : 0) + 1;
  const output = new Decompressed(input.length, bytesMax);
  for (;;) {
    const size = input.readUInt32LE(at);
    at += 4;
    if (size === 0) return output.finish();
    const length = size % STORED;
    if (length > input.length - at) throw new RangeError('a block is cut off');
    if (size >= STORED) output.literals(input, at, length);
    else block(input, at, at + length, output);
    at += length + checksumBytes;
  }
}

/** Sequences of literals and matches; the last one has no match. */
function block(input: Buffer, start: number, end: number, output: Decompressed): void {
  let at = start;
  while (at < end) {
    const token = input[at++]!;
    let literals = token >> 4;
    if (literals === 15) {
      for (let more = 255; more === 255; literals += more) more = byteAt(input, at++, end);
    }
    if (literals > end - at) throw new RangeError('literals are cut off');
    output.literals(input, at, literals);
    at += literals;
    if (at === end) return;
    const distance = byteAt(input, at, end) | (byteAt(input, at + 1, end) << 8);
    at += 2;
    let length = token & 15;
    if (length === 15) {
      for (let more = 255; more === 255; length += more) more = byteAt(input, at++, end);
    }
    output.match(distance, length + MATCH_BYTES_MIN);
  }
}

function byteAt(input: Buffer, at: number, end: number): number {
  if (at >= end) throw new RangeError('a sequence is cut off');
  return input[at]!;
}
