/**
 * Snappy as Kafka's clients write it: raw, or in the frames of xerial's Java stream.
 *
 * xerial: 8 bytes of magic, two int32 versions, then chunks of an int32 length and a raw block.
 */
import snappy from 'snappyjs';

const XERIAL_MAGIC: Buffer = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const XERIAL_HEADER_BYTES = 16;

export function decompressSnappy(input: Buffer, bytesMax: number): Buffer {
  const framed =
    input.length >= XERIAL_HEADER_BYTES &&
    input.compare(XERIAL_MAGIC, 0, XERIAL_MAGIC.length, 0, XERIAL_MAGIC.length) === 0;
  if (!framed) return block(input, bytesMax);
  const blocks: Buffer[] = [];
  let bytes = 0;
  for (let at = XERIAL_HEADER_BYTES; at < input.length; ) {
    const length = input.readInt32BE(at);
    at += 4;
    if (length < 0 || length > input.length - at) throw new RangeError('a chunk is cut off');
    const content = block(input.subarray(at, at + length), bytesMax - bytes);
    blocks.push(content);
    bytes += content.length;
    at += length;
  }
  return Buffer.concat(blocks, bytes);
}

const BLOCK_BYTES = 32 * 1024;
const XERIAL_VERSIONS = 1;

/** In the frames of xerial's stream, as the Java client writes it. */
export function compressSnappy(content: Buffer): Buffer {
  const header = Buffer.alloc(XERIAL_HEADER_BYTES);
  XERIAL_MAGIC.copy(header);
  header.writeInt32BE(XERIAL_VERSIONS, XERIAL_MAGIC.length);
  header.writeInt32BE(XERIAL_VERSIONS, XERIAL_MAGIC.length + 4);
  const pieces: Buffer[] = [header];
  for (let start = 0; start < content.length; start += BLOCK_BYTES) {
    const compressed = snappy.compress(content.subarray(start, start + BLOCK_BYTES));
    const length = Buffer.alloc(4);
    length.writeInt32BE(compressed.length);
    pieces.push(length, compressed);
  }
  return Buffer.concat(pieces);
}

/** Three bytes of a copy yield at most 64. */
const EXPANSION_MAX = 22;

/** The claimed size is allocated first, so it is bounded by what the bytes can hold. */
function block(input: Buffer, bytesMax: number): Buffer {
  return snappy.uncompress(input, Math.min(bytesMax, input.length * EXPANSION_MAX));
}
