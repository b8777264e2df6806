/** The billing topology by itself: which hour takes an event, what is invoiced, what is set aside. */
import { beforeEach, expect, test } from 'vitest';
import { avro, bytes, memoryRegistry, string } from '../../../src/index.ts';
import { TestDriver } from '../../../src/testing/test-driver.ts';
import type { Tally } from '../../../topologies/billing/invoice.ts';
import {
  invoiceSchema,
  registerSchemas,
  tallySchema,
  usageSchema,
} from '../../../topologies/billing/schemas.ts';
import { billing, GRACE_MS, WINDOW_MS } from '../../../topologies/billing/topology.ts';
import type { Invoice, Meter, Usage } from '../../../topologies/billing/usage.ts';

async function scene() {
  const registry = memoryRegistry();
  await registerSchemas(registry);
  const long = 'bigint' as const;
  const ofUsage = { subject: 'usage-events-value', schema: usageSchema, registry, long };
  const ofInvoice = { subject: 'invoices-value', schema: invoiceSchema, registry, long };
  const subject = 'billing-usage-by-hour-changelog-value';
  const ofTally = { subject, schema: tallySchema, registry, long };
  const key = string();
  const driver = await TestDriver.start({
    topology: () => billing(registry),
    partitions: { 'usage-events': 2, invoices: 2 },
  });
  const usage = { key, value: avro<Usage>(ofUsage) };
  const events = driver.input('usage-events', usage);
  const raw = driver.input('usage-events', { key: bytes(), value: bytes() });
  const invoices = driver.output('invoices', { key, value: avro<Invoice>(ofInvoice) });
  const late = driver.output('usage-late', usage);
  const dead = driver.output('usage-dead', { key: bytes(), value: bytes() });
  const tallies = driver.windowStore('usage-by-hour', { key, value: avro<Tally>(ofTally) });
  await driver.idle();
  let count = 0;
  const use = (customerId: string, timestampMs: number, meter: Meter, quantity: bigint): void => {
    count += 1;
    const event = { eventId: `event-${count}`, customerId, meter, quantity };
    events.pipe(customerId, { ...event, at: BigInt(timestampMs) }, { timestampMs, partition: 0 });
  };
  return { driver, use, raw, invoices, late, dead, tallies };
}

let billed: Awaited<ReturnType<typeof scene>>;
beforeEach(async () => {
  billed = await scene();
});

test('an hour is invoiced once, when its grace is over', async () => {
  const { driver, use, invoices, tallies } = billed;
  use('ada', 1_000, 'REQUESTS', 10n);
  use('ada', 2_000, 'EGRESS', 2n);
  use('ada', WINDOW_MS + GRACE_MS - 1, 'REQUESTS', 1n);
  await driver.idle();
  expect(invoices.read()).toEqual([]);
  expect(tallies.get('ada', 0)).toEqual({ events: 2n, quantities: { REQUESTS: 10n, EGRESS: 2n } });
  use('bob', WINDOW_MS + GRACE_MS, 'STORAGE', 1n);
  await driver.idle();
  const read = invoices.readValues();
  expect(read).toHaveLength(1);
  expect(read[0]).toMatchObject({
    customerId: 'ada',
    windowStart: 0n,
    windowEnd: BigInt(WINDOW_MS),
    events: 2n,
    amountMicros: 10n * 4n + 2n * 90n,
  });
  await driver.close();
});

test('an event of an invoiced hour is kept as late, and bills nothing', async () => {
  const { driver, use, invoices, late } = billed;
  use('ada', 1_000, 'REQUESTS', 10n);
  use('ada', WINDOW_MS + GRACE_MS, 'REQUESTS', 1n);
  use('ada', 1_500, 'REQUESTS', 7n);
  await driver.idle();
  expect(invoices.readValues().map((invoice) => invoice?.events)).toEqual([1n]);
  expect(late.readValues().map((event) => event?.quantity)).toEqual([7n]);
  await driver.close();
});

test('what cannot be read or billed is dead, byte for byte, and the next event is billed', async () => {
  const { driver, use, raw, invoices, dead } = billed;
  raw.pipe(Buffer.from('ada'), Buffer.from('no avro'), { partition: 0 });
  use('ada', 1_000, 'REQUESTS', -1n);
  use('ada', 1_000, 'REQUESTS', 3n);
  use('ada', 2 * WINDOW_MS, 'REQUESTS', 1n);
  await driver.idle();
  const letters = dead.readValues();
  expect(letters).toHaveLength(2);
  expect(String(letters[0])).toBe('no avro');
  expect(invoices.readValues().map((invoice) => invoice?.amountMicros)).toEqual([12n]);
  await driver.close();
});
