/** The judge of a chaos run, given a run that is right and then one thing that is not. */
import { expect, test } from 'vitest';
import type { RawRecord } from '../../src/simulation/oracle/raw-batches.ts';
import { Audit, type ViolationKind } from './audit.ts';
import { NEW_ACCOUNT, nextRow } from './topology.ts';

const record = (offset: number, key: string | null, value: string): RawRecord => ({
  ...{ offset, timestamp: 0, headers: [] },
  key: key === null ? null : Buffer.from(key),
  value: Buffer.from(value),
});

const ACCOUNTS = ['a0-1', 'a0-2'];
const RECORDS = 12;

interface Told {
  inputs: RawRecord[];
  brought: { record: RawRecord; fate: 'committed' | 'aborted' }[];
  outputs: RawRecord[];
  rows: Map<string, string>;
}

/** Twelve records of two accounts through partition 0 of every topic. */
function whole(): Told {
  const told: Told = { inputs: [], brought: [], outputs: [], rows: new Map() };
  const rows = new Map(ACCOUNTS.map((name) => [name, NEW_ACCOUNT]));
  for (let offset = 0; offset < RECORDS; offset += 1) {
    const account = ACCOUNTS[offset % 2]!;
    const amount = offset * 3;
    const row = nextRow(rows.get(account)!, `0:${offset}`, amount);
    rows.set(account, row);
    const text = `${row.count} ${row.sum} ${row.hash} 0:${offset} 0:${offset}`;
    told.inputs.push(record(offset, null, `${account} ${amount}`));
    const brought = record(offset, account, `0:${offset} ${account} ${amount}`);
    told.brought.push({ record: brought, fate: 'committed' });
    told.outputs.push(record(offset, account, `${text} one.1`));
    told.rows.set(account, text);
  }
  return told;
}

function verdict(told: Told, order: 'inputs first' | 'outputs first' = 'inputs first') {
  const audit = new Audit();
  const emit = (): void => {
    for (const output of told.outputs) audit.emitted(0, output);
    audit.judge();
  };
  if (order === 'outputs first') emit();
  for (const input of told.inputs) audit.input(0, input);
  for (const { record: each, fate } of told.brought) audit.brought(0, each, fate);
  audit.settled(0, RECORDS);
  if (order === 'inputs first') emit();
  audit.finish();
  audit.changelog(told.rows);
  return { found: audit.violations, counts: audit.counts(), emissions: audit.emissions };
}

test.each(['inputs first', 'outputs first'] as const)(
  'a run that is right passes, read %s',
  (order) => {
    expect(verdict(whole(), order)).toMatchObject({ found: [], emissions: RECORDS });
  },
);

const DEFECTS: readonly [string, ViolationKind, RegExp, (told: Told) => void][] = [
  ['a lost emission', 'lost', /input 0:11 of account a0-2/, ({ outputs }) => outputs.pop()],
  [
    'an emission lost in the middle',
    'lost',
    /output 0:6 .*comes without 0:4/,
    ({ outputs }) => outputs.splice(4, 1),
  ],
  [
    'a doubled emission',
    'duplicated',
    /output 0:5 .*input 0:5/,
    ({ outputs }) => outputs.splice(6, 0, outputs[5]!),
  ],
  [
    'two emissions of an account that changed places',
    'swapped',
    /output 0:2 .*comes late/,
    ({ outputs }) => {
      [outputs[2], outputs[4]] = [outputs[4]!, outputs[2]!];
    },
  ],
  [
    'a sum that does not follow',
    'wrong',
    /output 0:7 .*says '4 /,
    ({ outputs }) => {
      const [count, sum, ...rest] = String(outputs[7]!.value).split(' ');
      outputs[7] = record(7, 'a0-2', [count, Number(sum) + 1, ...rest].join(' '));
    },
  ],
  [
    'an emission from a record that was rolled back',
    'dirty',
    /output 0:3 .*repartition 0:3/,
    ({ brought }) => {
      brought[3] = { ...brought[3]!, fate: 'aborted' };
    },
  ],
  [
    'an emission that names another record than the one that brought it',
    'wrong',
    /brought by the record of input 0:8/,
    ({ brought }) => {
      brought[6] = { ...brought[6]!, record: record(6, 'a0-1', '0:8 a0-1 18') };
    },
  ],
  [
    'an emission of an input that is not there',
    'wrong',
    /output 0:12 .*not there/,
    ({ outputs }) => outputs.push(record(12, 'a0-1', '7 1 1 0:12 0:12 one.1')),
  ],
  [
    'a changelog that stayed behind',
    'wrong',
    /changelog of account a0-1/,
    ({ rows }) => rows.set('a0-1', '1 0 1 0:0 0:0'),
  ],
  [
    'a row of an account that nobody named',
    'wrong',
    /account a9 is not in the input/,
    ({ rows }) => rows.set('a9', '1 1 1 0:0 0:0'),
  ],
];

test.each(DEFECTS)('%s is noticed', (_what, kind, text, plant) => {
  const told = whole();
  plant(told);
  const { found, counts } = verdict(told);
  expect(counts[kind]).toBeGreaterThan(0);
  expect(found.filter((each) => each.kind === kind).map((each) => each.text)).toContainEqual(
    expect.stringMatching(text),
  );
});
