/** One seed: its workload, its run, and now and then the proof that the run can be repeated. */
import { differential } from '../../src/simulation/differential.ts';
import type { Scenario } from '../../src/simulation/scenario.ts';
import { type SimulationResult, simulate } from '../../src/simulation/simulation.ts';
import type { Workload } from '../../src/simulation/workload.ts';
import { workloadOf, workloadOfSeed } from './workloads.ts';

export interface SeedRun {
  readonly seed: number;
  /** Default: each seed has one of all. */
  readonly workload?: string | undefined;
}

export interface SeedVerdict {
  readonly workload: string;
  readonly scenario: Scenario;
  readonly violations: readonly string[];
  readonly faults: Readonly<Record<string, number>>;
  readonly events: number;
  readonly hash: string;
  /** Twice, when it was proven that the run can be repeated. */
  readonly runs: 1 | 2;
}

/** One of so many seeds is run twice; others are compared with a calm run over their input. */
const TWICE = 100;
const COMPARED = 20;

export async function runSeed({ seed, workload: name }: SeedRun): Promise<SeedVerdict> {
  const workload = name === undefined ? workloadOfSeed(seed) : workloadOf(name);
  const { scenario, committed, violations, faults, events, hash } = await simulate({
    workload,
    seed,
  });
  const others = await compared(workload, { scenario, committed, violations });
  const verdict = {
    workload: workload.name,
    scenario,
    violations: [...violations, ...others],
    faults,
    events,
    hash,
  };
  if (seed % TWICE !== 0) return { ...verdict, runs: 1 };
  const again = await simulate({ workload, seed });
  if (again.hash === hash) return { ...verdict, runs: 2 };
  const difference = `not reproducible: ${hash} the first time, ${again.hash} the second`;
  return { ...verdict, violations: [...verdict.violations, difference], runs: 2 };
}

async function compared(
  workload: Workload,
  run: Pick<SimulationResult, 'scenario' | 'committed' | 'violations'>,
): Promise<readonly string[]> {
  const { seed } = run.scenario;
  if (run.violations.length > 0) return [];
  if (seed % COMPARED === 0) return differential('undisturbed', { workload }, run);
  if (seed % COMPARED === COMPARED / 2) return differential('replay', { workload }, run);
  return [];
}
