import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytes } from '../../src/serde/bytes.ts';
import { bigintLong, long } from '../../src/serde/long.ts';
import type { Serde } from '../../src/serde/serde.ts';
import { string } from '../../src/serde/string.ts';
import { windowedSerde } from '../../src/serde/windowed.ts';

const FAILED = expect.objectContaining({ code: 'SERDE_FAILED', decision: 'record' });

/** The bytes of a value; also proves what `encode` promises about room and neighbours. */
function encoded<T>(serde: Serde<T>, value: T): Buffer {
  const buffer = Buffer.alloc(1_024, 0xaa);
  const end = serde.encode(value, buffer, 7);
  expect(end).toBeGreaterThanOrEqual(7);
  expect(buffer.subarray(0, 7).every((byte) => byte === 0xaa)).toBe(true);
  expect(buffer.subarray(end).every((byte) => byte === 0xaa)).toBe(true);
  const size = end - 7;
  const exact = Buffer.alloc(size + 3);
  expect(serde.encode(value, exact, 3)).toBe(size + 3);
  for (const missing of [1, size].filter((count) => count > 0 && count <= size)) {
    expect(serde.encode(value, Buffer.alloc(size - missing), 0)).toBe(-missing);
  }
  return Buffer.from(buffer.subarray(7, end));
}

function decoded<T>(serde: Serde<T>, value: Buffer): T {
  const around = Buffer.concat([Buffer.from([0xff, 0xff]), value, Buffer.from([0xff])]);
  return serde.decode(around, 2, 2 + value.length);
}

describe('string', () => {
  it('is UTF-8 in both directions', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 80 }), (text) => {
        expect(encoded(string(), text)).toEqual(Buffer.from(text));
        expect(decoded(string(), Buffer.from(text))).toBe(text);
      }),
    );
    expect(encoded(string(), '')).toHaveLength(0);
    expect(decoded(string(), Buffer.from('a\ufffdb'))).toBe('a\ufffdb');
  });

  it('refuses every byte sequence that is not UTF-8', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 6 }), (value) => {
        const buffer = Buffer.from(value);
        let expected: string | null = null;
        try {
          expected = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(buffer);
        } catch {}
        if (expected === null) expect(() => decoded(string(), buffer)).toThrow(FAILED);
        else expect(decoded(string(), buffer)).toBe(expected);
      }),
      { numRuns: 2_000 },
    );
  });

  it('refuses a lone surrogate wherever it stands and however long the text is', () => {
    for (const text of ['\ud800', 'a\udc00', `${'x'.repeat(100)}\ud83d`, '\ude00\ud83d']) {
      expect(() => string().encode(text, Buffer.alloc(1_000), 0)).toThrow(FAILED);
      expect(() => string().encode(text, Buffer.alloc(4), 0)).toThrow(FAILED);
    }
  });

  it('refuses what is no string', () => {
    expect(() => string().encode(5 as unknown as string, Buffer.alloc(9), 0)).toThrow(FAILED);
  });
});

describe('long', () => {
  it('is 8 bytes big-endian, as in Java', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        const expected = Buffer.alloc(8);
        expected.writeBigInt64BE(BigInt(value));
        expect(encoded(long(), value)).toEqual(expected);
        expect(decoded(long(), expected)).toBe(value);
        expect(encoded(bigintLong(), BigInt(value))).toEqual(expected);
      }),
    );
    for (const value of [0, -1, 2 ** 31, -(2 ** 31), 2 ** 32, -(2 ** 32) - 1, 2 ** 53 - 1]) {
      expect(decoded(long(), encoded(long(), value))).toBe(value);
    }
  });

  it('refuses what a number cannot hold exactly, both ways', () => {
    for (const value of [2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n)]) {
      const buffer = encoded(bigintLong(), value);
      expect(decoded(bigintLong(), buffer)).toBe(value);
      expect(() => decoded(long(), buffer)).toThrow(FAILED);
      // Errors are logged and values are not.
      expect(() => decoded(long(), buffer)).not.toThrow(String(value));
    }
    for (const value of [2 ** 53, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => long().encode(value, Buffer.alloc(8), 0)).toThrow(FAILED);
    }
    for (const value of [2n ** 63n, -(2n ** 63n) - 1n, 1 as unknown as bigint]) {
      expect(() => bigintLong().encode(value, Buffer.alloc(8), 0)).toThrow(FAILED);
    }
  });

  it('refuses a value of another length', () => {
    for (const length of [0, 7, 9]) {
      expect(() => decoded(long(), Buffer.alloc(length))).toThrow(FAILED);
      expect(() => decoded(bigintLong(), Buffer.alloc(length))).toThrow(FAILED);
    }
  });
});

describe('bytes', () => {
  it('copies, so that a kept value pins nothing', () => {
    const source = Buffer.from('xabcx');
    const value = bytes().decode(source, 1, 4);
    source.fill(0);
    expect(value).toEqual(Buffer.from('abc'));
    expect(value.buffer.byteLength).toBe(3);
    expect(encoded(bytes(), value)).toEqual(Buffer.from('abc'));
    expect(encoded(bytes(), Buffer.alloc(0))).toHaveLength(0);
    expect(() => bytes().encode('abc' as unknown as Buffer, source, 0)).toThrow(FAILED);
  });
});

describe('windowedSerde', () => {
  const serde = windowedSerde(string(), 60_000);

  it("is the key followed by the window's start, as in Kafka Streams", () => {
    const value = { key: 'zoë', start: 1_700_000_040_000, end: 1_700_000_100_000 };
    const expected = Buffer.from(`${Buffer.from('zoë').toString('hex')}0000018bcfe604c0`, 'hex');
    expected.writeBigInt64BE(1_700_000_040_000n, 4);
    expect(encoded(serde, value)).toEqual(expected);
    expect(decoded(serde, expected)).toEqual(value);
    expect(serde.partitionTrailerBytes).toBe(8);
  });

  it('refuses a key without a start', () => {
    expect(() => decoded(serde, Buffer.alloc(7))).toThrow(FAILED);
    expect(decoded(serde, Buffer.alloc(8))).toEqual({ key: '', start: 0, end: 60_000 });
    expect(() => serde.encode({ key: 'a', start: 0.5, end: 1 }, Buffer.alloc(20), 0)).toThrow(
      FAILED,
    );
  });

  it('refuses a size that is no number of milliseconds', () => {
    for (const size of [0, -1, 0.5, Number.NaN]) {
      expect(() => windowedSerde(string(), size)).toThrow(/sizeMs/);
    }
  });
});
