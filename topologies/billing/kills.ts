/**
 * Releases the input in kills + 1 portions, and kills one instance in each of the first ones while
 * it holds a record whose step is not committed.
 */
import type { BillingCluster, InputRecord } from './cluster.ts';
import type { BillingProcess } from './processes.ts';
import type { ProgressLine } from './progress.ts';
import type { Random } from './random.ts';

export interface ReleaseOptions {
  readonly records: readonly InputRecord[];
  readonly kills: number;
  readonly cluster: BillingCluster;
  readonly processes: readonly BillingProcess[];
  readonly random: Random;
  readonly progress: ProgressLine;
  /** Throws when the run was interrupted or an instance failed. */
  readonly check: () => void;
}

const RUNNING_TIMEOUT_MS = 60_000;
const FROZEN_TIMEOUT_MS = 60_000;
const POLL_MS = 20;

/** Returns the number of kills that took place. */
export async function releaseAndKill(options: ReleaseOptions): Promise<number> {
  const { records, kills, cluster, progress } = options;
  let done = 0;
  for (let portion = 0; portion <= kills; portion += 1) {
    const from = Math.floor((records.length * portion) / (kills + 1));
    const to = Math.floor((records.length * (portion + 1)) / (kills + 1));
    const part = records.slice(from, to);
    if (portion < kills) {
      await killDuring(part, options);
      done += 1;
      progress.step(`kill ${done} of ${kills} done, ${to.toLocaleString('en')} events released`);
    } else {
      await cluster.write(part);
    }
  }
  return done;
}

async function killDuring(part: readonly InputRecord[], options: ReleaseOptions): Promise<void> {
  const { cluster, random } = options;
  await allRunning(options);
  const victim = pickVictim(part, options);
  const mine = part.filter(({ partition }) => victim.partitions.includes(partition)).length;
  // Not among the last ones: there must be work left for others to see.
  const after = 1 + Math.floor(random.fraction() * Math.max(1, mine * 0.8));
  await victim.freezeAfter(Math.min(after, mine));
  const frozen = victim.frozen();
  await cluster.write(part);
  await within(
    frozen,
    FROZEN_TIMEOUT_MS,
    `${victim.instanceId} did not reach record ${after}`,
    options,
  );
  await victim.kill();
  victim.start();
}

/** An instance that bills a partition with records in this portion. */
function pickVictim(part: readonly InputRecord[], options: ReleaseOptions): BillingProcess {
  const filled = new Set(part.map(({ partition }) => partition));
  const able = options.processes.filter(({ partitions }) => partitions.some((p) => filled.has(p)));
  const victim = able[Math.floor(options.random.fraction() * able.length)];
  if (victim === undefined) {
    throw new Error(
      'a portion of the input has no event for any instance: use fewer --kills or more events',
    );
  }
  return victim;
}

/** Waits until every instance that can have tasks runs all of them. */
export async function allRunning(options: ReleaseOptions): Promise<void> {
  const deadline = Date.now() + RUNNING_TIMEOUT_MS;
  for (;;) {
    options.check();
    const owned = options.processes.flatMap(({ partitions }) => partitions);
    const complete = new Set(owned).size === owned.length && owned.length === 3;
    if (complete && options.processes.every(({ isRunning }) => isRunning)) return;
    if (Date.now() > deadline) throw new Error('the instances did not share the work in time');
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function within(
  event: Promise<void>,
  timeoutMs: number,
  what: string,
  options: ReleaseOptions,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  let done = false;
  void event.then(() => {
    done = true;
  });
  while (!done) {
    options.check();
    if (Date.now() > deadline) throw new Error(`${what} within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
