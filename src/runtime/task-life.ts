/**
 * The life of one task in one instance, from its assignment to its end.
 *
 *   assigning ──► running ◄──► recovering ──► (assigning again: another owner ran)
 *       │            │              │
 *       └────────────┴──────────────┴──► finishing ──► ended
 *
 * Failures become decisions here. A fenced or lost task is a state, logged as such, not a crash.
 */
import type { Options } from '../config/options.ts';
import { asEscapementError, EscapementError } from '../errors.ts';
import type { Cluster } from '../kafka/cluster/cluster.ts';
import type { Fetcher } from '../kafka/fetch/fetcher.ts';
import { isOutOfRange } from '../kafka/fetch/partition-feed.ts';
import { TransactionalSession } from '../kafka/producer/session.ts';
import type { TopicPartition } from '../kafka/topic-partition.ts';
import type { Ports } from '../ports.ts';
import type { Restoring } from '../state/staged.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { decide } from '../transaction/decide.ts';
import { StepIds } from '../transaction/step-id.ts';
import type { ApplicationPlan } from './application-plan.ts';
import { type AssignmentParts, assignTask, fenceAndRead, stillOwner } from './assignment.ts';
import type { Committed } from './committed.ts';
import { type GroupPort, groupOf } from './group-port.ts';
import type { RuntimeListener } from './listener.ts';
import { findTopics, goneError, mayBeGone } from './missing-topics.ts';
import { committedRowsOf, type StoreRowsView } from './store-rows.ts';
import { Task } from './task.ts';
import { beginRun } from './task-run.ts';
import { TaskStores } from './task-stores.ts';
import { within } from './within.ts';

export interface TaskLifeParts {
  readonly id: string;
  readonly plan: ApplicationPlan;
  readonly cluster: Cluster;
  readonly fetcher: Fetcher;
  readonly group: GroupPort;
  readonly options: Options;
  readonly ports: Ports;
  readonly log: Log;
  readonly listener: RuntimeListener;
  readonly metrics: Metrics;
  readonly wake: () => void;
  readonly ended: (reason: EndReason) => void;
  /** Stops the instance. */
  readonly failed: (error: EscapementError) => void;
}

export type EndReason = 'revoked' | 'lost' | 'stopped';

/** Fences in a row, without a commit between, after which two owners must be fighting over an id. */
const FENCED_MAX = 3;
/** Sockets per broker that the steps of all tasks share. */
const TRANSACTION_LANES = 8;
const RETRY_FIRST_MS = 50;
const RETRY_MOST_MS = 1_000;

type LifeState = 'assigning' | 'running' | 'recovering' | 'finishing' | 'ended';

export class TaskLife {
  readonly id: string;
  readonly #parts: TaskLifeParts;
  readonly #session: TransactionalSession;
  readonly #stepIds: StepIds;
  #state: LifeState = 'assigning';
  #task: Task | null = null;
  /** Of the assignment under way, then of the task. */
  #stores: TaskStores | null = null;
  #finishing: Promise<void> | null = null;
  #fencedInARow = 0;
  #commitsAtFence = -1;

