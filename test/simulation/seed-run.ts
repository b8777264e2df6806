/** One seed: its workload, its run, and now and then the proof that the run can be repeated. */
import { type Scenario, simulate } from '../../src/simulation/simulation.ts';
import { WORKLOADS, workloadOf } from './workloads.ts';

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

/** One of so many seeds is run twice. */
const TWICE = 100;

export async function runSeed({ seed, workload: name }: SeedRun): Promise<SeedVerdict> {
  const workload = name === undefined ? WORKLOADS[seed % WORKLOADS.length]! : workloadOf(name);
  const { scenario, violations, faults, events, hash } = await simulate({ workload, seed });
  const verdict = { workload: workload.name, scenario, violations, faults, events, hash };
  if (seed % TWICE !== 0) return { ...verdict, runs: 1 };
  const again = await simulate({ workload, seed });
  if (again.hash === hash) return { ...verdict, runs: 2 };
  const difference = `not reproducible: ${hash} the first time, ${again.hash} the second`;
  return { ...verdict, violations: [...violations, difference], runs: 2 };
}
