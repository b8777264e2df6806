import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EscapementError } from '../../../src/errors.ts';
import { parseFetched } from '../../../src/kafka/records/parse-fetched.ts';
import { fetchFrom, recordsOf } from './fetched-records.ts';
import {
  ABORT,
  COMMIT,
  dataBatch,
  emptyBatch,
  type LoggedRecord,
  marker,
  readSlowly,
  rewritten,
} from './log-bytes.ts';

function log(...batches: Buffer[]): Buffer {
  return Buffer.concat(batches);
}

function codeOf(run: () => unknown): string {
  try {
    run();
    return 'none';
  } catch (error) {
    if (!(error instanceof EscapementError)) throw error;
    return error.code;
  }
}

describe('the read_committed filter', () => {
  it('takes a list of aborted transactions in any order', () => {
    // Two transactions overlap and the later one ends first: the broker lists it first.
    const bytes = log(
      dataBatch({ baseOffset: 0, producerId: 1, values: ['a'] }),
      dataBatch({ baseOffset: 1, producerId: 2, values: ['b'] }),
      marker(2, 2, ABORT),
      dataBatch({ baseOffset: 3, producerId: 1, values: ['c'] }),
      marker(4, 1, ABORT),
      dataBatch({ baseOffset: 5, producerId: 2, values: ['kept'] }),
      marker(6, 2, COMMIT),
    );
    const abortedTransactions = [
      { producerId: 2, firstOffset: 1 },
      { producerId: 1, firstOffset: 0 },
    ];
    expect(fetchFrom(bytes, { abortedTransactions })).toMatchObject({
      values: ['kept'],
      nextOffset: 7,
    });
  });

  it('makes every due entry active when a fetch begins inside several transactions', () => {
    const bytes = log(
      dataBatch({ baseOffset: 10, producerId: 2, values: ['b'] }),
      dataBatch({ baseOffset: 11, producerId: 1, values: ['a'] }),
      dataBatch({ baseOffset: 12, producerId: 3, values: ['c'] }),
      marker(13, 1, ABORT),
      marker(14, 2, ABORT),
      marker(15, 3, ABORT),
    );
    const abortedTransactions = [1, 2, 3].map((producerId) => ({ producerId, firstOffset: 4 }));
    expect(fetchFrom(bytes, { fetchOffset: 10, abortedTransactions })).toMatchObject({
      values: [],
      nextOffset: 16,
    });
  });

  it('takes a record with key 00000000 for what it is, not for a marker', () => {
    const bytes = log(
      dataBatch({ baseOffset: 0, producerId: 1, values: ['zero'], key: '\0\0\0\0' }),
      dataBatch({ baseOffset: 1, producerId: 1, values: ['still aborted'] }),
      marker(2, 1, ABORT),
      dataBatch({ baseOffset: 3, values: ['plain zero'], key: '\0\0\0\0' }),
    );
    const abortedTransactions = [{ producerId: 1, firstOffset: 0 }];
    expect(fetchFrom(bytes, { abortedTransactions }).values).toEqual(['plain zero']);
  });

  it('drops compressed batches of an aborted transaction', () => {
    const bytes = log(
      dataBatch({ baseOffset: 0, producerId: 1, values: ['a', 'b'], compression: 'gzip' }),
      marker(2, 1, ABORT),
      dataBatch({ baseOffset: 3, producerId: 1, values: ['c', 'd'], compression: 'gzip' }),
      marker(5, 1, COMMIT),
    );
    const abortedTransactions = [{ producerId: 1, firstOffset: 0 }];
    expect(fetchFrom(bytes, { abortedTransactions })).toMatchObject({
      values: ['c', 'd'],
      offsets: [3, 4],
    });
  });

  it('lets committed records follow an aborted transaction whose data is gone', () => {
    const bytes = log(
      emptyBatch(0, 3, 1),
      marker(4, 1, ABORT),
      dataBatch({ baseOffset: 5, producerId: 1, values: ['kept'] }),
      marker(6, 1, COMMIT),
    );
    const abortedTransactions = [{ producerId: 1, firstOffset: 0 }];
    expect(fetchFrom(bytes, { abortedTransactions })).toMatchObject({
      values: ['kept'],
      nextOffset: 7,
    });
  });

  it('begins at an abort marker', () => {
    const bytes = log(marker(8, 1, ABORT), dataBatch({ baseOffset: 9, values: ['kept'] }));
    const abortedTransactions = [{ producerId: 1, firstOffset: 2 }];
    expect(fetchFrom(bytes, { fetchOffset: 8, abortedTransactions }).values).toEqual(['kept']);
  });

  it('holds when one producer aborts twice in a fetch, and commits in between', () => {
    const bytes = log(
      dataBatch({ baseOffset: 0, producerId: 1, values: ['a'] }),
      marker(1, 1, ABORT),
      dataBatch({ baseOffset: 2, producerId: 1, values: ['kept'] }),
      marker(3, 1, COMMIT),
      dataBatch({ baseOffset: 4, producerId: 1, values: ['b'] }),
      marker(5, 1, ABORT),
    );
    const abortedTransactions = [
      { producerId: 1, firstOffset: 0 },
      { producerId: 1, firstOffset: 4 },
    ];
    expect(fetchFrom(bytes, { abortedTransactions }).values).toEqual(['kept']);
  });

  it('drops aborted data whose marker lies beyond the fetch', () => {
    const bytes = log(
      dataBatch({ baseOffset: 0, values: ['kept'] }),
      dataBatch({ baseOffset: 1, producerId: 1, values: ['a'] }),
    );
    const abortedTransactions = [{ producerId: 1, firstOffset: 1 }];
    expect(fetchFrom(bytes, { abortedTransactions })).toMatchObject({
      values: ['kept'],
      nextOffset: 2,
    });
  });

  it('keeps data of an aborting producer that is not transactional', () => {
    const idempotent = dataBatch({ baseOffset: 1, producerId: 1, values: ['kept'] });
    const bytes = log(
      dataBatch({ baseOffset: 0, producerId: 1, values: ['a'] }),
      rewritten(idempotent, 1, (batch) => batch.writeInt16BE(0, 21)),
      marker(2, 1, ABORT),
    );
    const abortedTransactions = [{ producerId: 1, firstOffset: 0 }];
    expect(fetchFrom(bytes, { abortedTransactions }).values).toEqual(['kept']);
  });

  it('passes control batches of an unknown type, empty ones and malformed ones', () => {
    const odd = rewritten(emptyBatch(2, 2, 1), 2, (batch) => batch.writeInt16BE(0x30, 21));
    const cut = rewritten(odd, 3, (batch) => batch.writeInt32BE(9, 57));
    const bytes = log(
      dataBatch({ baseOffset: 0, producerId: 1, values: ['a'] }),
      marker(1, 1, 5),
      odd,
      cut,
      dataBatch({ baseOffset: 4, producerId: 1, values: ['still aborted'] }),
      marker(5, 1, ABORT),
      marker(6, 1, ABORT),
      dataBatch({ baseOffset: 7, producerId: 1, values: ['kept'] }),
    );
    const abortedTransactions = [{ producerId: 1, firstOffset: 0 }];
    expect(fetchFrom(bytes, { abortedTransactions })).toMatchObject({
      values: ['kept'],
      nextOffset: 8,
    });
  });

  it('reads everything but control records when it is off', () => {
    const bytes = log(
      dataBatch({ baseOffset: 0, producerId: 1, values: ['a'] }),
      marker(1, 1, ABORT),
      dataBatch({ baseOffset: 2, values: ['b'] }),
    );
    const abortedTransactions = [{ producerId: 1, firstOffset: 0 }];
    expect(fetchFrom(bytes, { isolation: 'read_uncommitted', abortedTransactions }).values).toEqual(
      ['a', 'b'],
    );
  });
});

