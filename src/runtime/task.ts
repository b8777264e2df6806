/**
 * A running task: its records, its state, and one transaction after another.
 *
 * Owned by the instance, which calls `process` and `commitIfDue` from its loop.
 *
 * I1. What a step commits is the progress of released slots, never a fetch position.
 * I2. At most one step is sealed; while it commits, the next one fills. If it aborts, both go.
 * I3. After an indefinite answer nothing is decided but by the step id that a stable offset fetch
 *     finds once the old epoch is fenced (`resolve`).
 * I4. Staged state becomes committed state only when a commit is known.
 */

import type { Options } from '../config/options.ts';
import { asEscapementError, type EscapementError, invariant } from '../errors.ts';
import type { TransactionalSession } from '../kafka/producer/session.ts';
import type { TopicPartition } from '../kafka/topic-partition.ts';
import type { Clock } from '../ports.ts';
import type { Metric } from '../telemetry/metrics.ts';
import { encodeMetadata, type StepIds } from '../transaction/step-id.ts';
import { type StepState, transition } from '../transaction/transitions.ts';
import { type Committed, sameCommitted } from './committed.ts';
import type { GroupPort } from './group-port.ts';
import type { TaskPlan } from './task-plan.ts';
import type { TaskRun } from './task-run.ts';
import type { TaskStores } from './task-stores.ts';

export interface TaskParts {
  readonly plan: TaskPlan;
  readonly session: TransactionalSession;
  readonly stores: TaskStores;
  readonly stepIds: StepIds;
  readonly options: Options;
  readonly group: GroupPort;
  readonly clock: Clock;
  /** Counts input records. */
  readonly processed: Metric;
  /** Builds everything that begins anew at a committed point: feeds, queue, graph, execution. */
  readonly begin: (committed: Committed) => TaskRun;
  /** Wakes the instance's loop. */
  readonly wake: () => void;
}

/** Between two looks at the clock, which begin with each record: user code may be slow. */
const RECORDS_PER_LOOK_MAX = 32;

/** How the resolution of an unknown outcome ended. */
export type Resolution = 'committed' | 'undone' | 'another-owner';

export class Task {
  readonly plan: TaskPlan;
  readonly #parts: TaskParts;
  #run: TaskRun;
  #committed: Committed;
  #sealed: Committed | null = null;
  #state: StepState = 'open';
  #committing: Promise<void> | null = null;
  /** Failure of the last commit, for the instance to resolve. */
  #failure: EscapementError | null = null;
  #stagedSince = -1;
  #restUntil = 0;
  /** Counters for metrics. */
  readonly counts = { records: 0, commits: 0, aborts: 0 };

  constructor(parts: TaskParts, committed: Committed) {
    this.plan = parts.plan;
    this.#parts = parts;
    this.#committed = committed;
    this.#run = parts.begin(committed);
  }

  /** The last committed point. */
  get committed(): Committed {
    return this.#committed;
  }

  /** Offsets of the next records that are not done, one per input. */
  get positions(): readonly number[] {
    return this.#run.progress.offsets;
  }

  /**
   * Records of each input up to the last stable offset, as of the last answer of its broker, that no
   * commit covers; nothing of an input before the first answer.
   */
  lags(): readonly (TopicPartition & { readonly lag: number })[] {
    return this.#run.feeds.flatMap(({ topic, partition, lastStableOffset }, i) => {
      if (lastStableOffset < 0) return [];
      // A commit may be ahead of the answer that was under way meanwhile.
      return { topic, partition, lag: Math.max(0, lastStableOffset - this.#committed.offsets[i]!) };
    });
  }

  get failure(): EscapementError | null {
    return this.#failure ?? this.#run.execution.failure;
  }

  get stores(): TaskStores {
    return this.#parts.stores;
  }

  get isCommitting(): boolean {
    return this.#committing !== null;
  }

  /** True when nothing is staged, under way or uncommitted. */
  get isQuiet(): boolean {
    const { execution, progress } = this.#run;
    return !progress.moved && execution.unreleased === 0 && this.#committing === null;
  }

