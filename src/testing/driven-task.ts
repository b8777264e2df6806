/**
 * One task of a driven topology: the production task and its stores over the driver's topics.
 *
 * Owned by `Drive`, which decides what record comes next and what becomes of a step.
 *
 * I1. A record is delivered alone, and nothing behind it is known to the task: a task with several
 *     inputs runs them in the order of `TopicLogs`.
 * I2. What a step wrote is in the logs when its commit is known to have succeeded there, whether the
 *     task heard the answer or not.
 */
import type { Options } from '../config/options.ts';
import { EscapementError } from '../errors.ts';
import type { Fetcher } from '../kafka/fetch/fetcher.ts';
import { Feed } from '../kafka/fetch/partition-feed.ts';
import type { TransactionalSession } from '../kafka/producer/session.ts';
import type { SessionStep } from '../kafka/producer/step.ts';
import { brokerError, KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import type { Ports } from '../ports.ts';
import type { ApplicationPlan } from '../runtime/application-plan.ts';
import { ownerOf, prepareSchemas } from '../runtime/assignment.ts';
import { type Committed, committedFrom, type FetchedOffset } from '../runtime/committed.ts';
import type { GroupPort } from '../runtime/group-port.ts';
import { Task } from '../runtime/task.ts';
import type { TaskPlan } from '../runtime/task-plan.ts';
import { beginRun, type TaskRun } from '../runtime/task-run.ts';
import { TaskStores } from '../runtime/task-stores.ts';
import type { Serde } from '../serde/serde.ts';
import { restoreFrom } from '../state/restore.ts';
import { silentLog } from '../telemetry/log.ts';
import { Metric } from '../telemetry/metrics.ts';
import { StepIds } from '../transaction/step-id.ts';
import { Immediate } from './immediate.ts';
import type { TopicLogs } from './topic-logs.ts';

/** What becomes of a step: committed, refused, or committed without an answer. */
export type Fate = 'commit' | 'abort' | 'answer lost';

interface Held {
  readonly step: SessionStep;
  readonly resolve: () => void;
  readonly reject: (error: EscapementError) => void;
}

export interface DrivenTaskParts {
  readonly plan: TaskPlan;
  readonly application: ApplicationPlan;
  readonly logs: TopicLogs;
  readonly options: Options;
  readonly ports: Ports;
}

/** Alone in its group, for ever. */
const GROUP: GroupPort = {
  heartbeat: async () => {},
  proof: async () => {},
  step: (run) => run(),
  membership: async () => ({ generation: 1, memberId: 'test-driver', instanceId: null }),
  ownedSince: () => true,
  generation: 1,
};

export class DrivenTask {
  readonly plan: TaskPlan;
  /**
   * Whether what it writes is read by tasks of the same topology. `one partition`: and so in the
   * order in which it was written, whatever the steps; `many`: only when each record has its own.
   */
  readonly feeds: 'none' | 'one partition' | 'many';
  /** Made anew by a crash. */
  stores!: TaskStores;
  readonly #parts: DrivenTaskParts;
  readonly #stepIds: StepIds;
  readonly #feeds = new Map<string, Feed>();
  #application: ApplicationPlan;
  #task!: Task;
  #run!: TaskRun;
  #offsets: readonly FetchedOffset[];
  #fate: Fate | 'hold' = 'commit';
  #held: Held | null = null;
  #failure: EscapementError | null = null;

  constructor(parts: DrivenTaskParts) {
    this.plan = parts.plan;
    this.feeds = feedsOf(parts.plan, parts.application);
    this.#parts = parts;
    this.#application = parts.application;
    this.#stepIds = new StepIds(parts.ports.random);
    this.#offsets = parts.plan.inputs.map((input) => ({ ...input, offset: 0, metadata: null }));
    this.#begin();
  }

  /** Event times of the inputs as they are committed, the latest of all; -1 before any. */
  get streamTime(): number {
    return Math.max(...this.#task.committed.times);
  }

  /** When the next record that waits for it was written; infinity when none waits. */
  get nextOrder(): number {
    return Math.min(...this.plan.inputs.map((input) => this.#orderOf(input)));
  }

  /** Everything that was delivered is done, and released. */
  get isDone(): boolean {
    const feeds = this.plan.inputs.map(({ topic }) => this.#feeds.get(topic)!);
    const reached = feeds.every(({ position }, i) => position === this.#task.positions[i]);
    return reached && this.#run.execution.unreleased === 0;
  }

  /** Records done that no step has committed. */
  get isMoved(): boolean {
    return this.#run.progress.moved;
  }

  /** The sum of the positions: grows with every record done. */
  get progress(): number {
    return this.#task.positions.reduce((sum, offset) => sum + offset, 0);
  }

  /** Takes one record from its inputs and works. Throws what stops the task. */
  deliver(): void {
    const input = this.#nextInput();
    const feed = this.#feeds.get(input.topic)!;
    feed.put(this.#parts.logs.chunk(input, feed.position, 1));
    for (const each of this.#feeds.values()) {
      each.lastStableOffset = each.position;
      each.highWatermark = each.position;
    }
    this.work();
  }

  /** Of the record that is delivered next. */
  get nextTopic(): string {
    return this.#nextInput().topic;
  }

  #nextInput(): TaskPlan['inputs'][number] {
    const waiting = this.plan.inputs.filter(
      (input) => this.#orderOf(input) < Number.POSITIVE_INFINITY,
    );
    return waiting.sort((one, other) => this.#orderOf(one) - this.#orderOf(other))[0]!;
  }

  /** Goes on with what has been delivered. Throws what stops the task. */
  work(): void {
    while (this.#task.process(Number.POSITIVE_INFINITY) === 'worked');
    this.#check();
  }

  /** Commits what is done. */
  commit(): void {
    this.#seal('commit');
    this.#check();
  }

  /** Seals what is done; the answer comes with `answer`, and the next step fills meanwhile. */
  hold(): void {
    this.#seal('hold');
  }

  /** True from `hold` to `answer`. */
  get isHeld(): boolean {
    return this.#held !== null;
  }

  /** Ends the held step. */
  async answer(fate: Fate): Promise<void> {
    const held = this.#held!;
    this.#held = null;
    const error = this.#end(held.step, fate);
    if (error === null) held.resolve();
    else held.reject(error);
    await this.#settled();
  }

  /** Seals what is done, lets the step end otherwise than by an answer, and has the task find out. */
  async disturb(fate: Exclude<Fate, 'commit'>): Promise<void> {
    this.#seal(fate);
    await this.#settled();
  }

  async #settled(): Promise<void> {
    await this.#task.settled();
    if (this.#task.failure === null) return;
    await this.#task.resolve(async () => committedFrom(this.plan.inputs, this.#offsets));
    this.#check();
  }

  /**
   * Ends without a word; a new owner restores from the changelogs and goes on. It is another process,
   * so it has its own `application`, whose functions share no variables with those before.
   */
  async crash(application: ApplicationPlan): Promise<void> {
    this.#task.release();
    this.#application = application;
    this.#held = null;
    this.#begin();
    const { logs } = this.#parts;
    for (const changelog of this.plan.changelogs) {
      const { topic, partition } = changelog;
      const store =
        this.stores.keyValue.get(changelog.store) ?? this.stores.window.get(changelog.store)!;
      const owner = ownerOf(application.subTopologyOf(this.plan.id), changelog.store);
      const { partitionTrailerBytes = 0 } = owner.key as Serde<unknown>;
      const to = logs.end(changelog);
      const spec = { store, topic, partition, from: 0, to, partitionTrailerBytes };
      await restoreFrom(spec, once(logs.chunk(changelog, 0, to)));
      await prepareSchemas(store, owner.value, changelog);
    }
    this.stores.expire(this.streamTime);
  }

  release(): void {
    this.#task.release();
  }

  #orderOf(input: TaskPlan['inputs'][number]): number {
    return this.#parts.logs.orderAt(input, this.#feeds.get(input.topic)!.position);
  }

  #seal(fate: Fate | 'hold'): void {
    this.#fate = fate;
    // The first call notes since when records wait, the second one finds that it is long enough.
    this.#task.commitIfDue(Number.MAX_SAFE_INTEGER / 2);
    this.#task.commitIfDue(Number.MAX_SAFE_INTEGER);
  }

  #commitOf(step: SessionStep): Promise<void> {
    if (this.#fate === 'hold') {
      return new Promise((resolve, reject) => {
        this.#held = { step, resolve, reject };
      });
    }
    const error = this.#end(step, this.#fate);
    return error === null ? Immediate.of(undefined) : Promise.reject(error);
  }

  /** I2. Returns what the task hears instead of an answer. */
  #end(step: SessionStep, fate: Fate): EscapementError | null {
    if (fate === 'abort') return brokerError(KafkaErrorCode.ILLEGAL_GENERATION, 'TxnOffsetCommit');
    this.#parts.logs.appendStep(this.plan.id, step);
    this.#offsets = step.offsets.partitions;
    if (fate === 'commit') return null;
    return new EscapementError('REQUEST_FATE_UNKNOWN', 'The answer to EndTxn was lost.');
  }

  #check(): void {
    const failure = this.#failure ?? this.#task.failure;
    if (failure !== null) throw failure;
  }

  #begin(): void {
    const { plan, options, ports } = this.#parts;
    const application = this.#application;
    const subTopology = application.subTopologyOf(plan.id);
    const stores = new TaskStores(subTopology);
    this.stores = stores;
    const wake = (): void => {};
    const fetcher = {
      add: (topic: string, partition: number, offset: number) => {
        const feed = new Feed({ topic, partition, offset, outOfRange: 'fail', taken: () => {} });
        this.#feeds.set(topic, feed);
        return feed;
      },
      remove: (feed: Feed) => feed.end(),
    } as unknown as Fetcher;
    const begin = (committed: Committed): TaskRun => {
      const failed = (error: EscapementError): void => {
        this.#failure ??= error;
      };
      const run = { plan, subTopology, names: application.names, stores, committed, options };
      this.#run = beginRun({ ...run, fetcher, ports, log: silentLog, wake, failed });
      return this.#run;
    };
    const session = { commit: (step: SessionStep) => this.#commitOf(step) } as TransactionalSession;
    this.#task = new Task(
      {
        ...{ plan, session, stores, options, wake, begin },
        stepIds: this.#stepIds,
        group: GROUP,
        clock: ports.clock,
        processed: new Metric(),
      },
      committedFrom(plan.inputs, this.#offsets),
    );
  }
}

function feedsOf(plan: TaskPlan, application: ApplicationPlan): DrivenTask['feeds'] {
  const { names, inputTopics } = application;
  const written = application
    .subTopologyOf(plan.id)
    .nodes.filter(({ kind }) => kind === 'repartition' || kind === 'sink')
    .map((node) => names.of(node));
  const [first, ...others] = new Set(written.filter((topic) => inputTopics.includes(topic)));
  if (first === undefined) return 'none';
  return others.length === 0 && names.partitions(first) === 1 ? 'one partition' : 'many';
}

async function* once<T>(item: T): AsyncGenerator<T> {
  yield item;
}
