/**
 * The evidence of an exact run, broken in every way that a wrong run could break it: the oracle must
 * see each. The run is one with aborted transactions, so that there is something to flip.
 *
 * Of the last ones, one check alone can notice each: so no check rests on another.
 */
import { simulate } from '../../src/simulation/simulation.ts';
import type { Tamper } from '../../src/simulation/tamper.ts';
import { listAppend } from '../simulation/workloads/list-append.ts';
import {
  append,
  change,
  changeRecord,
  committedAt,
  flip,
  inPartition,
  markerWithData,
  swapped,
  without,
} from './batch-edits.ts';
import { CHECK_MUTANTS, type CheckMutant } from './check-mutants.ts';

export interface OracleVerdict {
  readonly name: string;
  /** What the oracle said; null: nothing, or another check than the one that must see it. */
  readonly killedBy: string | null;
}

/** All keys of list-append fall into one partition of its output. */
const OUTPUT = 'out-1';
const CHANGELOG = 'app-lists-changelog-0';
const SEEDS_MOST = 100;

const text = (value: string): Buffer => Buffer.from(value);

/** What every one of them breaks, the model sees at the latest. */
const OF_THE_BYTES: readonly (readonly [name: string, tamper: Tamper])[] = [
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

export const ORACLE_MUTANTS: readonly CheckMutant[] = [
  ...OF_THE_BYTES.map(([name, tamper]) => ({ name, tamper })),
  ...CHECK_MUTANTS,
];

/** What the oracle says of each mutant. Throws when it finds fault with the evidence as it is. */
export async function judgeOracleMutants(): Promise<OracleVerdict[]> {
  const seed = await seedWithAborts();
  const verdicts: OracleVerdict[] = [];
  for (const mutant of ORACLE_MUTANTS) {
    const { name, workload = listAppend, tamper = {}, only, judge = simulate } = mutant;
    const violations = await judge({ workload, seed, tamper }).then((run) => run.violations);
    const others = violations.filter((each) => only !== undefined && !each.startsWith(`${only}: `));
    verdicts.push({ name, killedBy: others.length > 0 ? null : (violations[0] ?? null) });
  }
  return verdicts;
}
