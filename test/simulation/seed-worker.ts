/** Runs the seeds that the main thread sends, one after the other. */
import { parentPort } from 'node:worker_threads';
import { runSeed, type SeedRun } from './seed-run.ts';

parentPort?.on('message', async (run: SeedRun) => {
  parentPort?.postMessage(await runSeed(run));
});
