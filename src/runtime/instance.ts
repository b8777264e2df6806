/**
 * One running process of an application: its membership in the group, its tasks and their loop.
 *
 * Owned by `run`. The group member calls in with assigned, revoked and lost tasks; the loop gives
 * each running task a slice of time and starts due commits; whatever fails ends here, as a decision.
 *
 * I1. Heartbeats never wait for the loop, and the loop never waits for a commit, a restore or user
 *     code: it yields to input and output after every slice.
 * I2. A task id is in `#tasks` at most once; what happens to an older life of it has no effect.
 */
import type { Options } from '../config/options.ts';
import { asEscapementError, type EscapementError } from '../errors.ts';
import { deleteRecords } from '../kafka/admin/topics.ts';
import type { Cluster } from '../kafka/cluster/cluster.ts';
import { Fetcher } from '../kafka/fetch/fetcher.ts';
import { GroupMember } from '../kafka/group/member.ts';
import { partitionName } from '../kafka/topic-partition.ts';
import type { Ports, Timer } from '../ports.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics, MetricsSnapshot } from '../telemetry/metrics.ts';
import type { ApplicationPlan } from './application-plan.ts';
import { guarded, type InstanceState, type RuntimeListener } from './listener.ts';
import { Signal } from './signal.ts';
import type { StoreRowsView } from './store-rows.ts';
import { TaskLife } from './task-life.ts';
import { within } from './within.ts';

export interface InstanceParts {
  readonly plan: ApplicationPlan;
  readonly cluster: Cluster;
  readonly options: Options;
  readonly ports: Ports;
  readonly log: Log;
  readonly listener: RuntimeListener;
  readonly metrics: Metrics;
}

/** Least time a task gets in one round, so that many tasks do not make the loop all overhead. */
const SLICE_LEAST_MS = 2;

export class Instance {
  readonly #parts: InstanceParts;
  readonly #signal: Signal;
  readonly #fetcher: Fetcher;
  readonly #member: GroupMember;
  readonly #tasks = new Map<string, TaskLife>();
  #state: InstanceState = 'starting';
  #stopping: Promise<void> | null = null;
  #failure: EscapementError | null = null;
  #purgeTimer: Timer | null = null;
  #isAssigned = false;
  /** Fulfilled when all is closed, however it came to that. */
  readonly closed: Promise<void>;
  #resolveClosed: () => void = () => {};
  /** What `stopped` hands out: one promise for all, so that Node knows whether anybody looks at it. */
  #outcome: Promise<void>;

