import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32c, crc32cInJavaScript } from '../../../src/kafka/records/crc32c.ts';

/** Bit by bit, as the polynomial division is defined. */
function slowly(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

describe.each([
  ['crc32c', crc32c],
  ['crc32c without WebAssembly', crc32cInJavaScript],
])('%s', (_name, checksum) => {
  // RFC 3720, appendix B.4, and the usual check value.
  it.each([
    [Buffer.alloc(32), 0x8a91_36aa],
    [Buffer.alloc(32, 0xff), 0x62a8_ab43],
    [Buffer.from(Array.from({ length: 32 }, (_, index) => index)), 0x46dd_794e],
    [Buffer.from('123456789'), 0xe306_9283],
    [Buffer.alloc(0), 0],
  ])('has the published value of %o', (bytes, expected) => {
    expect(checksum(bytes, 0, bytes.length)).toBe(expected);
  });

  it('equals the division bit by bit for any part of any bytes', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 600, size: 'max' }),
        fc.nat(),
        fc.nat(),
        (bytes, a, b) => {
          const start = a % (bytes.length + 1);
          const end = start + (b % (bytes.length - start + 1));
          expect(checksum(bytes, start, end)).toBe(slowly(bytes.subarray(start, end)));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('equals it for bytes that come in several pieces', () => {
    for (const length of [255, 256, 49_151, 49_152, 49_153, 98_304, 150_001]) {
      const bytes = Buffer.from(Array.from({ length: length + 3 }, (_, i) => (i * 31) ^ (i >> 7)));
      expect(checksum(bytes, 3, bytes.length)).toBe(slowly(bytes.subarray(3)));
    }
  });
});
