/**
 * Makes a failing simulation smaller as long as it fails: fewer records, fewer processes, kinds of
 * faults left out, a shorter time. What is left is what a reader has to understand.
 */
import type { Scenario } from './scenario.ts';
import type { SimulationResult } from './simulation.ts';

export interface ShrinkOptions {
  readonly run: (scenario: Scenario) => Promise<Pick<SimulationResult, 'violations'>>;
  /** Runs at most; default 100. */
  readonly runsMax?: number;
}

/** Returns the smallest scenario found that still fails; the one given when none of fewer does. */
export async function shrink(failing: Scenario, options: ShrinkOptions): Promise<Scenario> {
  let smallest = failing;
  let runsLeft = options.runsMax ?? 100;
  for (let changed = true; changed; ) {
    changed = false;
    for (const candidate of smaller(smallest)) {
      if (runsLeft === 0) return smallest;
      runsLeft -= 1;
      if ((await options.run(candidate)).violations.length === 0) continue;
      smallest = candidate;
      changed = true;
      break;
    }
  }
  return smallest;
}

/** Scenarios a step smaller, the boldest first. */
function* smaller(from: Scenario): Generator<Scenario> {
  const { records, instances, faultsMs, faults } = from;
  for (const name of keysOf(faults.perRequest)) {
    if (faults.perRequest[name] === 0) continue;
    yield { ...from, faults: { ...faults, perRequest: { ...faults.perRequest, [name]: 0 } } };
  }
  for (const name of keysOf(faults.perSecond)) {
    if (faults.perSecond[name] === 0) continue;
    yield { ...from, faults: { ...faults, perSecond: { ...faults.perSecond, [name]: 0 } } };
  }
  for (const name of ['userError', 'userStall', 'userHang'] as const) {
    if (faults[name] > 0) yield { ...from, faults: { ...faults, [name]: 0 } };
  }
  for (const fewer of [Math.floor(records / 2), records - 1]) {
    if (fewer >= 1 && fewer < records) yield { ...from, records: fewer };
  }
  if (instances > 1) yield { ...from, instances: instances - 1 };
  if (faultsMs > 1_000) yield { ...from, faultsMs: Math.floor(faultsMs / 2) };
}

function keysOf<Key extends string>(rates: Readonly<Record<Key, number>>): Key[] {
  return Object.keys(rates) as Key[];
}
