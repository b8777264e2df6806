import { readFileSync } from 'node:fs';
import * as zlib from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EscapementError } from '../../../src/errors.ts';
import {
  codecOf,
  compress,
  DECOMPRESSED_BYTES_MAX,
  decompress,
  decompressZstdInScript,
} from '../../../src/kafka/records/codecs.ts';
import { decompressLz4 } from '../../../src/kafka/records/lz4.ts';
import { decompressSnappy } from '../../../src/kafka/records/snappy.ts';
import { javaBatch, javaPayload, payloadText as text } from './java-vectors.ts';
import { zstdContents } from './zstd-contents.ts';

const { gzipSync } = zlib;

const GZIP = 1;
const SNAPPY = 2;
const LZ4 = 3;
const ZSTD = 4;

function codeOf(run: () => unknown): string {
  try {
    run();
    return 'none';
  } catch (error) {
    if (!(error instanceof EscapementError)) throw error;
    return error.code;
  }
}

describe('decompress', () => {
  it('reads a raw snappy block, as clients other than Java write it', () => {
    expect(decompress(SNAPPY, javaPayload('snappy block')).toString()).toBe(text);
  });

  it('reads an LZ4 frame with checksums and a size', () => {
    expect(decompress(LZ4, javaPayload('lz4 with checksums and size')).toString()).toBe(text);
  });

  it('reads a zstd frame of one segment, in script and by Node', () => {
    const frame = javaPayload('zstd of one segment');
    expect(decompressZstdInScript(frame, 1 << 20).toString()).toBe(text);
    expect(decompress(ZSTD, frame).toString()).toBe(text);
  });

  it('refuses codecs that Kafka does not have', () => {
    expect(codeOf(() => decompress(5, Buffer.from('x')))).toBe('COMPRESSION_UNSUPPORTED');
    expect(codeOf(() => decompress(7, Buffer.from('x')))).toBe('COMPRESSION_UNSUPPORTED');
  });
});

describe('a decompression bomb', () => {
  it('of gzip ends at the bound', () => {
    const bomb = gzipSync(Buffer.alloc(DECOMPRESSED_BYTES_MAX + 1));
    expect(bomb.length).toBeLessThan(100_000);
    expect(codeOf(() => decompress(GZIP, bomb))).toBe('BATCH_CORRUPT');
  });

  it('of snappy ends at the bound, and a size that it claims costs nothing', () => {
    expect(() => decompressSnappy(javaPayload('snappy block'), 2_999)).toThrow(/larger/);
    // 50,000,000 bytes are below the bound, but seven bytes cannot hold them.
    const claim = Buffer.from('80e1eb17006161', 'hex');
    expect(() => decompressSnappy(claim, DECOMPRESSED_BYTES_MAX)).toThrow(RangeError);
    // A varint of 2^31-1 bytes, and nothing behind it.
    expect(codeOf(() => decompress(SNAPPY, Buffer.from('ffffffff0700', 'hex')))).toBe(
      'BATCH_CORRUPT',
    );
  });

  it('of LZ4 ends at the bound', () => {
    const lengths = Buffer.alloc(300_000, 0xff);
    const block = Buffer.concat([Buffer.from('1f610100', 'hex'), lengths, Buffer.from([0])]);
    const size = Buffer.alloc(4);
    size.writeUInt32LE(block.length);
    const bomb = Buffer.concat([
      Buffer.from('04224d18604082', 'hex'),
      size,
      block,
      Buffer.alloc(4),
    ]);
    expect(codeOf(() => decompress(LZ4, bomb))).toBe('BATCH_CORRUPT');
  });

  it('of zstd ends at the bound, and a window that it asks for costs nothing', () => {
    // A block of type RLE: 2^17 bytes from one, a thousand times over.
    const header = Buffer.from('28b52ffd0038', 'hex');
    const rle = Buffer.from([
      (((1 << 17) << 3) & 0xff) | 2,
      (((1 << 20) | 2) >> 8) & 0xff,
      (1 << 20) >> 16,
      0,
    ]);
    const bomb = Buffer.concat([header, ...Array.from({ length: 1_000 }, () => rle)]);
    expect(codeOf(() => decompress(ZSTD, bomb))).toBe('BATCH_CORRUPT');
    expect(() => decompressZstdInScript(bomb, 1 << 20)).toThrow(/larger/);
    const window = Buffer.from('28b52ffd00a0' + '010000', 'hex');
    const before = process.memoryUsage().arrayBuffers;
    expect(decompressZstdInScript(window, DECOMPRESSED_BYTES_MAX)).toHaveLength(0);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
  });
});

