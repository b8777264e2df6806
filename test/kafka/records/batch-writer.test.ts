import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BatchWriter,
  type PendingBatch,
  sealBatch,
} from '../../../src/kafka/records/batch-writer.ts';
import type { Compression } from '../../../src/kafka/records/codecs.ts';
import { crc32c } from '../../../src/kafka/records/crc32c.ts';
import { append, type PlainRecord, plainRecord, readSlowly } from './log-bytes.ts';

const identity = {
  producerId: 4_000_000_017,
  producerEpoch: 3,
  baseSequence: 11,
  transactional: 'transactional',
} as const;

function sealed(batches: readonly PendingBatch[]): Buffer[] {
  return batches.map((batch) => Buffer.from(sealBatch(batch, identity)));
}

function content(batches: readonly PendingBatch[]): PlainRecord[] {
  return readSlowly(Buffer.concat(sealed(batches))).map(({ offset: _, ...record }) => record);
}

const text = fc.option(fc.string({ unit: 'grapheme', maxLength: 60 }), { freq: 5 });
const record: fc.Arbitrary<PlainRecord> = fc.record(
  {
    timestamp: fc.oneof(
      fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }),
      fc.maxSafeInteger(),
    ),
    key: text,
    value: text,
    headers: fc.array(fc.record({ key: fc.string({ maxLength: 5 }), value: text }), {
      maxLength: 2,
    }),
  },
  { noNullPrototype: true },
);

