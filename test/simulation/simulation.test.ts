/** Simulated runs with random faults are exact, and the same seed is the same run. */
import { describe, expect, test } from 'vitest';
import { NO_FAULTS } from '../../src/simulation/faults.ts';
import { simulate } from '../../src/simulation/simulation.ts';
import { CASES } from './cases.ts';
import { readRegressions } from './regression-files.ts';
import { runSeed } from './seed-run.ts';
import { WORKLOADS, workloadOf } from './workloads.ts';

const SEEDS = [1, 2, 3, 4, 5];

describe.each(WORKLOADS.map((workload) => [workload.name, workload] as const))(
  '%s',
  (_, workload) => {
    test('is exact when nothing fails', async () => {
      const { violations, faults } = await simulate({ workload, seed: 1, faults: NO_FAULTS });
      expect(violations).toEqual([]);
      expect(faults).toEqual({});
    });

    test.each(SEEDS)('is exact under the faults of seed %i', async (seed) => {
      const { violations } = await simulate({ workload, seed });
      expect(violations).toEqual([]);
    });
  },
);

test.each(CASES.map((each) => [each.name, each] as const))(
  '%s, and the result is exact',
  async (_, { run }) => {
    expect(await run()).toEqual([]);
  },
);

test('the same seed gives the same run, another seed another one', async () => {
  const run = (seed: number) => simulate({ workload: WORKLOADS[0]!, seed, history: 'kept' });
  const [one, again, other] = [await run(7), await run(7), await run(8)];
  expect(again.lines).toEqual(one.lines);
  expect(again.hash).toBe(one.hash);
  expect(other.hash).not.toBe(one.hash);
});

test('one of a hundred seeds is run twice', async () => {
  const [twice, once] = [await runSeed({ seed: 200 }), await runSeed({ seed: 201 })];
  expect([twice.runs, once.runs]).toEqual([2, 1]);
  expect([...twice.violations, ...once.violations]).toEqual([]);
});

test.each(readRegressions('.'))('%s, which once failed, is exact', async (_, regression) => {
  const workload = workloadOf(regression.workload);
  const { violations } = await simulate({ workload, ...regression.scenario });
  expect(violations).toEqual([]);
});
