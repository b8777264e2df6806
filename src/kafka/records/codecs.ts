/**
 * Compression of record batches, by the codec number in a batch's attributes.
 *
 * I1. No codec yields more than the bound for one batch, whatever its bytes claim.
 * I2. Bytes that a codec cannot read throw `BATCH_CORRUPT`; a codec that is not here
 *     `COMPRESSION_UNSUPPORTED`.
 * I3. What is written here, Kafka's Java client reads.
 */
import * as zlib from 'node:zlib';
import { EscapementError } from '../../errors.ts';
import { decompressLz4 } from './lz4.ts';
import { compressLz4 } from './lz4-encode.ts';
import { compressSnappy, decompressSnappy } from './snappy.ts';
import { decompressZstdInScript } from './zstd.ts';

export { decompressZstdInScript } from './zstd.ts';

export const NO_COMPRESSION = 0;
export const GZIP = 1;

/** How batches are written. */
export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

/** Largest output of one batch, where nobody sets another bound. */
export const DECOMPRESSED_BYTES_MAX = 64 * 1024 * 1024;

interface Codec {
  readonly name: string;
  /** Throws anything on bytes it cannot read or output beyond `bytesMax`. */
  readonly decompress: (input: Buffer, bytesMax: number) => Buffer;
  /** Null where this Node cannot. */
  readonly compress: ((content: Buffer) => Buffer) | null;
}

type ZstdCompressor = (content: Buffer) => Buffer;
type ZstdDecompressor = (input: Buffer, options: { maxOutputLength: number }) => Buffer;

/** Node has zstd from 22.15 and 23.8 on. */
const nodeZstd = zlib as {
  readonly zstdCompressSync?: ZstdCompressor;
  readonly zstdDecompressSync?: ZstdDecompressor;
};

/** By codec number; 0 is no compression. */
const CODECS: readonly (Codec | undefined)[] = [
  undefined,
  {
    name: 'gzip',
    decompress: (input, bytesMax) => zlib.gunzipSync(input, { maxOutputLength: bytesMax }),
    compress: (content) => zlib.gzipSync(content),
  },
  { name: 'snappy', decompress: decompressSnappy, compress: compressSnappy },
  { name: 'lz4', decompress: decompressLz4, compress: compressLz4 },
  { name: 'zstd', decompress: decompressZstd, compress: nodeZstd.zstdCompressSync ?? null },
];

/** The codec number of a name. Throws `OPTION_INVALID` where this Node cannot write it. */
export function codecOf(compression: Compression): number {
  if (compression === 'none') return NO_COMPRESSION;
  const codec = CODECS.findIndex((known) => known?.name === compression);
  if (codec > 0 && CODECS[codec]!.compress !== null) return codec;
  throw new EscapementError(
    'OPTION_INVALID',
    `Options: compression '${compression}' cannot be written by Node ${process.versions.node}: ` +
      "zstd needs 22.15 or later. Use 'gzip', 'snappy', 'lz4' or 'none', or another Node.",
  );
}

/** The content compressed with `codec` (1 to 4), one that `codecOf` gave. */
export function compress(codec: number, content: Buffer): Buffer {
  return CODECS[codec]!.compress!(content);
}

/** The records of a batch compressed with `codec` (1 to 4), at most `bytesMax` of them. */
export function decompress(
  codec: number,
  input: Buffer,
  bytesMax: number = DECOMPRESSED_BYTES_MAX,
): Buffer {
  const known = CODECS[codec];
  if (known === undefined) {
    throw new EscapementError(
      'COMPRESSION_UNSUPPORTED',
      `A record batch names compression codec ${codec}; known are 1 gzip, 2 snappy, 3 lz4 and ` +
        '4 zstd. Write the topic with one of these.',
    );
  }
  try {
    return known.decompress(input, bytesMax);
  } catch (cause) {
    throw new EscapementError(
      'BATCH_CORRUPT',
      `A record batch of ${input.length} bytes cannot be decompressed with ${known.name} to at ` +
        `most ${bytesMax} bytes (decompressedBytesMax): ` +
        `${cause instanceof Error ? cause.message : cause}.`,
      { cause },
    );
  }
}

function decompressZstd(input: Buffer, bytesMax: number): Buffer {
  const { zstdDecompressSync } = nodeZstd;
  if (zstdDecompressSync !== undefined) {
    return zstdDecompressSync(input, { maxOutputLength: bytesMax });
  }
  return decompressZstdInScript(input, bytesMax);
}
