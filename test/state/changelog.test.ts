import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  changelogConfigs,
  windowSequenceOf,
  windowStartOf,
  writeWindowKey,
} from '../../src/state/changelog.ts';

describe('changelog', () => {
  it('lays a window key out as Kafka Streams does', () => {
    const target = Buffer.alloc(20, 0xee);
    const key = Buffer.from('xxab');
    const end = writeWindowKey(target, 1, key, 2, 4, 1_700_000_000_000);
    // 'ab', int64 1700000000000 and int32 0, big-endian.
    expect(target.subarray(1, end).toString('hex')).toBe('61620000018bcfe5680000000000');
    expect(target[0]).toBe(0xee);
    expect(target[end]).toBe(0xee);
  });

  it('reads back what it wrote, for keys of any length and every safe start', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.maxSafeInteger(), (bytes, windowStart) => {
        const key = Buffer.from(bytes);
        const target = Buffer.alloc(key.length + 12);
        const end = writeWindowKey(target, 0, key, 0, key.length, windowStart);
        expect(end).toBe(target.length);
        expect(target.subarray(0, key.length).equals(key)).toBe(true);
        expect(target.readBigInt64BE(key.length)).toBe(BigInt(windowStart));
        expect(windowStartOf(target, end)).toBe(windowStart);
        expect(windowSequenceOf(target, end)).toBe(0);
      }),
    );
  });

  it('keeps key-value stores compacted and window stores a day longer than the store', () => {
    expect(changelogConfigs({ kind: 'key-value' })).toEqual({ 'cleanup.policy': 'compact' });
    expect(changelogConfigs({ kind: 'window', sizeMs: 3_600_000, graceMs: 600_000 })).toEqual({
      'cleanup.policy': 'compact,delete',
      'retention.ms': '90600000',
    });
    const spec = { kind: 'window', sizeMs: 10, graceMs: 1, additionalRetentionMs: 5 } as const;
    expect(changelogConfigs(spec)['retention.ms']).toBe('16');
  });
});
