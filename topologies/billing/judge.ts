/**
 * Compares what is committed with a plain fold of the input: invoices, late events and dead ones.
 *
 * Lost: expected and not there. Duplicated: there once more than expected. Wrong: there in another
 * form, or not expected at all. The input itself is checked first: a run whose input was not written
 * as intended proves nothing.
 */
import { INPUT } from './cluster.ts';
import { PlainFold, type SetAside } from './fold.ts';
import type { BillingInput } from './input.ts';
import { decodeInvoice } from './plain-avro.ts';
import { type RawRecord, readSettled, readTopic } from './raw-log.ts';
import type { Invoice } from './usage.ts';

export interface Verdict {
  readonly lost: number;
  readonly duplicated: number;
  readonly wrong: number;
  readonly late: number;
  readonly dead: number;
  /** As committed. */
  readonly invoices: readonly Invoice[];
}

export async function judge(broker: string, input: BillingInput): Promise<Verdict> {
  const fold = new PlainFold();
  for await (const record of input.read()) fold.take(record);
  const expected = fold.result();
  await assertInputWritten(broker, input);

  const invoices = (await committed(broker, 'invoices')).map(({ value }) => decodeInvoice(value!));
  const late = await committed(broker, 'usage-late');
  const dead = await committed(broker, 'usage-dead');
  const tallies = [
    compare(expected.invoices.map(asEntry), invoices.map(asEntry)),
    compare(expected.late.map(asLateEntry), late.map(asLateRecord)),
    compare(expected.dead.map(asDeadEntry), dead.map(asDeadRecord)),
  ];
  const sum = (pick: (tally: Tally) => number): number =>
    tallies.reduce((total, tally) => total + pick(tally), 0);
  return {
    lost: sum(({ lost }) => lost),
    duplicated: sum(({ duplicated }) => duplicated),
    wrong: sum(({ wrong }) => wrong),
    late: late.length,
    dead: dead.length,
    invoices,
  };
}

interface Entry {
  /** What makes it one and the same. */
  readonly id: string;
  /** Everything that must be equal. */
  readonly content: string;
}

interface Tally {
  readonly lost: number;
  readonly duplicated: number;
  readonly wrong: number;
}

export function compare(expected: readonly Entry[], found: readonly Entry[]): Tally {
  const wanted = new Map<string, string[]>();
  for (const { id, content } of expected) {
    const contents = wanted.get(id);
    if (contents === undefined) wanted.set(id, [content]);
    else contents.push(content);
  }
  const known = new Set(wanted.keys());
  let duplicated = 0;
  let wrong = 0;
  for (const { id, content } of found) {
    const contents = wanted.get(id) ?? [];
    const at = contents.indexOf(content);
    if (at >= 0) contents.splice(at, 1);
    else if (contents.length > 0) {
      contents.shift();
      wrong += 1;
    } else if (known.has(id)) duplicated += 1;
    else wrong += 1;
  }
  let lost = 0;
  for (const contents of wanted.values()) lost += contents.length;
  return { lost, duplicated, wrong };
}

async function committed(broker: string, topic: string): Promise<RawRecord[]> {
  return (await readSettled(broker, topic)).flatMap((partition) => partition.committed);
}

async function assertInputWritten(broker: string, input: BillingInput): Promise<void> {
  const partitions = await readTopic(broker, INPUT);
  const positions = partitions.map(() => 0);
  for await (const { partition, key, value } of input.read()) {
    const record = partitions[partition]?.committed[positions[partition]!];
    positions[partition]! += 1;
    if (record?.key?.equals(key) === true && record.value?.equals(value) === true) continue;
    throw new Error(`${INPUT}-${partition} does not hold the input as it was to be written`);
  }
}

function asEntry(invoice: Invoice): Entry {
  const quantities = Object.entries(invoice.quantities).sort(([a], [b]) => (a < b ? -1 : 1));
  const shown = { ...invoice, quantities };
  const content = JSON.stringify(shown, (_, value: unknown) =>
    typeof value === 'bigint' ? `${value}` : value,
  );
  return { id: `${invoice.customerId}|${invoice.windowStart}`, content };
}

/** The same event may come twice, so what identifies a late one are its bytes. */
function asLateEntry({ partition, key, value }: SetAside): Entry {
  const content = `${partition}|${key.toString('hex')}|${value.toString('hex')}`;
  return { id: content, content };
}

function asLateRecord({ partition, key, value }: RawRecord): Entry {
  const content = `${partition}|${key?.toString('hex')}|${value?.toString('hex')}`;
  return { id: content, content };
}

function asDeadEntry({ partition, offset, key, value }: SetAside): Entry {
  return {
    id: `${INPUT}-${partition}@${offset}`,
    content: `${key.toString('hex')}|${value.toString('hex')}`,
  };
}

/** A dead letter says in its headers where it came from. */
function asDeadRecord({ key, value, headers }: RawRecord): Entry {
  const header = (name: string): string =>
    headers.find((each) => each.key === `escapement.source.${name}`)?.value?.toString() ?? '?';
  return {
    id: `${header('topic')}-${header('partition')}@${header('offset')}`,
    content: `${key?.toString('hex')}|${value?.toString('hex')}`,
  };
}
