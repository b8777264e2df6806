/** What the exhaustive sweep is run over: small workloads, with and without a second process. */
import type { SweepOptions } from '../../src/simulation/sweep.ts';
import { workloadOf } from './workloads.ts';

export interface SweepSetting {
  readonly workload: string;
  readonly instances: number;
  readonly transactionVersion: 1 | 2;
}

export const SWEEP_SETTINGS: readonly SweepSetting[] = [
  { workload: 'list-append', instances: 1, transactionVersion: 1 },
  { workload: 'list-append', instances: 1, transactionVersion: 2 },
  { workload: 'async-calls', instances: 1, transactionVersion: 2 },
  { workload: 'billing', instances: 1, transactionVersion: 2 },
  { workload: 'transfer', instances: 2, transactionVersion: 1 },
  { workload: 'transfer', instances: 2, transactionVersion: 2 },
];

export function sweepOptionsOf({ workload, ...rest }: SweepSetting): SweepOptions {
  return { workload: workloadOf(workload), ...rest };
}

export function nameOf({ workload, instances, transactionVersion }: SweepSetting): string {
  const processes = instances === 1 ? 'one process' : `${instances} processes`;
  return `${workload}, ${processes}, transactions v${transactionVersion}`;
}
