/**
 * Releases the input in kills + 1 portions, and kills one instance in each of the first ones while
 * it holds a record whose step is not committed.
 */
import { type InputRecord, PARTITIONS } from './cluster.ts';
import type { BillingInput, UsageRecord } from './input.ts';
import type { BillingProcess } from './processes.ts';
import type { ProgressLine } from './progress.ts';
import type { Random } from './random.ts';

/** A process that may be killed. */
export type Victim = Pick<
  BillingProcess,
  'instanceId' | 'partitions' | 'isRunning' | 'freezeAfter' | 'kill' | 'start'
>;

export interface ReleaseOptions {
  readonly input: Pick<BillingInput, 'total' | 'read'>;
  readonly kills: number;
  readonly cluster: { write(records: readonly InputRecord[]): Promise<void> };
  readonly processes: readonly Victim[];
  readonly random: Random;
  readonly progress: Pick<ProgressLine, 'step' | 'tick'>;
  /** Throws when the run was interrupted or an instance failed. */
  readonly check: () => void;
}

/** Of machines on which a process takes half a minute to start. */
const RUNNING_TIMEOUT_MS = 180_000;
const FROZEN_TIMEOUT_MS = 180_000;
const POLL_MS = 20;
/** Records written at once, and at most those among which a victim is frozen. */
const CHUNK_RECORDS = 20_000;

/** Returns the number of kills that took place. */
export async function releaseAndKill(options: ReleaseOptions): Promise<number> {
  const { input, kills, cluster, progress } = options;
  const records = new Chunks(input.read());
  let done = 0;
  for (let portion = 0; portion <= kills; portion += 1) {
    const end = Math.floor((input.total * (portion + 1)) / (kills + 1));
    let mayKill = portion < kills;
    while (records.taken < end) {
      options.check();
      const chunk = await records.next(Math.min(CHUNK_RECORDS, end - records.taken));
      if (mayKill) {
        await killDuring(chunk, options);
        mayKill = false;
        done += 1;
        progress.step(`kill ${done} of ${kills} at ${records.taken.toLocaleString('en')} events`);
      } else {
        await cluster.write(chunk);
      }
      progress.tick(`${records.taken.toLocaleString('en')} events written`);
    }
  }
  return done;
}

/** Takes a sequence in pieces of a given size. */
class Chunks {
  readonly #iterator: AsyncIterator<UsageRecord>;
  taken = 0;

  constructor(records: AsyncIterable<UsageRecord>) {
    this.#iterator = records[Symbol.asyncIterator]();
  }

  async next(size: number): Promise<UsageRecord[]> {
    const chunk: UsageRecord[] = [];
    while (chunk.length < size) {
      const { done, value } = await this.#iterator.next();
      if (done === true) throw new Error('the input has become shorter while it was read');
      chunk.push(value);
    }
    this.taken += size;
    return chunk;
  }
}

async function killDuring(part: readonly InputRecord[], options: ReleaseOptions): Promise<void> {
  const { cluster, random } = options;
  await allRunning(options);
  const victim = pickVictim(part, options);
  const mine = part.filter(({ partition }) => victim.partitions.includes(partition)).length;
  const after = 1 + random.below(mine);
  const { armed, frozen } = victim.freezeAfter(after);
  await within(armed, `${victim.instanceId} was not told`, options);
  await cluster.write(part);
  await within(frozen, `${victim.instanceId} did not reach record ${after}`, options);
  await victim.kill();
  victim.start();
}

/** An instance that bills a partition with records in this portion. */
function pickVictim(part: readonly InputRecord[], options: ReleaseOptions): Victim {
  const filled = new Set(part.map(({ partition }) => partition));
  const able = options.processes.filter(({ partitions }) => partitions.some((p) => filled.has(p)));
  const victim = able[options.random.below(able.length)];
  if (victim === undefined) {
    throw new Error(
      'a portion of the input has no event for any instance: use fewer --kills or more events',
    );
  }
  return victim;
}

/**
 * Waits until every instance that can have tasks runs all of them, and has its share: one that has just
 * joined runs, without a task, while another one still works on what it is about to give away. Picked
 * then, the other one would wait for records that go elsewhere.
 */
export async function allRunning(options: ReleaseOptions): Promise<void> {
  const deadline = Date.now() + RUNNING_TIMEOUT_MS;
  for (;;) {
    options.check();
    const owned = options.processes.flatMap(({ partitions }) => partitions);
    const complete = new Set(owned).size === owned.length && owned.length === PARTITIONS;
    const shares = options.processes.map(({ partitions }) => partitions.length);
    const isShared = Math.max(...shares) - Math.min(...shares) <= 1;
    if (complete && isShared && options.processes.every(({ isRunning }) => isRunning)) return;
    if (Date.now() > deadline) throw new Error('the instances did not share the work in time');
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function within(event: Promise<void>, what: string, options: ReleaseOptions): Promise<void> {
  const deadline = Date.now() + FROZEN_TIMEOUT_MS;
  let done = false;
  void event.then(() => {
    done = true;
  });
  while (!done) {
    options.check();
    if (Date.now() > deadline) throw new Error(`${what} within ${FROZEN_TIMEOUT_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