interface Written {
  readonly producer: number;
  readonly step: 'write' | 'write' | 'abort' | 'commit';
  readonly records: number;
}

/** A log by random producers, with the transactions' outcomes known. */
function history(steps: readonly Written[]) {
  const batches: { bytes: Buffer; baseOffset: number; lastOffset: number }[] = [];
  const open = new Map<number, { firstOffset: number; offsets: number[] }>();
  const aborted: { producerId: number; firstOffset: number; lastOffset: number }[] = [];
  const committed = new Set<number>();
  let end = 0;
  const push = (bytes: Buffer, records: number): void => {
    batches.push({ bytes, baseOffset: end, lastOffset: end + records - 1 });
    end += records;
  };
  const finish = (producerId: number, outcome: 'abort' | 'commit'): void => {
    const transaction = open.get(producerId);
    if (transaction === undefined) return;
    open.delete(producerId);
    if (outcome === 'commit') for (const offset of transaction.offsets) committed.add(offset);
    // The broker's index is in the order of completion.
    else aborted.push({ producerId, firstOffset: transaction.firstOffset, lastOffset: end });
    push(marker(end, producerId, outcome === 'abort' ? ABORT : COMMIT), 1);
  };
  for (const { producer, step, records } of steps) {
    const offsets = Array.from({ length: records }, (_, index) => end + index);
    if (producer === 0) {
      push(dataBatch({ baseOffset: end, values: offsets.map(String) }), records);
      for (const offset of offsets) committed.add(offset);
    } else if (step === 'write') {
      const transaction = open.get(producer) ?? { firstOffset: end, offsets: [] };
      transaction.offsets.push(...offsets);
      open.set(producer, transaction);
      push(
        dataBatch({ baseOffset: end, producerId: producer, values: offsets.map(String) }),
        records,
      );
    } else finish(producer, step);
  }
  for (const producer of [...open.keys()]) finish(producer, 'abort');
  return { batches, aborted, committed, end };
}

