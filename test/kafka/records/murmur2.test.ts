import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { murmur2, partitionOf } from '../../../src/kafka/records/murmur2.ts';
import { javaMurmur2 } from './java-vectors.ts';

const kafkajs = createRequire(import.meta.url)(
  'kafkajs/src/producer/partitioners/default/murmur2',
) as (key: Buffer) => number;

function hash(bytes: Buffer): number {
  return murmur2(bytes, 0, bytes.length);
}

describe('murmur2', () => {
  it.each(Object.entries(javaMurmur2))('of %o is that of Java', (text, expected) => {
    expect(hash(Buffer.from(text)) | 0).toBe(expected);
    expect(hash(Buffer.from(text))).toBeGreaterThanOrEqual(0);
  });

  it('is that of kafkajs for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        expect(hash(Buffer.from(bytes)) | 0).toBe(kafkajs(Buffer.from(bytes)) | 0);
      }),
      { numRuns: 300 },
    );
  });

  it('looks only at its part of the buffer', () => {
    const around = Buffer.from('<<foobar>>');
    expect(murmur2(around, 2, 8)).toBe(hash(Buffer.from('foobar')));
  });
});

describe('partitionOf', () => {
  it('drops the sign bit as Java does, instead of negating', () => {
    expect(partitionOf(hash(Buffer.from('foobar')), 7)).toBe((-790_332_482 & 0x7fff_ffff) % 7);
    expect(partitionOf(0xffff_ffff, 10)).toBe(0x7fff_ffff % 10);
  });
});
