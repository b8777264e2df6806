import { describe, expect, it } from 'vitest';
import { EscapementError } from '../../../src/errors.ts';
import { type FetchOptions, parseFetched } from '../../../src/kafka/records/parse-fetched.ts';
import { RecordCursor } from '../../../src/kafka/records/record-cursor.ts';
import { recordsOf } from './fetched-records.ts';
import { javaBatch, largeText } from './java-vectors.ts';
import { dataBatch, type LoggedRecord, marker, rewritten } from './log-bytes.ts';

const options: FetchOptions = {
  fetchOffset: 0,
  isolation: 'read_committed',
  abortedTransactions: null,
};

/** What the Java program that wrote the vectors appended. */
const written: readonly LoggedRecord[] = [
  { timestamp: 1_700_000_000_000, key: 'key-1', value: 'value-1' },
  { timestamp: 1_700_000_000_007, key: null, value: 'no key' },
  { timestamp: 1_699_990_000_000, key: 'tombstone', value: null },
  { timestamp: 1_700_009_999_999, key: '', value: '' },
  {
    timestamp: 1_700_000_000_001,
    key: 'headers',
    value: 'v'.repeat(300),
    headers: [
      { key: 'a', value: '1' },
      { key: 'a', value: null },
      { key: 'é', value: '' },
    ],
  },
  { timestamp: 253_402_300_799_000, key: 'year 9999', value: 'far' },
].map((record, index) => ({ offset: 100 + index, headers: [], ...record }));

describe('batches written by Kafka 4.3.1', () => {
  it.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)('are read: %s', (codec) => {
    const fetched = parseFetched(javaBatch(codec), { ...options, fetchOffset: 100 });
    expect(recordsOf(fetched)).toEqual(written);
    expect(fetched).toMatchObject({ nextOffset: 106, count: 6 });
  });

  it.each(['large gzip', 'large snappy', 'large lz4', 'large zstd'] as const)(
    'are read over many blocks: %s',
    (name) => {
      const [record, ...others] = recordsOf(parseFetched(javaBatch(name), options));
      expect(record?.value === largeText).toBe(true);
      expect(others).toEqual([]);
    },
  );

  it('have the time of the broker when it sets it', () => {
    const records = recordsOf(parseFetched(javaBatch('logAppendTime'), options));
    expect(records.map(({ timestamp }) => timestamp)).toEqual(written.map(() => 1_800_000_000_000));
  });

  it('end a transaction as its markers say, and move on over empty batches', () => {
    const abortedTransactions = [{ producerId: 4_000_000_017, firstOffset: 100 }];
    const log = Buffer.concat([
      javaBatch('none'),
      javaBatch('abortMarker'),
      rewritten(javaBatch('lz4'), 107),
      rewritten(javaBatch('commitMarker'), 113),
      javaBatch('empty'),
    ]);
    const fetched = parseFetched(log, { ...options, fetchOffset: 100, abortedTransactions });
    expect(recordsOf(fetched).map(({ offset }) => offset)).toEqual([107, 108, 109, 110, 111, 112]);
    expect(fetched.nextOffset).toBe(210);
  });

  it('have markers equal to those of the tests', () => {
    const ours = marker(106, 4_000_000_017, 0);
    expect(ours.subarray(61 + 3, 61 + 9)).toEqual(
      javaBatch('abortMarker').subarray(61 + 3, 61 + 9),
    );
  });
});

describe('RecordCursor', () => {
  const first = dataBatch({ baseOffset: 0, values: ['a', 'b'] });
  const second = dataBatch({ baseOffset: 2, values: ['c'] });

  it('is used again for the next fetch, also when the last one was not read to its end', () => {
    const cursor = new RecordCursor();
    cursor.load(parseFetched(Buffer.concat([first, second]), options));
    expect([cursor.next(), cursor.offset]).toEqual([true, 0]);
    cursor.load(parseFetched(second, { ...options, fetchOffset: 2 }));
    expect([cursor.next(), cursor.offset, cursor.next(), cursor.next()]).toEqual([
      true,
      2,
      false,
      false,
    ]);
  });

  it('is at its end before anything is loaded', () => {
    expect(new RecordCursor().next()).toBe(false);
  });

  it('points into the fetch response instead of copying', () => {
    const cursor = new RecordCursor();
    cursor.load(parseFetched(first, options));
    cursor.next();
    expect(cursor.buffer).toBe(first);
    expect(first.toString('utf8', cursor.valueStart, cursor.valueEnd)).toBe('a');
  });

  it('stays at its end after a malformed record', () => {
    const cursor = new RecordCursor();
    const lying = rewritten(first, 0, (bytes) => {
      bytes[61] = 0x7f;
    });
    cursor.load(parseFetched(Buffer.concat([lying, second]), options));
    expect(() => cursor.next()).toThrow(EscapementError);
    expect(cursor.next()).toBe(false);
  });

  it('refuses an offset beyond the batch, which would be read twice', () => {
    const lying = rewritten(first, 0, (bytes) => bytes.writeInt32BE(0, 23));
    const cursor = new RecordCursor();
    cursor.load(parseFetched(lying, options));
    expect(cursor.next()).toBe(true);
    expect(() => cursor.next()).toThrow(/Check the producer/);
  });
});
