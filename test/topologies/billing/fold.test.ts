import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { murmur2 as murmur2OfEscapement } from '../../../src/kafka/records/murmur2.ts';
import { murmur2, partitionOfCustomer } from '../../../topologies/billing/customer-partition.ts';
import { PlainFold } from '../../../topologies/billing/fold.ts';
import {
  addUsage,
  emptyTally,
  invoiceId,
  invoiceOf,
  type Tally,
} from '../../../topologies/billing/invoice.ts';
import type { Invoice, Meter, Usage } from '../../../topologies/billing/usage.ts';
import {
  invoiceLine,
  sortInvoices,
  writeInvoices,
} from '../../../topologies/billing/write-jsonl.ts';

const HOUR = 3_600_000n;
const GRACE = 600_000n;
const MAX = 2n ** 63n - 1n;

function usage(changes: Partial<Usage>): Usage {
  return { eventId: 'e', customerId: 'c', meter: 'REQUESTS', quantity: 1n, at: 0n, ...changes };
}

function folded(events: readonly (Usage | null)[], partition = 0): PlainFold {
  const fold = new PlainFold();
  for (const each of events) {
    const key = Buffer.from(each?.customerId ?? 'c');
    fold.take({ partition, key, value: Buffer.from(each?.eventId ?? 'x'), usage: each });
  }
  return fold;
}

describe('PlainFold', () => {
  it('makes one invoice per customer and hour', () => {
    const { invoices, late, dead } = folded([
      usage({ quantity: 3n }),
      usage({ quantity: 2n, meter: 'EGRESS', at: HOUR - 1n }),
      usage({ quantity: 0n, meter: 'STORAGE', at: HOUR }),
      usage({ customerId: 'd' }),
    ]).result();
    expect(invoices.map(({ invoiceId: _, ...rest }) => rest)).toEqual([
      {
        customerId: 'c',
        windowStart: 0n,
        windowEnd: HOUR,
        events: 2n,
        quantities: { REQUESTS: 3n, EGRESS: 2n },
        amountMicros: 192n,
      },
      {
        customerId: 'c',
        windowStart: HOUR,
        windowEnd: 2n * HOUR,
        events: 1n,
        quantities: { STORAGE: 0n },
        amountMicros: 0n,
      },
      {
        customerId: 'd',
        windowStart: 0n,
        windowEnd: HOUR,
        events: 1n,
        quantities: { REQUESTS: 1n },
        amountMicros: 4n,
      },
    ]);
    expect(invoices[0]!.invoiceId).toBe(createHash('sha256').update('c|0|3600000').digest('hex'));
    expect([...late, ...dead]).toEqual([]);
  });

  it('takes an event while its end and grace are after stream time, and not a millisecond longer', () => {
    const early = usage({ eventId: 'early' });
    const open = folded([usage({ at: HOUR + GRACE - 1n }), early]).result();
    expect(open.late).toEqual([]);
    const closed = folded([usage({ at: HOUR + GRACE }), early]).result();
    expect(closed.late).toEqual([
      { partition: 0, offset: 1, key: Buffer.from('c'), value: Buffer.from('early') },
    ]);
    expect(closed.invoices).toHaveLength(1);
  });

  it('keeps the stream time of a partition to itself', () => {
    const fold = new PlainFold();
    const take = (partition: number, at: bigint): void =>
      fold.take({ partition, key: Buffer.from('c'), value: Buffer.alloc(0), usage: usage({ at }) });
    take(0, 5n * HOUR);
    take(1, 0n);
    expect(fold.result().late).toEqual([]);
    take(0, 0n);
    expect(fold.result().late).toMatchObject([{ partition: 0, offset: 1 }]);
  });

  it('calls undecodable events dead, and their time does not count', () => {
    const { dead, late } = folded([usage({}), null, usage({})]).result();
    expect(dead).toEqual([
      { partition: 0, offset: 1, key: Buffer.from('c'), value: Buffer.from('x') },
    ]);
    expect(late).toEqual([]);
  });

  it('calls an event dead that would leave int64, without changing anything', () => {
    const huge = MAX / 90n;
    const { dead, invoices, late } = folded([
      usage({ meter: 'EGRESS', quantity: huge }),
      usage({ eventId: 'over', meter: 'EGRESS', quantity: 1n, at: HOUR - 1n }),
      usage({ eventId: 'negative', quantity: -1n }),
      usage({ meter: 'REQUESTS', quantity: (MAX - huge * 90n) / 4n }),
    ]).result();
    expect(dead.map((each) => each.value.toString())).toEqual(['over', 'negative']);
    expect(late).toEqual([]);
    expect(invoices).toHaveLength(1);
    expect(invoices[0]!.events).toBe(2n);
  });

  it('comes to what the topology computes', () => {
    const quantities = fc.oneof(
      fc.bigInt({ min: 0n, max: 2n ** 53n }),
      fc.bigInt({ min: -1n, max: MAX }),
    );
    const meters = fc.constantFrom<Meter>('REQUESTS', 'STORAGE', 'EGRESS');
    fc.assert(
      fc.property(fc.array(fc.tuple(meters, quantities), { maxLength: 12 }), (adds) => {
        const events = adds.map(([meter, quantity]) => usage({ meter, quantity }));
        let tally: Tally = emptyTally();
        let refused = 0;
        for (const event of events) {
          try {
            tally = addUsage(tally, event);
          } catch (error) {
            expect(error).toBeInstanceOf(RangeError);
            refused += 1;
          }
        }
        const { invoices, dead } = folded(events).result();
        expect(dead).toHaveLength(refused);
        const window = { key: 'c', start: 0, end: Number(HOUR) };
        expect(invoices).toEqual(tally.events === 0n ? [] : [invoiceOf(window, tally)]);
      }),
    );
  });
});