  constructor(parts: TaskLifeParts) {
    this.id = parts.id;
    this.#parts = {
      ...parts,
      group: groupOf(parts.id, parts.group, () => this.#state === 'ended'),
    };
    const { cluster, options, ports, log, metrics } = parts;
    this.#session = new TransactionalSession({
      cluster,
      transactionalId: `${options.applicationId}-${withDash(parts.id)}`,
      transactionTimeoutMs: options.transactionTimeoutMs,
      lane: `transaction-${partitionOf(parts.id) % TRANSACTION_LANES}`,
      ports,
      log,
      metrics,
    });
    this.#stepIds = new StepIds(ports.random);
  }

  get isRunning(): boolean {
    return this.#state === 'running';
  }

  begin(): void {
    void this.#assign();
  }

  /** A slice of the loop. Throws what stops the instance. */
  work(deadline: number): 'worked' | 'idle' {
    if (this.#state !== 'running') return 'idle';
    const task = this.#task!;
    try {
      const worked = task.process(deadline);
      if (task.failure !== null) void this.#recover(task, task.failure);
      return worked;
    } catch (cause) {
      if (isOutOfRange(cause)) void this.#stopIfOurs(cause);
      // Of an input whose fetches end so, the fetcher has waited for the topic to come back.
      else if (mayBeGone(cause)) void this.#stopIfOurs(this.#goneInput(cause));
      else throw cause;
      return 'idle';
    }
  }

  commitIfDue(now: number): number {
    return this.#state === 'running' ? this.#task!.commitIfDue(now) : Number.POSITIVE_INFINITY;
  }

  /** Committed positions of the inputs, for purging. */
  committedInputs(): readonly (TopicPartition & { readonly offset: number })[] {
    const task = this.#task;
    if (task === null) return [];
    return task.plan.inputs.map((input, i) => ({ ...input, offset: task.committed.offsets[i]! }));
  }

  /** Committed rows of the stores; none while the task does not run. */
  committedRows(): readonly StoreRowsView[] {
    const task = this.#task;
    if (task === null || this.#state !== 'running') return [];
    return committedRowsOf(task.plan, task.stores, task.isQuiet ? 'quiet' : 'busy');
  }

  /** Where the inputs have got to, committed or not. */
  positions(): readonly (TopicPartition & { readonly offset: number })[] {
    const task = this.#task;
    if (task === null) return [];
    return task.plan.inputs.map((input, i) => ({ ...input, offset: task.positions[i]! }));
  }

  /** How far the inputs are behind; nothing while the task is not there. */
  lags(): ReturnType<Task['lags']> {
    return this.#task?.lags() ?? [];
  }

  /** Restores under way. */
  restoring(): readonly Restoring[] {
    return this.#stores?.restoring() ?? [];
  }

  /**
   * Ends the task: what is released is committed if that is possible within the bound. Never
   * rejects: what fails here runs again elsewhere.
   */
  finish(reason: 'revoked' | 'stopped'): Promise<void> {
    this.#finishing ??= this.#finish(reason);
    return this.#finishing;
  }

  async #finish(reason: 'revoked' | 'stopped'): Promise<void> {
    if (this.#state === 'ended') return;
    const wasRunning = this.#state === 'running';
    this.#state = 'finishing';
    const { ports, options, log } = this.#parts;
    try {
      if (wasRunning) await within(ports.timers, options.stopTimeoutMs, this.#task!.finish());
    } catch (cause) {
      const { code, message } = asEscapementError(cause);
      log.error({ task: this.id, code, reason: message }, 'the last step failed');
    }
    // Lost meanwhile: then it has ended already.
    if (this.#state === 'finishing') this.#end(reason);
  }

  /** Ends the task at once, without a commit. */
  drop(reason: EndReason): void {
    if (this.#state !== 'ended') this.#end(reason);
  }

  #end(reason: EndReason): void {
    this.#state = 'ended';
    this.#task?.release();
    this.#parts.log.info({ task: this.id, reason }, 'task closed');
    this.#parts.ended(reason);
  }

  /** True while this life may still go from `assigning` or `recovering` to `running`. */
  get #isOpen(): boolean {
    return this.#state === 'assigning' || this.#state === 'recovering';
  }

  async #assign(): Promise<void> {
    const { log, listener } = this.#parts;
    await this.#untilDone(async () => {
      const parts = this.#assignmentParts();
      const committed = await assignTask(parts);
      if (!this.#isOpen) return;
      this.#task = this.#newTask(parts, committed);
      this.#state = 'running';
      log.info({ task: this.id, offsets: committed.offsets }, 'task running');
      listener.taskStarted?.(this.id);
    });
    this.#parts.wake();
  }

  #newTask(parts: AssignmentParts, committed: Committed): Task {
    const { plan, options, fetcher, ports, log, wake, group, metrics } = this.#parts;
    return new Task(
      {
        plan: parts.plan,
        session: this.#session,
        stores: parts.stores,
        stepIds: this.#stepIds,
        options,
        group,
        clock: ports.clock,
        processed: metrics.get('records.processed'),
        wake,
        begin: (from) =>
          beginRun({
            plan: parts.plan,
            subTopology: parts.subTopology,
            names: plan.names,
            stores: parts.stores,
            committed: from,
            options,
            fetcher,
            ports,
            log,
            wake,
            failed: this.#parts.failed,
          }),
      },
      committed,
    );
  }

  /**
   * Stops the instance because of what the log or the group holds: if the task is ours. Had we stood
   * still, or waited long for the answer to a JoinGroup, another owner may have gone on there, and
   * what we found is of its making: what it has read is purged, or its transaction is open.
   */
  async #stopIfOurs(error: EscapementError): Promise<void> {
    const { group, plan, failed, log } = this.#parts;
    const { generation } = group;
    const state = this.#state;
    if (state === 'running') this.#state = 'recovering';
    log.warn({ task: this.id, code: error.code, reason: error.message }, 'task cannot go on');
    const reason = await stillOwner({ plan: plan.task(this.id), group }, generation).then(
      () => error,
      asEscapementError,
    );
    if (!this.#isOpen) return;
    if (this.#decisionOn(reason) === 'lost') {
      this.#dropLost(reason);
      return;
    }
    // What a running task has processed is committed as the instance stops.
    this.#state = state;
    failed(reason);
  }

  /** What became of the failed step, by the step id that is found once the old epoch is fenced. */
  async #recover(task: Task, failure: EscapementError): Promise<void> {
    this.#state = 'recovering';
    const { log, group, plan, cluster, options } = this.#parts;
    log.warn({ task: this.id, code: failure.code, reason: failure.message }, 'step failed');
    await task.settled();
    if (!this.#isOpen) return;
    if (!this.#mayRecover(task, failure)) return;
    if (this.#decisionOn(failure) === 'abort') await this.#session.abort().catch(() => {});
    const taskPlan = plan.task(this.id);
    await this.#untilDone(async () => {
      const { generation } = group;
      const resolution = await task.resolve(async () => {
        const found = await fenceAndRead({
          plan: taskPlan,
          session: this.#session,
          group,
          cluster,
          options,
        });
        await stillOwner({ plan: taskPlan, group }, generation);
        return found;
      });
      if (!this.#isOpen) return;
      log.info({ task: this.id, resolution }, 'step resolved');
      if (resolution === 'another-owner') {
        task.release();
        this.#task = null;
        this.#state = 'assigning';
        await this.#assign();
        return;
      }
      // The step is undone: nobody waits for a transaction of ours while we wait for its topics.
      if (!(await this.#hasTopics(failure))) return;
      this.#state = 'running';
    });
    this.#parts.wake();
  }

  /** Repeats `attempt` while its failures are of the passing kind and the task is ours. */
  async #untilDone(attempt: () => Promise<void>): Promise<void> {
    for (let pause = RETRY_FIRST_MS; this.#isOpen; pause = Math.min(pause * 2, RETRY_MOST_MS)) {
      try {
        await attempt();
        return;
      } catch (cause) {
        const error = asEscapementError(cause);
        if (!this.#isOpen || !this.#mayRecover(this.#task, error)) return;
        const { log } = this.#parts;
        log.warn({ task: this.id, code: error.code, reason: error.message }, 'task tried again');
        if (!(await this.#hasTopics(error))) return;
      }
      await this.#parts.ports.timers.sleep(pause);
    }
  }

  /** False: a topic of the task is gone, so the instance stops; or the task has ended meanwhile. */
  async #hasTopics(failure: EscapementError): Promise<boolean> {
    if (!mayBeGone(failure)) return true;
    const { cluster, plan, log } = this.#parts;
    const isWanted = () => this.#isOpen;
    const gone = await findTopics({ cluster, plan, task: this.id, log, isWanted });
    if (!this.#isOpen) return false;
    if (gone === null) return true;
    await this.#stopIfOurs(gone);
    return false;
  }

  #goneInput({ at }: EscapementError): EscapementError {
    const { plan } = this.#parts;
    const topic = at.topic ?? plan.task(this.id).inputs[0]!.topic;
    return goneError(plan, this.id, [topic]);
  }

  #decisionOn(error: EscapementError) {
    const isMember = this.#parts.group.generation >= 0;
    return decide(error, { membership: isMember ? 'live' : 'gone' });
  }

  /** Ends the task or the instance where the decision says so; true: try to go on. */
  #mayRecover(task: Task | null, error: EscapementError): boolean {
    switch (this.#decisionOn(error)) {
      case 'lost':
        this.#dropLost(error);
        return false;
      case 'record':
        this.#parts.failed(this.#refusedStep(error));
        return false;
      case 'stop':
        void this.#stopIfOurs(error);
        return false;
      case 'fenced':
        return this.#countFence(task, error);
      default:
        return true;
    }
  }

  #dropLost({ code, message }: EscapementError): void {
    this.#parts.log.info({ task: this.id, code, reason: message }, 'task lost');
    this.drop('lost');
  }

  /**
   * The broker refused a batch of a step. Which of its records is at fault it does not say, and the
   * batch holds results of many inputs: the step's first ones are where to look.
   */
  #refusedStep(error: EscapementError): EscapementError {
    const inputs = this.committedInputs();
    const from = inputs.map(({ topic, partition, offset }) => `${topic}-${partition}@${offset}`);
    return new EscapementError(
      error.code,
      `Task ${this.id}: a result of the step that begins at ${from.join(', ')} was refused. ${error.message}`,
      { cause: error, decision: 'stop', at: { task: this.id, ...inputs[0] } },
    );
  }

  #countFence(task: Task | null, error: EscapementError): boolean {
    const commits = task?.counts.commits ?? -1;
    this.#fencedInARow = commits === this.#commitsAtFence ? this.#fencedInARow + 1 : 1;
    this.#commitsAtFence = commits;
    if (this.#fencedInARow <= FENCED_MAX) return true;
    this.#parts.failed(
      new EscapementError(
        'TASK_FENCED',
        `Task ${this.id} was fenced ${this.#fencedInARow} times in a row although the group gave ` +
          `it to this instance: does another application use applicationId ` +
          `'${this.#parts.options.applicationId}'?`,
        { cause: error, decision: 'stop', at: { task: this.id } },
      ),
    );
    return false;
  }

  /** The application's listener, with the records of each restore counted. */
  #countingRestores(): RuntimeListener {
    const { listener, metrics } = this.#parts;
    return {
      ...listener,
      restoreEnded: (event) => {
        metrics.get('restore.records').add(event.restored);
        listener.restoreEnded?.(event);
      },
    };
  }

  #assignmentParts(): AssignmentParts {
    const { plan, group, cluster, options, ports } = this.#parts;
    const subTopology = plan.subTopologyOf(this.id);
    const stores = new TaskStores(subTopology);
    this.#stores = stores;
    return {
      plan: plan.task(this.id),
      subTopology,
      stores,
      session: this.#session,
      stepIds: this.#stepIds,
      group,
      cluster,
      options,
      ports,
      listener: this.#countingRestores(),
    };
  }
}

function partitionOf(taskId: string): number {
  return Number(taskId.slice(taskId.lastIndexOf('_') + 1));
}

/** `orders_3` as the tail of a transactional id: `orders-3`. */
function withDash(taskId: string): string {
  const cut = taskId.lastIndexOf('_');
  return `${taskId.slice(0, cut)}-${taskId.slice(cut + 1)}`;
}
