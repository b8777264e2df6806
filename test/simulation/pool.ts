/** Simulations on several threads: jobs go out one at a time, results come back as they are ready. */
import { Worker } from 'node:worker_threads';
import type { Job } from './worker.ts';

export interface PoolOptions {
  readonly jobs: Iterable<Job>;
  readonly threads: number;
  /** For lines of progress: how many results there will be. */
  readonly total: number;
  readonly isFailed: (result: unknown) => boolean;
  /** Hears of each result as it comes. */
  readonly came?: (result: unknown) => void;
  readonly say: (text: string) => void;
}

const PROGRESS_MS = 10_000;
const INTERRUPTED = 130;

/** Every result, in no order; after Ctrl-C those that were under way are the last. */
export async function runPool<Result>(options: PoolOptions): Promise<Result[]> {
  const { threads, total, isFailed, came, say } = options;
  const jobs = options.jobs[Symbol.iterator]();
  const results: Result[] = [];
  let failed = 0;
  let state: 'running' | 'interrupted' = 'running';
  const interrupt = (): void => {
    if (state === 'interrupted') process.exit(INTERRUPTED);
    state = 'interrupted';
    say('interrupted: what is under way is finished first; once more ends at once');
  };
  process.on('SIGINT', interrupt);
  const progress = setInterval(() => {
    say(`${results.length} of ${total}, ${failed} failed`);
  }, PROGRESS_MS);
  const work = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL('./worker.js', import.meta.url));
      const send = (): void => {
        const next = state === 'running' ? jobs.next() : { done: true as const };
        if (next.done === true) void worker.terminate().then(() => resolve());
        else worker.postMessage(next.value);
      };
      worker.on('message', (result: Result) => {
        results.push(result);
        came?.(result);
        if (isFailed(result)) failed += 1;
        send();
      });
      worker.on('error', reject);
      send();
    });
  try {
    await Promise.all(Array.from({ length: Math.max(1, Math.min(threads, total)) }, work));
  } finally {
    clearInterval(progress);
    process.removeListener('SIGINT', interrupt);
  }
  return results;
}
