/** The proof by simulation, as large as continuous integration can take it. */
import { expect, test } from 'vitest';
import { EFFECT_KINDS, FAULT_KINDS } from '../../src/simulation/faults.ts';
import { runProgram } from './program.ts';

interface Swept {
  readonly grid: number;
  readonly run: number;
  readonly violations: number;
}

interface Seeds {
  readonly seeds: number;
  readonly faults: number;
  readonly violations: number;
  readonly kinds: Readonly<Record<string, number>>;
}

const FIXED = 2_000;
const FRESH = 3_000;

test('every request with everything that can become of it leaves an exact result', async () => {
  const { grid, run, violations } = await runProgram<Swept>('test/simulation/sweep.js', []);
  expect(violations).toBe(0);
  expect(run).toBe(grid);
  expect(grid).toBeGreaterThan(5_000);
});

test('fixed and fresh seeds with over 100,000 faults of every kind leave an exact result', async () => {
  const fixed = await runProgram<Seeds>('test/simulation/sim.js', ['--seeds', String(FIXED)]);
  const args = ['--seeds', String(FRESH), '--fresh'];
  const fresh = await runProgram<Seeds>('test/simulation/sim.js', args);
  expect(fixed.violations + fresh.violations).toBe(0);
  for (const kind of [...FAULT_KINDS, ...EFFECT_KINDS]) {
    expect(fixed.kinds[kind], kind).toBeGreaterThan(0);
  }
  expect(fixed.seeds + fresh.seeds).toBe(FIXED + FRESH);
  expect(fixed.faults + fresh.faults).toBeGreaterThan(100_000);
});
