/** The proof by simulation, as large as continuous integration can take it. */
import { spawnSync } from 'node:child_process';
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
  readonly failed: readonly string[];
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
  const args = ['--seeds', String(FRESH), '--seed', String(firstFreshSeed())];
  const fresh = await runProgram<Seeds>('test/simulation/sim.js', args);
  expect([...fixed.failed, ...fresh.failed]).toEqual([]);
  for (const kind of [...FAULT_KINDS, ...EFFECT_KINDS]) {
    expect(fixed.kinds[kind], kind).toBeGreaterThan(0);
  }
  expect(fixed.seeds + fresh.seeds).toBe(FIXED + FRESH);
  expect(fixed.faults + fresh.faults).toBeGreaterThan(100_000);
});

/**
 * Each commit has seeds that none had before it, and a run that failed fails again on that commit.
 * Random where there is no repository around the sources.
 */
function firstFreshSeed(): number {
  const { status, stdout } = spawnSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' });
  const drawn = status === 0 ? Number.parseInt(stdout.slice(0, 7), 16) : Math.random() * 2 ** 28;
  return FIXED + 1 + Math.floor(drawn);
}
