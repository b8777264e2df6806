import { describe, expect, it } from 'vitest';
import type { EscapementError } from '../../../src/errors.ts';
import { BatchWriter } from '../../../src/kafka/records/batch-writer.ts';
import { readHeaders } from '../../../src/kafka/records/headers.ts';

/** Header bytes as a record holds them, without the count. */
function headerBytes(headers: readonly [string, string | null][]): Buffer {
  const writer = new BatchWriter();
  const written = headers.map(([key, value]) => ({
    key,
    value: value === null ? null : Buffer.from(value),
  }));
  writer.append(0, null, -1, -1, null, -1, -1, written);
  const [batch] = writer.take();
  const bytes = batch!.buffer.subarray(61, batch!.bytes);
  const lengthBytes = [0x80, 0x4000, 0x20_0000].findIndex((max) => bytes.length * 2 < max) + 1;
  const countBytes = headers.length < 64 ? 1 : 2;
  return bytes.subarray(lengthBytes + 1 + 1 + 1 + 1 + 1 + countBytes);
}

function undecodable(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toMatchObject({ code: 'RECORD_UNDECODABLE', decision: 'record' });
    return (error as EscapementError).message;
  }
  return 'no error';
}

describe('readHeaders', () => {
  it('keeps order, duplicates, nulls and names that objects reserve', () => {
    const headers: [string, string | null][] = [
      ['b', '1'],
      ['a', null],
      ['a', ''],
      ['__proto__', 'x'],
      ['constructor', 'y'],
      ['é', 'ü'],
    ];
    const read = readHeaders(headerBytes(headers), 0, headers.length);
    expect(read.map(({ key, value }) => [key, value?.toString() ?? null])).toEqual(headers);
  });

  it('reads a thousand headers and refuses one more', () => {
    const many = Array.from({ length: 1_001 }, (_, index): [string, string] => [`${index}`, '']);
    expect(readHeaders(headerBytes(many.slice(1)), 0, 1_000)).toHaveLength(1_000);
    expect(undecodable(() => readHeaders(headerBytes(many), 0, 1_001))).toContain('1001 headers');
  });

  it('refuses more than 64 KiB of them', () => {
    const large: [string, string][] = [
      ['a', 'x'.repeat(40_000)],
      ['b', 'x'.repeat(30_000)],
    ];
    expect(readHeaders(headerBytes(large.slice(0, 1)), 0, 1)).toHaveLength(1);
    expect(undecodable(() => readHeaders(headerBytes(large), 0, 2))).toContain('65536 bytes');
  });

  it('refuses a count or a length that the bytes do not hold', () => {
    const one = headerBytes([['key', 'value']]);
    expect(undecodable(() => readHeaders(one, 0, 2))).toContain('exceed');
    expect(undecodable(() => readHeaders(one.subarray(0, 6), 0, 1))).toContain('exceed');
    expect(undecodable(() => readHeaders(Buffer.from('01', 'hex'), 0, 1))).toContain('without');
    const endless = Buffer.alloc(16, 0xff);
    expect(undecodable(() => readHeaders(endless, 0, 1))).toContain('32 bits');
  });
});
