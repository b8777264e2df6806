/**
 * Two other runs over the input of a run, which must leave the same bytes: one that nothing disturbs,
 * and one of a fresh application that finds the whole input already there.
 */
import { NO_FAULTS } from './faults.ts';
import { type SimulationOptions, type SimulationResult, simulate } from './simulation.ts';

export type Differential = 'undisturbed' | 'replay';

const CALM_MS = 1_000;

/** What differs, as violations of that check. */
export async function differential(
  check: Differential,
  { workload, options }: Pick<SimulationOptions, 'workload' | 'options'>,
  { scenario, committed }: Pick<SimulationResult, 'scenario' | 'committed'>,
): Promise<readonly string[]> {
  const { seed, records, transactionVersion } = scenario;
  const other = await simulate({
    workload,
    ...(options && { options }),
    ...{ seed, records, transactionVersion, instances: 1, nodes: 1 },
    faults: NO_FAULTS,
    faultsMs: CALM_MS,
    writing: check === 'replay' ? 'at-once' : 'spread',
  });
  const difference = firstDifference(committed, other.committed);
  return [...other.violations, ...difference].map((what) => `${check}: ${what}`);
}

function firstDifference(found: readonly string[], expected: readonly string[]): string[] {
  const length = Math.max(found.length, expected.length);
  for (let at = 0; at < length; at++) {
    if (found[at] === expected[at]) continue;
    return [`${found[at] ?? 'nothing'} where the other run has ${expected[at] ?? 'nothing'}`];
  }
  return [];
}
