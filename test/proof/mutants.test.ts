/** The proof can fail: what is broken on purpose is found by a seed, or by the test of its rule. */
import { expect, test } from 'vitest';
import { runProgram } from './program.ts';

/** Of those that seeds find at all, nearly all are found by the first twenty. */
const SEEDS = 60;

interface Count {
  readonly mutants: number;
  readonly killed: number;
}

test('every mutant of the core and of the evidence is found', async () => {
  const { core, oracle } = await runProgram<{ core: Count; oracle: Count }>(
    'test/mutants/mutants.js',
    ['--seeds', String(SEEDS)],
  );
  expect(core.killed).toBe(core.mutants);
  expect(core.mutants).toBeGreaterThanOrEqual(30);
  expect(oracle.killed).toBe(oracle.mutants);
  expect(oracle.mutants).toBeGreaterThanOrEqual(20);
});
