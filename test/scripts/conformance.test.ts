/** What `npm run test:conformance` counts and refuses. */
import { expect, test } from 'vitest';

interface Counts {
  readonly cases: number;
  readonly failed: number;
  readonly exceptions: number;
  readonly sequences: number;
  readonly notRun: readonly string[];
}
type Tally = (
  files: readonly unknown[],
  targets: readonly string[],
) => { readonly counts: ReadonlyMap<string, Counts>; readonly unassigned: number };
type Asked = (args: readonly string[]) => Readonly<Record<string, unknown>>;

// The script is plain JavaScript because it runs without a build; its shape is stated here.
const path = '../../scripts/conformance.mjs';
const { asked, tally } = (await import(path)) as { asked: Asked; tally: Tally };

const TARGETS = ['embedded-tv1', 'kafka-3.9.1'];

const ran = (target: string, kind: string, status: string, more: object = {}) => ({
  status,
  meta: { conformance: { target, kind, ...more } },
});

function counted(tests: readonly object[], status = 'passed') {
  const { counts, unassigned } = tally([{ status, assertionResults: tests }], TARGETS);
  return { counts: Object.fromEntries(counts), unassigned };
}

test('cases, sequences and failures are counted by the target that ran them', () => {
  const { counts } = counted([
    ran('embedded-tv1', 'case', 'passed'),
    ran('embedded-tv1', 'case', 'failed'),
    ran('embedded-tv1', 'exception', 'passed'),
    ran('embedded-tv1', 'sequences', 'passed', { sequences: 100, against: 'kafka-3.9.1' }),
    ran('embedded-tv1', 'not-run', 'passed', { notRun: ['one: reason'] }),
    ran('kafka-3.9.1', 'case', 'passed'),
  ]);
  expect(counts['embedded-tv1']).toMatchObject({
    cases: 3,
    failed: 1,
    exceptions: 1,
    sequences: 100,
    notRun: ['one: reason'],
  });
  expect(counts['kafka-3.9.1']).toMatchObject({ cases: 1, failed: 0, sequences: 100 });
});

test('a failure before a case ran is a failure', () => {
  expect(counted([{ status: 'failed', meta: {} }]).unassigned).toBe(1);
  expect(counted([], 'failed').unassigned).toBe(1);
});

test('unknown targets and counts that are none are refused', () => {
  expect(() => asked(['--target', 'kafka-2'])).toThrow('no target is called kafka-2');
  expect(() => asked(['--sequences', 'many'])).toThrow('--sequences takes a whole number');
  expect(() => asked(['--seed', '-1'])).toThrow();
  expect(() => asked(['--no-such'])).toThrow();
  expect(asked(['--target', 'kafka-3.9.1', '--seed', '7', '--json'])).toMatchObject({
    target: 'kafka-3.9.1',
    seed: '7',
    json: true,
  });
});
