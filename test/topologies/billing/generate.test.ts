import { describe, expect, it } from 'vitest';
import { avro } from '../../../src/serde/avro.ts';
import { memoryRegistry } from '../../../src/serde/memory-registry.ts';
import { partitionOfCustomer } from '../../../topologies/billing/customer-partition.ts';
import { PlainFold } from '../../../topologies/billing/fold.ts';
import { damaged, generateUsage } from '../../../topologies/billing/generate.ts';
import { seededRandom } from '../../../topologies/billing/random.ts';
import { registerSchemas, usageSchema } from '../../../topologies/billing/schemas.ts';
import type { Usage } from '../../../topologies/billing/usage.ts';

const options = { events: 20_000, customers: 200, seed: 42, partitions: 3 };

describe('generateUsage', () => {
  it('gives the same events for the same seed and others for another', () => {
    const few = { ...options, events: 500 };
    expect([...generateUsage(few)]).toEqual([...generateUsage(few)]);
    expect([...generateUsage({ ...few, seed: 43 })]).not.toEqual([...generateUsage(few)]);
  });

  it('gives exactly the events asked for, and ten damaged ones', () => {
    for (const events of [1, 7, 1_000]) {
      const all = [...generateUsage({ ...options, events })];
      expect(all.filter(({ damage }) => damage === null)).toHaveLength(events);
      expect(all.flatMap(({ damage }) => damage ?? [])).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
  });

  it('puts customers where Java puts them', () => {
    for (const { partition, usage } of generateUsage({ ...options, events: 300 })) {
      expect(partition).toBe(partitionOfCustomer(usage.customerId, 3));
    }
  });

  it('spreads event time over hours, out of order, with one in a hundred late', () => {
    const fold = new PlainFold();
    const latest = [-1n, -1n, -1n];
    let backwards = 0;
    for (const { partition, usage, damage } of generateUsage(options)) {
      const value = Buffer.from(usage.eventId);
      const key = Buffer.from(usage.customerId);
      fold.take({ partition, key, value, usage: damage === null ? usage : null });
      if (usage.at < latest[partition]!) backwards += 1;
      else latest[partition] = usage.at;
      // A damaged record must not move time, whoever looks at it.
      if (damage !== null) expect(usage.at).toBeLessThanOrEqual(latest[partition]!);
    }
    const { invoices, late, dead } = fold.result();
    expect(dead).toHaveLength(10);
    expect(late.length).toBeGreaterThanOrEqual(195);
    expect(late.length).toBeLessThanOrEqual(200);
    expect(backwards).toBeGreaterThan(5_000);
    expect(new Set(invoices.map((each) => each.windowStart)).size).toBeGreaterThanOrEqual(6);
    const billed = invoices.reduce((sum, each) => sum + each.events, 0n);
    expect(Number(billed) + late.length).toBe(options.events);
  });

  it('damages a record in ten ways, none of which can be decoded', async () => {
    const registry = memoryRegistry();
    await registerSchemas(registry);
    const serde = avro<Usage>({
      subject: 'usage-events-value',
      schema: usageSchema,
      registry,
      long: 'bigint',
    });
    await serde.schemas.start();
    const buffer = Buffer.alloc(300);
    const seen = new Set<string>();
    for (const { usage, damage } of generateUsage({ ...options, events: 50 })) {
      const encoded = Buffer.from(buffer.subarray(0, serde.encode(usage, buffer, 0)));
      expect(serde.decode(encoded, 0, encoded.length)).toEqual(usage);
      if (damage === null) continue;
      const bad = damaged(encoded, damage);
      seen.add(bad.toString('hex'));
      const id = serde.schemas.idOf(bad, 0, bad.length);
      if (id >= 0) await serde.schemas.prepare([id]);
      expect(() => serde.decode(bad, 0, bad.length), `damage ${damage}`).toThrow(
        expect.objectContaining({ decision: 'record' }),
      );
    }
    expect(seen.size).toBe(10);
  });
});

describe('seededRandom', () => {
  it('is uniform enough and stays within its bounds', () => {
    const random = seededRandom(1);
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 10_000; i += 1) counts[random.below(10)]! += 1;
    for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(150);
    expect(counts).toHaveLength(10);
  });
});
