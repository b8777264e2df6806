/**
 * The evidence of an exact run, broken in every way that a wrong run could break it: the oracle must
 * see each. The run is one with aborted transactions, so that there is something to flip.
 */
import type { RawBatch, RawRecord } from '../../src/simulation/raw-batches.ts';
import { simulate, type Tamper } from '../../src/simulation/simulation.ts';
import { listAppend } from '../simulation/workloads/list-append.ts';

export interface OracleVerdict {
  readonly name: string;
  /** What the oracle said; null: nothing. */
  readonly killedBy: string | null;
}

/** All keys of list-append fall into one partition of its output. */
const OUTPUT = 'out-1';
const CHANGELOG = 'app-lists-changelog-0';
const SEEDS_MOST = 100;

type Change = (batches: RawBatch[]) => RawBatch[];

function inPartition(place: string, change: Change): Tamper {
  return {
    batches: (batches, name, partition) => {
      if (`${name}-${partition}` !== place) return batches;
      return change(batches.map((batch) => ({ ...batch, records: [...batch.records] })));
    },
  };
}

const isData = (batch: RawBatch): boolean => batch.marker === null;

/** The n-th data batch whose transaction was committed, counted from the end when negative. */
function committedAt(batches: readonly RawBatch[], n: number): number {
  const committed = batches.flatMap((batch, at) => {
    if (!isData(batch)) return [];
    const end = batches
      .slice(at + 1)
      .find((later) => later.marker !== null && later.producerId === batch.producerId);
    return end?.marker === 'commit' ? [at] : [];
  });
  return committed.at(n)!;
}

function change(n: number, edit: (batch: RawBatch) => RawBatch): Change {
  return (batches) => {
    const at = committedAt(batches, n);
    return batches.map((batch, index) => (index === at ? edit(batch) : batch));
  };
}

function changeRecord(n: number, edit: (record: RawRecord) => RawRecord): Change {
  return change(n, (batch) => ({
    ...batch,
    records: batch.records.map((record, at) => (at === 0 ? edit(record) : record)),
  }));
}

function without(find: (batches: readonly RawBatch[]) => number): Change {
  return (batches) => batches.filter((_, at) => at !== find(batches));
}

/** The first marker of that kind that ends data; a transaction may have none in a partition. */
function markerWithData(batches: readonly RawBatch[], marker: 'commit' | 'abort'): number {
  const open = new Set<number>();
  return batches.findIndex((batch) => {
    if (batch.marker === null) open.add(batch.producerId);
    else if (open.delete(batch.producerId)) return batch.marker === marker;
    return false;
  });
}

function flip(from: 'commit' | 'abort'): Change {
  return (batches) => {
    const at = markerWithData(batches, from);
    if (at < 0) throw new Error(`no ${from} marker to flip: choose another seed`);
    const to = from === 'commit' ? 'abort' : 'commit';
    return batches.map((batch, index) => (index === at ? { ...batch, marker: to } : batch));
  };
}

/** Another record behind the last one, of its transaction or of none. */
function append(edit: (record: RawRecord) => RawRecord, part: 'transaction' | 'none'): Change {
  return (batches) => {
    const at = committedAt(batches, -1);
    const last = batches[at]!;
    const extra = edit(last.records.at(-1)!);
    if (part === 'transaction') {
      return change(-1, (batch) => ({ ...batch, records: [...batch.records, extra] }))(batches);
    }
    const end = batches.at(-1)!.lastOffset + 1;
    const record = { ...extra, offset: end };
    return [
      ...batches,
      { ...last, baseOffset: end, lastOffset: end, isTransactional: false, records: [record] },
    ];
  };
}

const text = (value: string): Buffer => Buffer.from(value);

