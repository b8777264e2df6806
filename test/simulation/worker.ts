/** Runs what the main thread sends, one after the other. */
import { parentPort } from 'node:worker_threads';
import { runSweepCase, type SweepCase } from '../../src/simulation/sweep.ts';
import { runSeed, type SeedRun } from './seed-run.ts';
import { type SweepSetting, sweepOptionsOf } from './sweep-settings.ts';

export type Job =
  | { readonly kind: 'seed'; readonly run: SeedRun }
  | { readonly kind: 'case'; readonly setting: SweepSetting; readonly swept: SweepCase };

parentPort?.on('message', async (job: Job) => {
  const result =
    job.kind === 'seed'
      ? await runSeed(job.run)
      : await runSweepCase(sweepOptionsOf(job.setting), job.swept);
  parentPort?.postMessage(result);
});
