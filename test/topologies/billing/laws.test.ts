/** Billing by laws and by a crash at every request, over events that its schema makes up. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { avro, memoryRegistry } from '../../../src/index.ts';
import { arbitraryOf } from '../../../src/laws/arbitrary-of.ts';
import { checkLaws } from '../../../src/laws/check-laws.ts';
import { crashTest } from '../../../src/simulation/crash-test.ts';
import { PlainFold } from '../../../topologies/billing/fold.ts';
import { registerSchemas, usageSchema } from '../../../topologies/billing/schemas.ts';
import { billing, GRACE_MS, WINDOW_MS } from '../../../topologies/billing/topology.ts';
import type { Invoice, Usage } from '../../../topologies/billing/usage.ts';

const registry = memoryRegistry();
await registerSchemas(registry);
const long = 'bigint' as const;
const usage = avro<Usage>({ subject: 'usage-events-value', schema: usageSchema, registry, long });

/** A busy machine takes several times as long. */
const TIMEOUT_MS = 600_000;
const NOTHING = Buffer.alloc(0);

/** The invoices of the hours that are over, by the loop that judges `npm start`. */
function invoicesOf(all: readonly Usage[]): readonly (readonly [string, Invoice])[] {
  const fold = new PlainFold();
  for (const event of all) {
    const key = Buffer.from(event.customerId);
    fold.take({ partition: 0, key, value: NOTHING, usage: event });
  }
  const billed = all.filter(({ quantity }) => quantity >= 0n);
  const now = Math.max(-1, ...billed.map(({ at }) => Number(at)));
  return fold
    .result()
    .invoices.filter(({ windowEnd }) => Number(windowEnd) + GRACE_MS <= now)
    .sort((one, other) => Number(one.windowStart - other.windowStart))
    .map((invoice) => [invoice.customerId, invoice]);
}

/** In quarters of hours, so that events meet in one and come late for another. */
const events = arbitraryOf(usage, {
  fields: {
    customerId: fc.constantFrom('ada', 'bob'),
    quantity: fc.bigInt({ min: -1n, max: 9n }),
    at: fc.nat(16).map((quarters) => BigInt(quarters * 900_000)),
  },
});

test('every hour that is over is invoiced as a loop over the events does it, whatever crashes', {
  timeout: TIMEOUT_MS,
}, async () => {
  const records = events.map((value) => ({
    key: value.customerId,
    value,
    timestampMs: Number(value.at),
  }));
  const report = await checkLaws({
    topology: () => billing(registry),
    inputs: { 'usage-events': records },
    model: (all) => ({ invoices: invoicesOf(all.map(({ value }) => value)) }),
    // An hour is over when the time of its partition says so: what is late depends on partitions.
    partitionsMax: 1,
    runs: 15,
  });
  expect(Object.keys(report.runs)).not.toContain('partition independence');
});

test('no request that fails changes an invoice, a late event or a dead one', {
  timeout: TIMEOUT_MS,
}, async () => {
  const event = (at: number, customerId: string, quantity: bigint): Usage => {
    return {
      eventId: `${customerId} ${at}`,
      customerId,
      meter: 'EGRESS',
      quantity,
      at: BigInt(at),
    };
  };
  const all = [
    event(1_000, 'ada', 2n),
    event(2_000, 'ada', -1n),
    event(WINDOW_MS, 'bob', 1n),
    event(WINDOW_MS + GRACE_MS, 'bob', 1n),
    event(3_000, 'ada', 7n),
    event(3 * WINDOW_MS, 'ada', 1n),
  ];
  const inputs = all.map((value) => ({
    topic: 'usage-events',
    key: value.customerId,
    value,
    timestampMs: Number(value.at),
  }));
  const undecodable = { topic: 'usage-events', key: 'ada', value: Buffer.from('no avro') };
  await crashTest({
    topology: () => billing(registry),
    topics: { 'usage-events': 1, invoices: 1, 'usage-late': 1, 'usage-dead': 1 },
    inputs: [...inputs.slice(0, 2), undecodable, ...inputs.slice(2)],
    expected: { invoices: invoicesOf(all), 'usage-late': [['ada', all[4]]] },
    every: 19,
    seeds: 5,
  });
});