describe('BatchWriter', () => {
  it('keeps every record, in order, in batches within the bound', () => {
    fc.assert(
      fc.property(
        fc.array(record, { maxLength: 40 }),
        fc.integer({ min: 62, max: 900 }),
        (all, max) => {
          const writer = new BatchWriter({ batchBytesMax: max });
          for (const one of all) append(writer, one);
          expect(writer.count).toBe(all.length);
          const bytes = writer.bytes;
          const batches = writer.take();
          expect(content(batches)).toEqual(all.map((one) => ({ ...one })));
          expect(batches.reduce((sum, batch) => sum + batch.bytes, 0)).toBe(bytes);
          for (const batch of batches) {
            expect(batch.bytes <= max || batch.records === 1).toBe(true);
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it('undoes exactly what follows the last mark, as a list that is cut does', () => {
    const action = fc.oneof(
      { weight: 6, arbitrary: record },
      { weight: 2, arbitrary: fc.constant('mark' as const) },
      { weight: 2, arbitrary: fc.constant('rollback' as const) },
      { weight: 1, arbitrary: fc.constant('take' as const) },
    );
    fc.assert(
      fc.property(
        fc.array(action, { maxLength: 60 }),
        fc.integer({ min: 90, max: 500 }),
        (actions, max) => {
          const writer = new BatchWriter({ batchBytesMax: max });
          let model: PlainRecord[] = [];
          let marked = 0;
          for (const step of actions) {
            if (step === 'mark') {
              writer.mark();
              marked = model.length;
            } else if (step === 'rollback') {
              writer.rollback();
              model.length = marked;
            } else if (step === 'take') {
              expect(content(writer.take())).toEqual(model);
              model = [];
              marked = 0;
              expect([writer.count, writer.bytes]).toEqual([0, 0]);
            } else {
              append(writer, step);
              model.push({ ...step });
            }
            expect(writer.count).toBe(model.length);
          }
          const bytes = writer.bytes;
          const batches = writer.take();
          expect(batches.reduce((sum, batch) => sum + batch.bytes, 0)).toBe(bytes);
          expect(content(batches)).toEqual(model);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('opens the batch again that was closed after the mark', () => {
    const writer = new BatchWriter({ batchBytesMax: 200 });
    append(writer, plainRecord('kept'));
    writer.mark();
    const bytes = writer.bytes;
    for (let index = 0; index < 20; index++) append(writer, plainRecord('x'.repeat(50)));
    writer.rollback();
    expect(writer.bytes).toBe(bytes);
    append(writer, plainRecord('next'));
    const batches = writer.take();
    expect(batches).toHaveLength(1);
    expect(content(batches).map(({ value }) => value)).toEqual(['kept', 'next']);
  });

  it('begins a new batch when a record would pass batchBytesMax', () => {
    const writer = new BatchWriter({ batchBytesMax: 1_000 });
    for (let index = 0; index < 30; index++) append(writer, plainRecord('v'.repeat(91)));
    const batches = writer.take();
    // 61 bytes of header and nine records of 100 are 961; a tenth would be 1,061.
    expect(batches.map((batch) => batch.records)).toEqual([9, 9, 9, 3]);
    expect(batches.map((batch) => batch.bytes)).toEqual([961, 961, 961, 361]);
  });

  it('gives a record larger than batchBytesMax a batch of its own', () => {
    const writer = new BatchWriter({ batchBytesMax: 500 });
    append(writer, plainRecord('before'));
    append(writer, plainRecord('L'.repeat(5_000)));
    append(writer, plainRecord('after'));
    const batches = writer.take();
    expect(batches.map((batch) => batch.records)).toEqual([1, 1, 1]);
    expect(batches[1]!.bytes).toBeGreaterThan(5_000);
    expect(content(batches).map(({ value }) => value?.slice(0, 6))).toEqual([
      'before',
      'LLLLLL',
      'after',
    ]);
  });

  it('tells a null from nothing, by start as well as by buffer', () => {
    const writer = new BatchWriter();
    const bytes = Buffer.from('keyvalue');
    writer.append(5, bytes, -1, -1, bytes, 3, 8, null);
    writer.append(5, bytes, 0, 0, null, 0, 0, []);
    expect(content(writer.take())).toMatchObject([
      { key: null, value: 'value' },
      { key: '', value: null },
    ]);
  });

  it('writes timestamps from one end of int64 to the other', () => {
    const writer = new BatchWriter();
    const timestamps = [0, 2 ** 63, -(2 ** 63), 253_402_300_799_000, 1, 2 ** 52, -(2 ** 52)];
    for (const timestamp of timestamps) append(writer, { ...plainRecord('v'), timestamp });
    // The largest int64 is not a double; it reads as the next one.
    expect(content(writer.take()).map(({ timestamp }) => timestamp)).toEqual(timestamps);
  });

  it('has a maxTimestamp of its records alone after a rollback', () => {
    const writer = new BatchWriter();
    append(writer, { ...plainRecord('v'), timestamp: 10 });
    writer.mark();
    append(writer, { ...plainRecord('v'), timestamp: 99 });
    writer.rollback();
    append(writer, { ...plainRecord('v'), timestamp: 20 });
    expect(writer.take()).toMatchObject([{ baseTimestamp: 10, maxTimestamp: 20 }]);
  });
});

describe('sealBatch', () => {
  function batchOf(count: number, compression: Compression = 'none'): PendingBatch {
    const writer = new BatchWriter({ compression });
    for (let index = 0; index < count; index++) append(writer, plainRecord(`value ${index}`));
    return writer.take()[0]!;
  }

  it('fills the header and the checksum', () => {
    const bytes = sealBatch(batchOf(3), identity);
    expect(bytes.readInt32BE(8)).toBe(bytes.length - 12);
    expect([bytes[16], bytes.readInt16BE(21), bytes.readInt32BE(23)]).toEqual([2, 0x10, 2]);
    expect(bytes.readBigInt64BE(43)).toBe(4_000_000_017n);
    expect([bytes.readInt16BE(51), bytes.readInt32BE(53), bytes.readInt32BE(57)]).toEqual([
      3, 11, 3,
    ]);
    expect(bytes.readUInt32BE(17)).toBe(crc32c(bytes, 21, bytes.length));
  });

  it('seals the same batch again for another producer id', () => {
    const batch = batchOf(2);
    const first = Buffer.from(sealBatch(batch, identity));
    const other = sealBatch(batch, {
      ...identity,
      producerId: 9,
      producerEpoch: 0,
      baseSequence: 0,
    });
    expect(other.readBigInt64BE(43)).toBe(9n);
    expect(other.subarray(61).equals(first.subarray(61))).toBe(true);
    expect(Buffer.from(sealBatch(batch, identity)).equals(first)).toBe(true);
  });

  it('marks idempotent batches as not transactional, and plain ones with no producer', () => {
    const idempotent = sealBatch(batchOf(1), { ...identity, transactional: 'idempotent' });
    expect([idempotent.readInt16BE(21), idempotent.readInt16BE(51)]).toEqual([0, 3]);
    const plain = sealBatch(batchOf(1), { ...identity, transactional: 'plain' });
    expect([plain.readBigInt64BE(43), plain.readInt16BE(51), plain.readInt32BE(53)]).toEqual([
      -1n,
      -1,
      -1,
    ]);
  });

  it('compresses with gzip on request and leaves the batch as it was', () => {
    const batch = batchOf(50, 'gzip');
    const compressed = sealBatch(batch, identity);
    expect(compressed.length).toBeLessThan(batch.bytes);
    expect(readSlowly(compressed)).toEqual(
      readSlowly(Buffer.from(sealBatch(batchOf(50), identity))),
    );
    expect(sealBatch(batch, identity).equals(compressed)).toBe(true);
  });
});
