/**
 * Billing, the topology of the demonstration: hourly invoices in Avro, events that come too late and
 * events that cannot be read or billed, set aside in the transaction of their offset. The model is the
 * plain fold that judges `npm start`.
 */
import { memoryRegistry } from '../../../src/index.ts';
import type { Input, Outcome } from '../../../src/simulation/oracle/evidence.ts';
import type { SeededRandom } from '../../../src/simulation/seeded-random.ts';
import type { Workload } from '../../../src/simulation/workload.ts';
import { type FoldResult, PlainFold } from '../../../topologies/billing/fold.ts';
import { damaged } from '../../../topologies/billing/generate.ts';
import { decodeInvoice, decodeUsage, encodeUsage } from '../../../topologies/billing/plain-avro.ts';
import { registerSchemas, usageSchema } from '../../../topologies/billing/schemas.ts';
import {
  GRACE_MS,
  billing as topologyOf,
  WINDOW_MS,
} from '../../../topologies/billing/topology.ts';
import { type Invoice, METERS, type Usage } from '../../../topologies/billing/usage.ts';
import { differences } from './differences.ts';

const PARTITIONS = 2;
const CUSTOMERS = ['ada', 'bob', 'zoë'];
const INPUT = 'usage-events';
/** Between two events, so that a run of some dozens goes through several hours. */
const STEP_MS = WINDOW_MS / 6;
const BEHIND_MS_MOST = 3 * WINDOW_MS;
const QUANTITY_MOST = 1_000;

/** Stands outside the processes, as a registry does. */
const registry = memoryRegistry();
await registerSchemas(registry);
const schemaId = await registry.idOf('usage-events-value', usageSchema);

/** Each event's id says where it stands; a customer's events are all in one partition. */
function inputs(random: SeededRandom, records: number): Input[] {
  const next = Array.from({ length: PARTITIONS }, () => 0);
  return Array.from({ length: records }, (_, n) => {
    const customer = random.below(CUSTOMERS.length);
    const partition = customer % PARTITIONS;
    const behind = random.chance(0.2) ? random.below(BEHIND_MS_MOST) : random.below(GRACE_MS);
    const at = 10 * WINDOW_MS + Math.max(0, n * STEP_MS - behind);
    const event: Usage = {
      eventId: `${partition}:${next[partition]}`,
      customerId: CUSTOMERS[customer]!,
      meter: METERS[random.below(METERS.length)]!,
      quantity: BigInt(random.below(QUANTITY_MOST)) - (random.chance(0.05) ? 2_000n : 0n),
      at: BigInt(at),
    };
    next[partition]! += 1;
    const value = encodeUsage(event, schemaId);
    return {
      topic: INPUT,
      partition,
      key: event.customerId,
      value: random.chance(0.1) ? damaged(value, random.below(10)) : value,
      timestampMs: at,
    };
  });
}

/** What the plain fold makes of the input; an hour whose end and grace are not over has no invoice. */
function model(written: Outcome['written']): FoldResult {
  const fold = new PlainFold();
  const now = Array.from({ length: PARTITIONS }, () => 0n);
  for (const { partition, key, value } of written) {
    const usage = usageOf(value as Buffer);
    fold.take({ partition, key: Buffer.from(String(key)), value: value as Buffer, usage });
    if (usage !== null && usage.quantity >= 0n && usage.at > now[partition]!) {
      now[partition] = usage.at;
    }
  }
  const streamTime = (customer: string): bigint => now[CUSTOMERS.indexOf(customer) % PARTITIONS]!;
  const result = fold.result();
  const isOver = ({ customerId, windowEnd }: Invoice): boolean =>
    windowEnd + BigInt(GRACE_MS) <= streamTime(customerId);
  return { ...result, invoices: result.invoices.filter(isOver) };
}

function usageOf(value: Buffer): Usage | null {
  try {
    const usage = decodeUsage(value);
    // avsc takes what is behind the end and text that is no UTF-8; nobody else may.
    return encodeUsage(usage, schemaId).equals(value) ? usage : null;
  } catch {
    return null;
  }
}

function shownInvoice({ quantities, ...invoice }: Invoice): string {
  const sums = Object.entries(quantities)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([meter, quantity]) => `${meter}:${quantity}`);
  return `${Object.values(invoice).join(' ')} ${sums.join(' ')}`;
}

const shown = (key: Buffer | null, value: Buffer | null): string =>
  `${key?.toString('hex')}=${value?.toString('hex')}`;

export const billing: Workload = {
  name: 'billing',
  repeatable: 'records',
  topics: { [INPUT]: PARTITIONS, invoices: PARTITIONS, 'usage-late': PARTITIONS, 'usage-dead': 1 },

  topology: ({ clock }) => topologyOf(registry, { clock }).build(),

  inputs,

  /** Late events as they came; dead letters say it in their headers. */
  source({ topic, value, headers }) {
    if (topic === 'usage-late') {
      const [partition, offset] = decodeUsage(value!).eventId.split(':').map(Number);
      return { topic: INPUT, partition: partition!, offset: offset! };
    }
    if (topic !== 'usage-dead') return null;
    const header = (name: string): string =>
      String(headers.find(({ key }) => key === `escapement.source.${name}`)?.value);
    return {
      topic: header('topic'),
      partition: Number(header('partition')),
      offset: Number(header('offset')),
    };
  },

  check({ written, topic }: Outcome): string[] {
    const expected = model(written);
    const committed = (name: string) => topic(name).flatMap((view) => view.committed);
    const invoices = committed('invoices').map(({ value }) => shownInvoice(decodeInvoice(value!)));
    const set = (name: string): string[] =>
      committed(name).map(({ key, value }) => shown(key, value));
    const late = expected.late.map(({ key, value }) => shown(key, value));
    const dead = expected.dead.map(({ key, value }) => shown(key, value));
    return [
      ...differences('invoices', invoices.sort(), expected.invoices.map(shownInvoice).sort()),
      ...differences('late', set('usage-late').sort(), late.sort()),
      ...differences('dead', set('usage-dead').sort(), dead.sort()),
    ];
  },
};
