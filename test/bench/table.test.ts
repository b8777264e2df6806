import { expect, test } from 'vitest';

interface Row {
  readonly peer: string;
  readonly right: number;
  readonly runs: number;
  readonly ratio: number | null;
  readonly secondHalfCpuMicrosPerRecord: number | null;
}
interface TableModule {
  median(values: readonly unknown[]): number | null;
  summarize(runs: readonly object[], reference: string): Row[];
  markdown(summary: readonly Row[], reference: string): string;
}

// The bench is plain JavaScript because it runs without a compiler; its shape is stated here.
const path = './table.mjs';
const { median, summarize, markdown } = (await import(path)) as TableModule;

const run = (peer: string, micros: number, right = true) => ({
  workload: 'w1',
  peer,
  right,
  secondHalfCpuMicrosPerRecord: micros,
});

test('the median of an even number of runs is one that was measured', () => {
  expect(median([4, 1, 3, 2])).toBe(2);
  expect(median([undefined, null])).toBeNull();
});

test('the ratio says how often the reference costs what the peer costs', () => {
  const runs = [run('ours', 1), run('theirs', 4), run('ours', 2), run('theirs', 6), run('ours', 2)];
  const [ours, theirs] = summarize(runs, 'theirs');
  expect(ours).toMatchObject({ runs: 3, right: 3, secondHalfCpuMicrosPerRecord: 2, ratio: 2 });
  expect(theirs).toMatchObject({ ratio: 1 });
});

test('the ratio of a rate is how many times more, of idle CPU how many times less', () => {
  const of = (workload: string, figure: string, ours: number, theirs: number) =>
    summarize(
      [
        { workload, peer: 'ours', right: true, [figure]: ours },
        { workload, peer: 'theirs', right: true, [figure]: theirs },
      ],
      'theirs',
    )[0]!.ratio;
  expect(of('restore', 'rowsPerSecond', 300, 100)).toBe(3);
  expect(of('restore-small', 'rowsPerSecond', 50, 100)).toBe(0.5);
  expect(of('idle', 'idleCpuPercent', 0.5, 2)).toBe(4);
  expect(of('l1', 'medianMs', 5, 50)).toBe(10);
});

test('a run with wrong outputs gives no figure', () => {
  const summary = summarize([run('ours', 1, false), run('theirs', 4)], 'theirs');
  expect(summary[0]).toMatchObject({ right: 0, ratio: null, secondHalfCpuMicrosPerRecord: null });
  expect(markdown(summary, 'theirs')).toContain('0 of 1 runs');
});