  /** Runs records until `deadline` (monotonic ms), the staged bytes are full, or none is left. */
  process(deadline: number): 'worked' | 'idle' {
    if (this.#failure !== null || (this.#state !== 'open' && this.#state !== 'sealed'))
      return 'idle';
    const { execution, queue, scope } = this.#run;
    const { clock, options, stores } = this.#parts;
    let count = 0;
    let lookAt = 1;
    while (execution.hasRoom && scope.bytes < options.stagedBytesMax) {
      const input = execution.takeRedo() ?? queue.next();
      if (input === null) break;
      execution.run(input);
      count += 1;
      if (count < lookAt) continue;
      if (clock.monotonic() >= deadline) break;
      lookAt += Math.min(count, RECORDS_PER_LOOK_MAX);
    }
    // The undo log then holds one entry per row and step, not one per write.
    if (count > 0) stores.release(execution.releasedSlot);
    this.counts.records += count;
    this.#parts.processed.value += count;
    return count > 0 ? 'worked' : 'idle';
  }

  /**
   * Starts a commit when it is due: the previous one is done and rested, and either nothing more is
   * waiting, or the interval has passed, or the staged bytes are full. Returns when to look again
   * (monotonic ms), or infinity.
   */
  commitIfDue(now: number): number {
    const { progress, scope } = this.#run;
    this.#run.catchUp();
    if (this.#state !== 'open' || !progress.moved) return Number.POSITIVE_INFINITY;
    if (this.#stagedSince < 0) this.#stagedSince = now;
    if (now < this.#restUntil) return this.#restUntil;
    const { commitIntervalMs, stagedBytesMax } = this.#parts.options;
    const due = this.#stagedSince + commitIntervalMs;
    if (this.#run.queue.hasMore && now < due && scope.bytes < stagedBytesMax) return due;
    this.#startCommit();
    return Number.POSITIVE_INFINITY;
  }

  /** Waits for the commit under way; its failure is kept in `failure`. */
  async settled(): Promise<void> {
    await this.#committing;
  }

  /** Commits what is released, for a close; slots under way are dropped and run again elsewhere. */
  async finish(): Promise<void> {
    this.#run.execution.cancel();
    await this.#committing;
    if (this.#state === 'open' && this.#failure === null && this.#run.progress.moved) {
      this.#startCommit();
      await this.#committing;
    }
  }

  /** Lets go of everything without a commit. */
  release(): void {
    if (this.#state === 'released') return;
    this.#state = transition(this.#state, 'released');
    this.#run.close();
  }

  /**
   * Finds out what became of the sealed step after a failure, I3. `read` fences the old epoch and
   * returns the committed point. After `undone` the records since that point run again.
   */
  async resolve(read: () => Promise<Committed>): Promise<Resolution> {
    if (this.#state !== 'resolving') this.#state = transition(this.#state, 'resolving');
    const found = await read();
    if (this.#sealed !== null && found.stepId === this.#sealed.stepId) {
      this.#settleCommitted(this.#sealed);
      this.#failure = null;
      this.#state = transition(this.#state, 'open');
      return 'committed';
    }
    if (!sameCommitted(found, this.#committed)) return 'another-owner';
    this.#state = transition(this.#state, 'undoing');
    this.#undo();
    this.#failure = null;
    this.#state = transition(this.#state, 'open');
    return 'undone';
  }

  #undo(): void {
    this.counts.aborts += 1;
    this.#run.close();
    this.#parts.stores.aborted();
    this.#sealed = null;
    this.#stagedSince = -1;
    this.#run = this.#parts.begin(this.#committed);
  }

  #startCommit(): void {
    invariant(this.#sealed === null, 'a step is sealed twice', { task: this.plan.id });
    const { stores, stepIds, session, group } = this.#parts;
    const { progress, scope, execution } = this.#run;
    this.#state = transition(this.#state, 'sealed');
    const sealed: Committed = {
      stepId: stepIds.next(),
      offsets: [...progress.offsets],
      times: [...progress.times],
    };
    this.#sealed = sealed;
    progress.moved = false;
    this.#stagedSince = -1;
    stores.seal(execution.releasedSlot);
    const outputs = scope.seal();
    const offsets = this.#offsetsOf(sealed);
    this.#committing = group
      .step(() => session.commit({ outputs, offsets }))
      .then(() => this.#confirmed(sealed))
      .catch((cause: unknown) => {
        this.#failure = asEscapementError(cause);
      })
      .finally(() => {
        this.#committing = null;
        this.#parts.wake();
      });
  }

  #confirmed(sealed: Committed): void {
    if (this.#state === 'released') return;
    this.#settleCommitted(sealed);
    this.#state = transition(this.#state, 'open');
  }

  #settleCommitted(sealed: Committed): void {
    const { stores, clock, options } = this.#parts;
    this.#committed = sealed;
    this.#sealed = null;
    this.#restUntil = clock.monotonic() + options.commitRestMs;
    this.counts.commits += 1;
    stores.committed(Math.max(...sealed.times));
  }

  #offsetsOf(sealed: Committed) {
    const { plan, group, options } = this.#parts;
    const bytesMax = options.offsetMetadataBytesMax;
    return {
      groupId: options.applicationId,
      membership: () => group.membership(),
      proof: () => group.proof(),
      partitions: plan.inputs.map(({ topic, partition }, i) => ({
        topic,
        partition,
        offset: sealed.offsets[i]!,
        metadata: encodeMetadata(
          { stepId: sealed.stepId, partitionTime: sealed.times[i]! },
          bytesMax,
        ),
      })),
    };
  }
}
