import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EscapementError } from '../../../src/errors.ts';
import {
  DECOMPRESSED_BYTES_MAX,
  decompress,
  decompressZstdInScript,
} from '../../../src/kafka/records/codecs.ts';
import { decompressLz4 } from '../../../src/kafka/records/lz4.ts';
import { decompressSnappy } from '../../../src/kafka/records/snappy.ts';
import { javaBatch, javaPayload, payloadText as text } from './java-vectors.ts';

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

  it('of snappy is refused by the size it claims', () => {
    expect(() => decompressSnappy(javaPayload('snappy block'), 2_999)).toThrow(/too big/);
    // 50,000,000 bytes are below the bound, but seven bytes cannot hold them.
    const claim = Buffer.from('80e1eb17006161', 'hex');
    expect(() => decompressSnappy(claim, DECOMPRESSED_BYTES_MAX)).toThrow(/too big/);
    // A varint of 2^31-1 bytes, and nothing behind it.
    expect(codeOf(() => decompress(SNAPPY, Buffer.from('ffffffff0700', 'hex')))).toBe(
      'BATCH_CORRUPT',
    );
  });

  it('of LZ4 ends at the bound, and soon', () => {
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
    const start = performance.now();
    expect(codeOf(() => decompress(LZ4, bomb))).toBe('BATCH_CORRUPT');
    expect(performance.now() - start).toBeLessThan(1_000);
  });

  it('of zstd ends at the bound, as does a window that it asks for', () => {
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
    expect(() => decompressZstdInScript(window, DECOMPRESSED_BYTES_MAX)).toThrow(/window/);
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