describe('any history of transactions', () => {
  const written = fc.record({
    producer: fc.nat({ max: 4 }),
    step: fc.constantFrom('write', 'write', 'abort', 'commit'),
    records: fc.integer({ min: 1, max: 3 }),
  }) as fc.Arbitrary<Written>;

  it('is read as exactly its committed records, fetch after fetch, from any offset', () => {
    fc.assert(
      fc.property(
        fc.array(written, { maxLength: 40 }),
        fc.nat(),
        fc.integer({ min: 1, max: 6 }),
        (steps, from, perFetch) => {
          const { batches, aborted, committed, end } = history(steps);
          const start = from % (end + 1);
          const seen: number[] = [];
          for (let position = start; position < end; ) {
            const first = batches.findIndex(({ lastOffset }) => lastOffset >= position);
            const part = batches.slice(first, first + perFetch);
            const upTo = part.at(-1)!.lastOffset;
            const { offsets, nextOffset } = fetchFrom(log(...part.map(({ bytes }) => bytes)), {
              fetchOffset: position,
              abortedTransactions: aborted.filter(
                (entry) => entry.lastOffset >= position && entry.firstOffset <= upTo,
              ),
            });
            expect(nextOffset).toBe(upTo + 1);
            seen.push(...offsets);
            position = nextOffset;
          }
          expect(seen).toEqual(
            [...committed].filter((offset) => offset >= start).sort((a, b) => a - b),
          );
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe('the position', () => {
  it('passes a batch that compaction emptied', () => {
    const bytes = log(dataBatch({ baseOffset: 4, values: ['last'] }), emptyBatch(5, 9));
    expect(fetchFrom(bytes, { fetchOffset: 4 })).toEqual({
      values: ['last'],
      offsets: [4],
      nextOffset: 10,
    });
    expect(fetchFrom(emptyBatch(5, 9), { fetchOffset: 5 }).nextOffset).toBe(10);
  });

  it('passes offsets that compaction left out of a batch', () => {
    const batch = rewritten(dataBatch({ baseOffset: 4, values: ['x'] }), 4, (bytes) =>
      bytes.writeInt32BE(5, 23),
    );
    expect(fetchFrom(batch, { fetchOffset: 4 })).toMatchObject({ offsets: [4], nextOffset: 10 });
  });

  it('stays where it is when nothing whole was fetched', () => {
    const whole = dataBatch({ baseOffset: 7, values: ['x'.repeat(100)] });
    for (const cut of [0, 5, 16, 17, 60, whole.length - 1]) {
      expect(fetchFrom(whole.subarray(0, cut), { fetchOffset: 7 })).toEqual({
        values: [],
        offsets: [],
        nextOffset: 7,
      });
    }
  });

  it('stops before a batch that is cut off', () => {
    const bytes = log(
      dataBatch({ baseOffset: 0, values: ['a', 'b'] }),
      dataBatch({ baseOffset: 2, values: ['c'] }),
    );
    expect(fetchFrom(bytes.subarray(0, -1))).toMatchObject({ values: ['a', 'b'], nextOffset: 2 });
  });

  it('begins inside a batch: records below the fetch offset are passed over', () => {
    const bytes = dataBatch({ baseOffset: 10, values: ['a', 'b', 'c'] });
    expect(fetchFrom(bytes, { fetchOffset: 12 })).toEqual({
      values: ['c'],
      offsets: [12],
      nextOffset: 13,
    });
  });

  it('never goes back: batches that lie before it say nothing new', () => {
    const first = dataBatch({ baseOffset: 3, values: ['a'] });
    const old = dataBatch({ baseOffset: 1, values: ['old'] });
    expect(fetchFrom(log(old, first, old), { fetchOffset: 3 })).toMatchObject({
      values: ['a'],
      nextOffset: 4,
    });
  });
});

describe('counts and bytes', () => {
  it('are those of the batches that may be read, and of the whole answer that they lie in', () => {
    const readable = dataBatch({ baseOffset: 0, values: ['a', 'b'] });
    const bytes = log(readable, marker(2, 1, COMMIT));
    const fetched = parseFetched(bytes, {
      fetchOffset: 0,
      isolation: 'read_committed',
      abortedTransactions: [],
    });
    expect(fetched).toMatchObject({ count: 2, bytes: bytes.length, nextOffset: 3 });
    expect(recordsOf(fetched)).toHaveLength(2);
  });
});

describe('corrupt batches', () => {
  const batch = dataBatch({ baseOffset: 0, values: ['a', 'b'] });

  it('are refused for any byte that the checksum covers', () => {
    for (let at = 17; at < batch.length; at++) {
      const flipped = Buffer.from(batch);
      flipped[at]! ^= 0x40;
      expect([at, codeOf(() => fetchFrom(flipped))]).toEqual([at, 'BATCH_CORRUPT']);
    }
  });

  it('are refused when their length is less than a header', () => {
    for (const length of [0, -1, 48]) {
      const wrong = Buffer.from(batch);
      wrong.writeInt32BE(length, 8);
      expect(codeOf(() => fetchFrom(wrong))).toBe('BATCH_CORRUPT');
    }
  });

  it('are refused in formats before 2, with what to do', () => {
    const old = Buffer.from(batch);
    old[16] = 1;
    expect(() => fetchFrom(old)).toThrow(/has format 1, not 2/);
  });

  it('are refused when they claim more records than fit, or fewer offsets than none', () => {
    const many = rewritten(batch, 0, (bytes) => bytes.writeInt32BE(0x7fff_ffff, 57));
    expect(codeOf(() => fetchFrom(many))).toBe('BATCH_CORRUPT');
    const negative = rewritten(batch, 0, (bytes) => bytes.writeInt32BE(-2, 57));
    expect(codeOf(() => fetchFrom(negative))).toBe('BATCH_CORRUPT');
    const backwards = rewritten(batch, 0, (bytes) => bytes.writeInt32BE(-1, 23));
    expect(codeOf(() => fetchFrom(backwards))).toBe('BATCH_CORRUPT');
  });

  it('are refused record by record when lengths lie, whatever the checksum says', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 4 }),
        (changes) => {
          const mutated = rewritten(batch, 0, (bytes) => {
            for (const [at, byte] of changes) bytes[61 + (at % (bytes.length - 61))] = byte;
          });
          expect(['none', 'BATCH_CORRUPT', 'RECORD_UNDECODABLE']).toContain(
            codeOf(() => fetchFrom(mutated)),
          );
        },
      ),
      { numRuns: 600 },
    );
  });

  it('are a result or a typed error for any bytes at all', () => {
    const several = log(batch, dataBatch({ baseOffset: 2, values: ['c'], compression: 'gzip' }));
    fc.assert(
      fc.property(fc.nat(), fc.nat({ max: 255 }), fc.nat(), (at, byte, cut) => {
        const bytes = Buffer.from(several.subarray(0, 1 + (cut % several.length)));
        bytes[at % bytes.length] = byte;
        expect(['none', 'BATCH_CORRUPT', 'RECORD_UNDECODABLE']).toContain(
          codeOf(() => fetchFrom(bytes)),
        );
      }),
      { numRuns: 600 },
    );
  });

  it('never yield bytes of the next batch', () => {
    const next = dataBatch({ baseOffset: 2, values: ['secret of the next batch'] });
    const lying = rewritten(batch, 0, (bytes) => {
      // The second record and its value, both one byte longer than there is: the next begins with 0.
      const start = bytes.length - 8;
      expect([bytes[start], bytes[start + 5]]).toEqual([7 * 2, 1 * 2]);
      bytes[start]! += 2;
      bytes[start + 5]! += 2;
    });
    expect(codeOf(() => fetchFrom(log(lying, next)))).toBe('BATCH_CORRUPT');
  });
});

describe('the slow reader of the tests', () => {
  it('agrees on a log of several batches', () => {
    const bytes = log(
      dataBatch({ baseOffset: 5, values: ['a', 'b'], key: 'k' }),
      dataBatch({ baseOffset: 7, values: ['c'], compression: 'gzip' }),
    );
    const fetched = parseFetched(bytes, {
      fetchOffset: 5,
      isolation: 'read_uncommitted',
      abortedTransactions: null,
    });
    const expected: LoggedRecord[] = readSlowly(bytes);
    expect(recordsOf(fetched)).toEqual(expected);
  });
});
