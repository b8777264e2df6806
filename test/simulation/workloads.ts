/** Every workload that is simulated; a new one is a file of its own and a line here. */
import type { Workload } from '../../src/simulation/workload.ts';
import { asyncCalls } from './workloads/async-calls.ts';
import { asyncDeadLetters } from './workloads/async-dead-letters.ts';
import { billing } from './workloads/billing.ts';
import { copy } from './workloads/copy.ts';
import { fold } from './workloads/fold.ts';
import { listAppend } from './workloads/list-append.ts';
import { transfer } from './workloads/transfer.ts';
import { twoInputs } from './workloads/two-inputs.ts';
import { windows } from './workloads/windows.ts';

export const WORKLOADS: readonly Workload[] = [
  listAppend,
  fold,
  copy,
  transfer,
  windows,
  asyncCalls,
  billing,
  twoInputs,
  asyncDeadLetters,
];

/** Each seed has one of all in turn. */
export function workloadOfSeed(seed: number): Workload {
  return WORKLOADS[seed % WORKLOADS.length]!;
}

export function workloadOf(name: string): Workload {
  const found = WORKLOADS.find((each) => each.name === name);
  if (found !== undefined) return found;
  const known = WORKLOADS.map((each) => each.name).join(', ');
  throw new Error(`there is no workload '${name}'; there are: ${known}`);
}