describe('zstd in script', () => {
  const file = new URL('./zstd-frames.json', import.meta.url);
  const frames = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>;

  it.each(Object.entries(frames))('reads a frame of zstd itself: %s', (name, frame) => {
    const content = zstdContents[name.slice(0, name.lastIndexOf(', level'))]!;
    const read = decompressZstdInScript(Buffer.from(frame, 'base64'), content.length);
    expect(read.equals(content)).toBe(true);
  });

  it('reads frames one after the other, and passes those that hold no content', () => {
    const a = Buffer.from(frames['json lines, level 3']!, 'base64');
    const b = Buffer.from(frames['noise, level 19']!, 'base64');
    const skippable = Buffer.from('502a4d18' + '03000000' + 'aabbcc', 'hex');
    const read = decompressZstdInScript(Buffer.concat([a, skippable, b]), 1 << 20);
    const contents = [zstdContents['json lines']!, zstdContents.noise!];
    expect(read.equals(Buffer.concat(contents))).toBe(true);
  });
});

describe('what is compressed here', () => {
  const names = ['gzip', 'snappy', 'lz4', 'zstd'] as const;
  // The run under the newer Node proves zstd; this one says at start that it cannot write it.
  const written = names.filter((name) => name !== 'zstd' || 'zstdCompressSync' in zlib);

  it.each(written)('with %s is read again, whatever it is', (name) => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc
        .tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.nat({ max: 500 }))
        .map(([bytes, times]) => Buffer.concat(Array.from({ length: times }, () => bytes))),
      fc.nat({ max: 40_000 }).map((bytes) => Buffer.from(text.repeat(4)).subarray(0, bytes)),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const content = Buffer.concat(pieces);
        const codec = codecOf(name);
        const read = decompress(codec, compress(codec, content), Math.max(1, content.length));
        expect(read.equals(content)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('with lz4 and snappy is smaller when it repeats', () => {
    for (const name of ['snappy', 'lz4'] as const) {
      const codec = codecOf(name);
      expect(compress(codec, Buffer.from(text.repeat(9))).length).toBeLessThan(text.length * 4.5);
    }
  });

  it('names an option when this Node cannot write it', () => {
    if ('zstdCompressSync' in zlib) expect(codecOf('zstd')).toBe(4);
    else expect(() => codecOf('zstd')).toThrow(/zstd needs 22.15/);
  });
});

describe('bytes that led other decoders in circles', () => {
  it('a snappy literal of more than 2^31 bytes is refused', () => {
    const block = Buffer.from('7cfc06b814ffff00066b6579026100a40d', 'hex');
    expect(codeOf(() => decompress(SNAPPY, block))).toBe('BATCH_CORRUPT');
  });

  it('zstd sequences that yield more than a block holds are refused', () => {
    const frame = Buffer.from(
      '28b52ffd0058d403002407240000000a6b65792d310e76616c75652d310018000e02010c6e6f206b657900' +
        '2455ffd9c4090412746f6d6273746f6e6501001200fed9c409060000008a050002080e68656164657273d8' +
        '0476060261023102610104c3a9003000b0c0d3a380bb720a127965ff722039393939066661ee940c046265' +
        'c5bd67d493',
      'hex',
    );
    expect(() => decompressZstdInScript(frame, 64 << 20)).toThrow(RangeError);
  });
});

describe('malformed compressed bytes', () => {
  const samples: readonly (readonly [string, number, Buffer])[] = [
    ['gzip', GZIP, gzipSync(text)],
    ['snappy in frames', SNAPPY, javaBatch('snappy').subarray(61)],
    ['snappy', SNAPPY, javaPayload('snappy block')],
    ['lz4', LZ4, javaPayload('lz4 with checksums and size')],
    ['zstd', ZSTD, javaPayload('zstd of one segment')],
  ];

  it.each(samples)('of %s are a result or a typed error', (_, codec, sample) => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 3 }),
        fc.nat(),
        (changes, cut) => {
          const bytes = Buffer.from(sample.subarray(0, 1 + (cut % sample.length)));
          for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
          const whole = Buffer.from(sample);
          for (const [at, byte] of changes) whole[at % whole.length] = byte;
          for (const input of [bytes, whole]) {
            expect(['none', 'BATCH_CORRUPT']).toContain(codeOf(() => decompress(codec, input)));
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it('of zstd in script are a result or an error', () => {
    const sample = javaPayload('zstd of one segment');
    fc.assert(
      fc.property(fc.nat(), fc.nat({ max: 255 }), (at, byte) => {
        const bytes = Buffer.from(sample);
        bytes[at % bytes.length] = byte;
        try {
          expect(decompressZstdInScript(bytes, 1 << 20).length).toBeLessThanOrEqual(1 << 20);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('of LZ4 never read what was not written', () => {
    // A match that lies before the first literal.
    const frame = Buffer.from('04224d18604082' + '05000000' + '1061ff0000' + '00000000', 'hex');
    expect(() => decompressLz4(frame, 1_000)).toThrow(/before the output/);
  });
});