export const ORACLE_MUTANTS: readonly (readonly [name: string, tamper: Tamper])[] = [
  [
    'an output batch is dropped',
    inPartition(
      OUTPUT,
      without((all) => committedAt(all, 0)),
    ),
  ],
  [
    'the last output batch is dropped',
    inPartition(
      OUTPUT,
      without((all) => committedAt(all, -1)),
    ),
  ],
  [
    'an output record is dropped from its batch',
    inPartition(
      OUTPUT,
      change(0, (batch) => ({ ...batch, records: batch.records.slice(1) })),
    ),
  ],
  [
    'an output record is doubled',
    inPartition(
      OUTPUT,
      append((record) => record, 'transaction'),
    ),
  ],
  [
    'an output record is written outside',
    inPartition(
      OUTPUT,
      append((record) => record, 'none'),
    ),
  ],
  [
    'an output has another value',
    inPartition(
      OUTPUT,
      changeRecord(0, (record) => ({ ...record, value: text('0:9999') })),
    ),
  ],
  [
    'an output has another key',
    inPartition(
      OUTPUT,
      changeRecord(0, (record) => ({ ...record, key: text('k9') })),
    ),
  ],
  [
    'an extra key is in the output',
    inPartition(
      OUTPUT,
      append((record) => ({ ...record, key: text('k9') }), 'transaction'),
    ),
  ],
  ['a commit of the output is an abort', inPartition(OUTPUT, flip('commit'))],
  ['an abort of the output is a commit', inPartition(OUTPUT, flip('abort'))],
  [
    'an output transaction has no end',
    inPartition(
      OUTPUT,
      without((all) => all.findLastIndex(({ marker }) => marker !== null)),
    ),
  ],
  [
    'an output is of another transaction',
    inPartition(
      OUTPUT,
      change(1, (batch) => ({ ...batch, producerEpoch: batch.producerEpoch + 1 })),
    ),
  ],
  [
    'a changelog batch is dropped',
    inPartition(
      CHANGELOG,
      without((all) => committedAt(all, 0)),
    ),
  ],
  [
    'the changelog is stale',
    inPartition(
      CHANGELOG,
      without((all) => committedAt(all, -1)),
    ),
  ],
  [
    'a changelog row has another value',
    inPartition(
      CHANGELOG,
      changeRecord(-1, (record) => ({ ...record, value: text('0:1') })),
    ),
  ],
  [
    'a changelog row is a tombstone',
    inPartition(
      CHANGELOG,
      changeRecord(-1, (record) => ({ ...record, value: null })),
    ),
  ],
  [
    'an extra key is in the changelog',
    inPartition(
      CHANGELOG,
      append((record) => ({ ...record, key: text('k9') }), 'transaction'),
    ),
  ],
  [
    'a changelog row is doubled',
    inPartition(
      CHANGELOG,
      append((record) => record, 'transaction'),
    ),
  ],
  ['two changelog rows are swapped', inPartition(CHANGELOG, swapped)],
  ['a commit of the changelog is an abort', inPartition(CHANGELOG, flip('commit'))],
  ['an abort of the changelog is a commit', inPartition(CHANGELOG, flip('abort'))],
  ['the offset is behind', { committedOffset: (offset) => offset - 1 }],
  ['the offset is beyond the end', { committedOffset: (offset) => offset + 1 }],
  ['there is no offset', { committedOffset: () => -1 }],
  ['an input was not there', { written: (written) => written.slice(1) }],
  ['an input was there twice', { written: (written) => [...written, written.at(-1)!] }],
  ['the input has another order', { written: (written) => [...written].reverse() }],
];

/** The records of two committed batches change places; their offsets stay. */
function swapped(batches: RawBatch[]): RawBatch[] {
  const [one, other] = [committedAt(batches, 0), committedAt(batches, 1)];
  const withRecordOf = (batch: RawBatch, from: RawBatch): RawBatch => ({
    ...batch,
    records: batch.records.map((record, at) =>
      at > 0 ? record : { ...from.records[0]!, offset: record.offset },
    ),
  });
  return batches.map((batch, at) => {
    if (at === one) return withRecordOf(batch, batches[other]!);
    return at === other ? withRecordOf(batch, batches[one]!) : batch;
  });
}

/** A seed in whose output and changelog there are commits and aborts to change. */
async function seedWithAborts(): Promise<number> {
  for (let seed = 1; seed <= SEEDS_MOST; seed++) {
    const markers = new Map<string, number>();
    const count: Tamper = {
      batches: (batches, topic, partition) => {
        const place = `${topic}-${partition}`;
        markers.set(`${place} commit`, batches.filter(({ marker }) => marker === 'commit').length);
        markers.set(`${place} abort`, markerWithData(batches, 'abort') < 0 ? 0 : 1);
        return batches;
      },
    };
    const { violations } = await simulate({ workload: listAppend, seed, tamper: count });
    if (violations.length > 0) throw new Error(`seed ${seed} is not exact: ${violations[0]}`);
    const has = (what: string, least: number): boolean => (markers.get(what) ?? 0) >= least;
    const places = [OUTPUT, CHANGELOG];
    if (places.every((place) => has(`${place} commit`, 3) && has(`${place} abort`, 1))) return seed;
  }
  throw new Error(`no seed up to ${SEEDS_MOST} has aborted transactions`);
}

/** What the oracle says of each mutant. Throws when it finds fault with the evidence as it is. */
export async function judgeOracleMutants(): Promise<OracleVerdict[]> {
  const seed = await seedWithAborts();
  const verdicts: OracleVerdict[] = [];
  for (const [name, tamper] of ORACLE_MUTANTS) {
    const { violations } = await simulate({ workload: listAppend, seed, tamper });
    verdicts.push({ name, killedBy: violations[0] ?? null });
  }
  return verdicts;
}
