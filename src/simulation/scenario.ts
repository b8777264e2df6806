/** The size, the length and the faults of a run, all drawn from its seed. */
import { drawFaults, type FaultRates } from './faults.ts';
import { SeededRandom } from './seeded-random.ts';

/** What is drawn from the seed where it is not given: with it, a run can be repeated and changed. */
export interface Scenario {
  /** Any whole number. */
  readonly seed: number;
  /** Input records, 10 to 60. */
  readonly records: number;
  /** Processes at a time, 1 to 3. */
  readonly instances: number;
  /** Length of the phase with faults in virtual milliseconds, 2,000 to 20,000. */
  readonly faultsMs: number;
  /** Nodes of the cluster, 1 or 3. */
  readonly nodes: number;
  /** Of the cluster. */
  readonly transactionVersion: 1 | 2;
  readonly faults: FaultRates;
}

/** What is given, and the rest drawn from the seed. */
export function scenarioOf(given: Partial<Scenario> & Pick<Scenario, 'seed'>): Scenario {
  const drawn = drawScenario(given.seed);
  return {
    seed: given.seed,
    records: given.records ?? drawn.records,
    instances: given.instances ?? drawn.instances,
    faultsMs: given.faultsMs ?? drawn.faultsMs,
    nodes: given.nodes ?? drawn.nodes,
    transactionVersion: given.transactionVersion ?? drawn.transactionVersion,
    faults: given.faults ?? drawn.faults,
  };
}

function drawScenario(seed: number): Scenario {
  const random = new SeededRandom(seed).fork('scenario');
  return {
    seed,
    records: 10 + random.below(51),
    instances: 1 + random.below(3),
    faultsMs: Math.round(random.between(2_000, 20_000)),
    nodes: random.chance(0.3) ? 1 : 3,
    transactionVersion: random.chance(0.5) ? 1 : 2,
    faults: drawFaults(random.fork('faults')),
  };
}
