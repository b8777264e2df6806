import { expect, test } from 'vitest';

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly skippedTitles: readonly string[];
}
type Count = (files: readonly unknown[]) => Counts;

// The script is plain JavaScript because it runs without a build; its shape is stated here.
const path = '../../scripts/test.mjs';
const { count } = (await import(path)) as { count: Count };

const file = (status: string, ...tests: string[]) => ({
  name: 'a.test.ts',
  status,
  assertionResults: tests.map((its, index) => ({ status: its, fullName: `test ${index}` })),
});

test('counts every test by its status', () => {
  const counts = count([
    file('passed', 'passed', 'passed', 'skipped'),
    file('failed', 'failed', 'passed', 'pending', 'todo'),
  ]);
  expect(counts).toMatchObject({ passed: 3, failed: 1, skipped: 3 });
  expect(counts.skippedTitles[0]).toContain('test 2');
});

test('counts a file that did not load as one failure', () => {
  expect(count([file('failed')])).toMatchObject({ passed: 0, failed: 1, skipped: 0 });
  expect(count([file('failed', 'passed')])).toMatchObject({ passed: 1, failed: 1 });
});