describe('invoiceOf', () => {
  it('names the customer and the window by SHA-256', () => {
    const expected = createHash('sha256').update('zoë|1|2', 'utf8').digest('hex');
    expect(invoiceId('zoë', 1, 2)).toBe(expected);
  });
});

describe('partitionOfCustomer', () => {
  it("gives the numbers of Java's murmur2", () => {
    const known: readonly [string, number][] = [
      ['21', -973932308],
      ['foobar', -790332482],
      ['a-little-bit-long-string', -985981536],
      ['a-little-bit-longer-string', -1486304829],
      ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
      ['abc', 479470107],
    ];
    for (const [text, hash] of known) expect(murmur2(Buffer.from(text)), text).toBe(hash);
  });

  it("agrees with escapement's own", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const ours = murmur2OfEscapement(bytes, 0, bytes.length);
        expect(murmur2(Buffer.from(bytes)) >>> 0).toBe(ours);
      }),
    );
    expect(partitionOfCustomer('foobar', 3)).toBe((-790332482 & 0x7fffffff) % 3);
  });
});

describe('writeInvoices', () => {
  const invoice = (changes: Partial<Invoice>): Invoice => ({
    invoiceId: 'i',
    customerId: 'c',
    windowStart: 0n,
    windowEnd: HOUR,
    events: 1n,
    quantities: { REQUESTS: 1n },
    amountMicros: 4n,
    ...changes,
  });

  it('writes longs with all their digits', () => {
    const text = invoiceLine(
      invoice({
        customerId: 'a"\n€',
        quantities: { EGRESS: MAX, REQUESTS: 9_007_199_254_740_993n },
        amountMicros: MAX,
      }),
    );
    expect(text).toBe(
      '{"invoiceId":"i","customerId":"a\\"\\n€","windowStart":0,"windowEnd":3600000,"events":1,' +
        '"quantities":{"REQUESTS":9007199254740993,"EGRESS":9223372036854775807},' +
        '"amountMicros":9223372036854775807}',
    );
  });

  it('sorts by the UTF-8 bytes of the customer id, then by window', () => {
    // U+FF5E comes before U+1F600 in UTF-8 and after it in UTF-16.
    const names = ['\u{1f600}', '\uff5e', 'b', 'a', 'B', 'aa'];
    const rows = names.flatMap((customerId) => [
      invoice({ customerId, windowStart: 2n }),
      invoice({ customerId, windowStart: 1n }),
    ]);
    expect(sortInvoices(rows).map((row) => `${row.customerId}${row.windowStart}`)).toEqual([
      'B1',
      'B2',
      'a1',
      'a2',
      'aa1',
      'aa2',
      'b1',
      'b2',
      '\uff5e1',
      '\uff5e2',
      '\u{1f600}1',
      '\u{1f600}2',
    ]);
  });

  it('replaces the file, also with nothing', () => {
    const folder = mkdtempSync(join(tmpdir(), 'invoices-'));
    try {
      const path = join(folder, 'invoices.jsonl');
      const many = Array.from({ length: 2_500 }, (_, n) => invoice({ windowStart: BigInt(n) }));
      writeInvoices(path, many);
      const text = readFileSync(path, 'utf8');
      expect(text.endsWith('\n')).toBe(true);
      expect(
        text
          .trimEnd()
          .split('\n')
          .map((row) => JSON.parse(row).windowStart),
      ).toEqual(many.map((_, n) => n));
      writeInvoices(path, []);
      expect(readFileSync(path, 'utf8')).toBe('');
      expect(() => writeInvoices(join(folder, 'no', 'x'), [])).toThrow(/ENOENT/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
