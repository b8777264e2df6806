/**
 * Reads zstd frames (RFC 8878) on Nodes that cannot themselves. Node has zstd from 22.15 and 23.8 on.
 *
 * Written here because the package at hand checks no bounds: a hundred bytes keep it busy for half a
 * second, and wrong ones yield wrong content. Checksums of the frame are not looked at; the batch has
 * its own.
 *
 * I1. The work is bounded by input and output, and the output by `bytesMax`. No window is allocated:
 *     the output is its own.
 */
import { Decompressed } from './decompressed.ts';
import { BLOCK_BYTES_MAX, BlockState, readBlock } from './zstd-block.ts';

const MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const SINGLE_SEGMENT = 0x20;
const RESERVED = 0x08;
const CHECKSUM = 0x04;
const DICTIONARY_BYTES = [0, 1, 2, 4] as const;
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const;
const BLOCK_HEADER_BYTES = 3;

export function decompressZstdInScript(input: Buffer, bytesMax: number): Buffer {
  const output = new Decompressed(input.length, bytesMax);
  let at = 0;
  do {
    const magic = input.readUInt32LE(at);
    if (magic === MAGIC) at = readFrame(input, at + 4, output);
    else if (magic >>> 4 === SKIPPABLE_MAGIC >>> 4) at += 8 + input.readUInt32LE(at + 4);
    else throw new RangeError('not a zstd frame');
  } while (at < input.length);
  if (at > input.length) throw new RangeError('a frame is cut off');
  return output.finish();
}

/** Returns where the frame ends. */
function readFrame(input: Buffer, start: number, output: Decompressed): number {
  const before = output.bytes;
  const descriptor = input.readUInt8(start);
  if ((descriptor & RESERVED) !== 0) throw new RangeError('a reserved bit is set');
  const single = (descriptor & SINGLE_SEGMENT) !== 0;
  let at = start + (single ? 1 : 2);
  const dictionaryBytes = DICTIONARY_BYTES[(descriptor & 3) as 0 | 1 | 2 | 3];
  if (dictionaryBytes > 0 && input.readUIntLE(at, dictionaryBytes) !== 0) {
    throw new RangeError('it needs a dictionary');
  }
  at += dictionaryBytes;
  const sizeFlag = (descriptor >> 6) as 0 | 1 | 2 | 3;
  const sizeBytes = sizeFlag === 0 && single ? 1 : CONTENT_SIZE_BYTES[sizeFlag];
  const size = contentSize(input, at, sizeBytes);
  at = readBlocks(input, at + sizeBytes, output);
  if (size >= 0 && output.bytes - before !== size) throw new RangeError(`not ${size} bytes long`);
  return at + ((descriptor & CHECKSUM) !== 0 ? 4 : 0);
}

/** -1: not given. */
function contentSize(input: Buffer, at: number, bytes: number): number {
  if (bytes === 0) return -1;
  if (bytes === 8) return Number(input.readBigUInt64LE(at));
  return input.readUIntLE(at, bytes) + (bytes === 2 ? 256 : 0);
}

function readBlocks(input: Buffer, start: number, output: Decompressed): number {
  const state = new BlockState(output.bytes);
  for (let at = start; ; ) {
    const header = input.readUIntLE(at, BLOCK_HEADER_BYTES);
    const size = header >> 3;
    at += BLOCK_HEADER_BYTES;
    if (size > BLOCK_BYTES_MAX) throw new RangeError(`a block of ${size} bytes`);
    const kind = (header >> 1) & 3;
    const end = at + (kind === 1 ? 1 : size);
    if (end > input.length) throw new RangeError('a block is cut off');
    if (kind === 0) output.literals(input, at, size);
    else if (kind === 1) output.fill(input[at]!, size);
    else if (kind === 2) readBlock(input, at, end, state, output);
    else throw new RangeError('a block of a reserved kind');
    at = end;
    if ((header & 1) !== 0) return at;
  }
}