  constructor(given: InstanceParts) {
    const parts = { ...given, listener: guarded(given.listener, given.log) };
    this.#parts = parts;
    const { cluster, options, ports, log, plan } = parts;
    this.#signal = new Signal(ports.timers);
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#outcome = this.closed.then(() => {
      if (this.#failure !== null) throw this.#failure;
    });
    this.#outcome.catch(() => {});
    this.#fetcher = new Fetcher({
      cluster,
      ports,
      log,
      bytesPerPartitionMax: options.fetchBytesPerPartitionMax,
      bytesMax: options.fetchBytesMax,
      decompressedBytesMax: options.decompressedBytesMax,
      rackId: options.rackId,
      offsetReset: (event) => parts.listener.offsetReset(event),
    });
    this.#member = new GroupMember({
      cluster,
      ports,
      log,
      metrics: parts.metrics,
      groupId: options.applicationId,
      instanceId: options.instanceId,
      topics: plan.inputTopics,
      tasks: async () => plan.tasks,
      fingerprint: plan.fingerprint,
      host: options.applicationServer,
      schemas: () => plan.schemas,
      sessionTimeoutMs: options.sessionTimeoutMs,
      heartbeatIntervalMs: options.heartbeatIntervalMs,
      rebalanceTimeoutMs: options.rebalanceTimeoutMs,
      listener: {
        assigned: (ids) => this.#assigned(ids),
        revoked: (ids) => this.#revoked(ids),
        lost: (reason) => this.#lost(reason),
        failed: (error) => this.fail(error),
      },
    });
  }

  get state(): InstanceState {
    return this.#state;
  }

  /** Tasks that process records now. */
  get runningTasks(): readonly string[] {
    return [...this.#tasks.values()].filter((life) => life.isRunning).map((life) => life.id);
  }

  /** Copies of the committed rows of all stores of running tasks. */
  committedRows(): readonly StoreRowsView[] {
    return [...this.#tasks.values()].flatMap((life) => life.committedRows());
  }

  metrics(): MetricsSnapshot {
    const { metrics } = this.#parts;
    const lives = [...this.#tasks.values()];
    metrics.get('tasks.running').value = this.runningTasks.length;
    const lags = lives.flatMap((life) => life.lags());
    metrics.get('records.lag').show(lags.map((each) => [partitionName(each), each.lag]));
    const restoring = lives.flatMap((life) => life.restoring());
    metrics
      .get('restore.remaining')
      .show(restoring.map((each) => [partitionName(each), Math.max(0, each.to - each.position)]));
    return metrics.snapshot();
  }

  /**
   * Joins the group and begins to work. When the membership is refused, closes everything and
   * rejects; resolves when stopped meanwhile.
   */
  async start(): Promise<void> {
    this.#setState('rebalancing');
    try {
      await this.#member.start();
    } catch (cause) {
      if (this.#stopping === null) {
        this.#failure = asEscapementError(cause);
        // It is told by this rejection.
        this.#outcome.catch(() => {});
        await this.stop();
        throw cause;
      }
    }
    if (this.#stopping !== null) {
      await this.#stopping;
      return;
    }
    this.#schedulePurge();
    this.#watchArrivals();
    void this.#loop();
  }

  /** Resolves when stopped by `stop`; rejects with the error that made the instance stop. */
  stopped(): Promise<void> {
    return this.#outcome;
  }

  /**
   * From now on a failure that nobody asks for by `stopped` is an unhandled rejection, which ends the
   * process as Node does by default. Before, it is kept for who asks.
   */
  surfaceFailure(): void {
    this.#outcome = this.#outcome.then();
  }

  /** Finishes the running steps within the bound, leaves or stays in the group, closes. */
  stop(): Promise<void> {
    this.#stopping ??= this.#close();
    return this.#stopping;
  }

  /** Stops because of an error; the first one counts. */
  fail(error: EscapementError): void {
    if (this.#failure !== null || this.#stopping !== null) return;
    this.#failure = error;
    const { log, listener } = this.#parts;
    log.error({ code: error.code, reason: error.message, ...error.at }, 'instance stops');
    listener.failed?.(error);
    void this.stop();
  }

  async #loop(): Promise<void> {
    const { ports, options } = this.#parts;
    while (this.#stopping === null) {
      let worked = false;
      let lookAgainAt = Number.POSITIVE_INFINITY;
      try {
        const slice = this.#sliceMs();
        for (const life of this.#tasks.values()) {
          const began = ports.clock.monotonic();
          if (life.work(began + slice) === 'worked') worked = true;
          const ended = ports.clock.monotonic();
          if (ended - began >= options.heartbeatIntervalMs) this.#tellHeld(life, ended - began);
          lookAgainAt = Math.min(lookAgainAt, life.commitIfDue(ended));
        }
      } catch (cause) {
        this.fail(asEscapementError(cause));
        return;
      }
      this.#showState();
      if (worked) await ports.timers.turn();
      else await this.#signal.sleep(lookAgainAt - ports.clock.monotonic());
    }
  }

  /** The member has noticed the stall (or it was paused meanwhile); here is who was at work. */
  #tellHeld(life: TaskLife, heldMs: number): void {
    const at = life
      .positions()
      .map(({ topic, partition, offset }) => `${topic}-${partition}@${offset}`);
    this.#parts.log.warn(
      { task: life.id, heldMs: Math.round(heldMs), before: at },
      'a task held the process',
    );
  }

  /** Each arrival of fetched records wakes the loop. */
  #watchArrivals(): void {
    void this.#fetcher.arrival().then(() => {
      this.#signal.wake();
      if (this.#stopping === null) this.#watchArrivals();
    });
  }

  #sliceMs(): number {
    return Math.max(SLICE_LEAST_MS, this.#parts.options.sliceMs / Math.max(1, this.#tasks.size));
  }

  #assigned(ids: readonly string[]): void {
    this.#isAssigned = true;
    const lives = ids
      .filter((id) => !this.#tasks.has(id) && this.#stopping === null)
      .map((id) => this.#newLife(id));
    // All are here before the first one begins: its heartbeat may find the session over and end them,
    // and one that came only then would stand in the way of the next that is given.
    for (const life of lives) life.begin();
    this.#signal.wake();
  }

  #newLife(id: string): TaskLife {
    const life: TaskLife = new TaskLife({
      ...this.#parts,
      id,
      group: this.#member,
      fetcher: this.#fetcher,
      wake: this.#signal.wake,
      ended: (reason) => this.#ended(life, reason),
      failed: (error) => this.fail(error),
    });
    this.#tasks.set(id, life);
    return life;
  }

  async #revoked(ids: readonly string[]): Promise<void> {
    const lives = ids.flatMap((id) => this.#tasks.get(id) ?? []);
    await Promise.all(lives.map((life) => life.finish('revoked')));
    this.#signal.wake();
  }

  async #lost(reason: EscapementError): Promise<void> {
    const { log } = this.#parts;
    log.warn({ code: reason.code, reason: reason.message }, 'tasks lost');
    for (const life of this.#tasks.values()) life.drop('lost');
    this.#isAssigned = false;
    if (this.#stopping === null) this.#setState('rebalancing');
    this.#signal.wake();
  }

  #ended(life: TaskLife, reason: 'revoked' | 'lost' | 'stopped'): void {
    if (this.#tasks.get(life.id) === life) this.#tasks.delete(life.id);
    this.#parts.listener.taskClosed?.(life.id, reason);
  }

  async #close(): Promise<void> {
    const { cluster, log } = this.#parts;
    this.#setState('stopping');
    this.#signal.wake();
    this.#purgeTimer?.cancel();
    await Promise.all([...this.#tasks.values()].map((life) => life.finish('stopped')));
    await this.#leave();
    await this.#fetcher.close();
    await cluster.close().catch((error: unknown) => {
      log.warn({ reason: String(error) }, 'closing the connections failed');
    });
    this.#setState(this.#failure === null ? 'stopped' : 'failed');
    this.#resolveClosed();
  }

  /** Bounded: without a coordinator the membership ends with its session. */
  async #leave(): Promise<void> {
    const { log, options, ports } = this.#parts;
    const isDynamic = options.instanceId === null;
    const leaves =
      options.onClose === 'leave' || (options.onClose === 'dynamic-leave' && isDynamic);
    const left = this.#member.stop({ leave: leaves ? 'leave' : 'stay' }).catch((error: unknown) => {
      log.warn({ reason: String(error) }, 'leaving the group failed');
    });
    await within(ports.timers, options.stopTimeoutMs, left);
  }

  #showState(): void {
    if (this.#stopping !== null || !this.#isAssigned) return;
    const all = [...this.#tasks.values()];
    this.#setState(all.every((life) => life.isRunning) ? 'running' : 'rebalancing');
  }

  #setState(state: InstanceState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#parts.log.info({ state }, 'instance state');
    this.#parts.listener.stateChanged?.(state);
  }

  /** Repartition records are deleted once a committed step has read them, never before. */
  #schedulePurge(): void {
    const { ports, options } = this.#parts;
    this.#purgeTimer = ports.timers.after(options.repartitionPurgeIntervalMs, () => {
      void this.#purge().finally(() => {
        if (this.#stopping === null) this.#schedulePurge();
      });
    });
  }

  async #purge(): Promise<void> {
    const { plan, cluster, log } = this.#parts;
    const targets = [...this.#tasks.values()].flatMap((life) =>
      life.committedInputs().filter(({ topic }) => plan.repartitionTopics.has(topic)),
    );
    if (targets.length === 0) return;
    try {
      await deleteRecords(cluster, targets);
    } catch (cause) {
      log.warn({ reason: String(cause) }, 'purging repartition topics failed');
    }
  }
}
