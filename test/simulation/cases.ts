/**
 * Named cases: what no fault of a plan brings about, because somebody outside does it, or because it
 * takes years. Each must leave an exact result.
 */

import { initProducerId } from '../../src/kafka/protocol/init-producer-id.ts';
import { NO_FAULTS } from '../../src/simulation/faults.ts';
import { type SimulationOptions, simulate } from '../../src/simulation/simulation.ts';
import type { Workload } from '../../src/simulation/workload.ts';
import { fold } from './workloads/fold.ts';
import { listAppend } from './workloads/list-append.ts';

export interface SimulatedCase {
  readonly name: string;
  /** What was wrong; empty: nothing. */
  readonly run: () => Promise<readonly string[]>;
}

/** Foreign records stand between those of the input, so offsets do not follow from ids. */
const withoutSources: Workload = { ...listAppend, source: () => null };
/** The epochs of a producer id end at 32,766. */
const NEARLY_WORN_OUT = 32_761;
/** More than one fetch takes at the limit that the case sets. */
const LARGE_BYTES = 70_000;
const FETCH_BYTES = 65_536;
async function violationsOf(options: Partial<SimulationOptions>): Promise<readonly string[]> {
  const { violations } = await simulate({
    workload: listAppend,
    seed: 1,
    records: 60,
    instances: 1,
    nodes: 1,
    transactionVersion: 2,
    faultsMs: 2_000,
    faults: NO_FAULTS,
    ...options,
  });
  return violations;
}

/**
 * What the application commits behind a foreign transaction stays hidden from readers of committed
 * records until that ends, which it does while the next processes restore.
 */
async function heldChangelog(): Promise<readonly string[]> {
  let release: () => void = () => {};
  return violationsOf({
    mayEnd: ['CHANGELOG_HELD'],
    meddle: (moment, outsider, after) => {
      if (moment === 'calm') release = outsider.hold('app-lists-changelog', 0);
      if (moment === 'between') after(5_000, () => release());
    },
  });
}

/** Two foreign transactions are aborted in another order than they began. */
const crossedAborts = (valueBytes: number) => async (): Promise<readonly string[]> =>
  violationsOf({
    workload: withoutSources,
    options: { fetchBytesPerPartitionMax: FETCH_BYTES },
    meddle: (moment, outsider) => {
      if (moment !== 'before') return;
      const [first, second] = ['first', 'second'].map((transactionalId) =>
        outsider.hold('in', 0, { transactionalId, valueBytes }),
      );
      second!();
      first!();
    },
  });

/** Processes end, saying so, until somebody has put the offsets back. */
async function expiredOffsets(): Promise<readonly string[]> {
  return violationsOf({
    mayEnd: ['OFFSET_MISSING'],
    meddle: (moment, outsider, after) => {
      if (moment === 'between') after(2_000, outsider.forgetOffsets());
    },
  });
}

/** The coordinator gives another producer id then, which is no reason to fence anybody. */
async function wornEpochs(): Promise<readonly string[]> {
  let fences = 0;
  const violations = await violationsOf({
    meddle: (moment, outsider) => {
      if (moment !== 'before') return;
      for (const id of ['app-in-0', 'app-in-1']) outsider.wearOut(id, NEARLY_WORN_OUT);
    },
    strike: ({ request }) => {
      if (request.apiKey === initProducerId.key) fences += 1;
      return null;
    },
  });
  // Two tasks, before the restart and after it.
  return fences === 4 ? violations : [...violations, `${fences} fences instead of 4`];
}

/** What a record has written before it fails goes with it, also what the step had written before. */
function failingCode(): Promise<readonly string[]> {
  return violationsOf({ workload: fold, faults: { ...NO_FAULTS, userError: 0.2 } });
}

export const CASES: readonly SimulatedCase[] = [
  { name: 'a foreign transaction holds a changelog', run: heldChangelog },
  { name: 'foreign transactions are aborted across one another', run: crossedAborts(10) },
  { name: 'they are fetched batch by batch', run: crossedAborts(LARGE_BYTES) },
  { name: 'the offsets of the group expire between two lives', run: expiredOffsets },
  { name: 'the epochs of producer ids are used up', run: wornEpochs },
  { name: 'user code fails at every fifth record', run: failingCode },
];
