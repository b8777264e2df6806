/**
 * The billing run, from an empty broker to the verdict.
 *
 * Starts or takes a broker and a registry, writes usage events in portions, runs the billing
 * processes and kills them in between, closes every window with one end record per partition, and
 * compares what is committed with a plain fold of the input.
 */
import {
  confluentRegistry,
  EscapementError,
  memoryRegistry,
  type Registry,
  serveRegistry,
} from 'escapement';
import { Broker, listen, systemPorts } from 'escapement/testing';
import { APPLICATION_ID, BillingCluster, type InputRecord, PARTITIONS } from './cluster.ts';
import { checkFiles } from './files.ts';
import { type BillingInput, openInput } from './input.ts';
import { judge, type Verdict } from './judge.ts';
import { allRunning, type ReleaseOptions, releaseAndKill } from './kills.ts';
import { type BillingOptions, UsageError } from './options.ts';
import { BillingProcess } from './processes.ts';
import type { ProgressLine } from './progress.ts';
import { seededRandom } from './random.ts';
import type { RunResult } from './report.ts';
import { registerSchemas } from './schemas.ts';
import { GRACE_MS, WINDOW_MS } from './topology.ts';
import { writeInvoices } from './write-jsonl.ts';

const POLL_MS = 50;
const DRAIN_STALL_MS = 90_000;
const STOP_ORDER_MS = 120_000;
const END_MS = 2_000;
const INTERRUPT_MS = 3_000;
/** Deleting what a run made takes a busy broker some time. */
const CLOSE_MS = 30_000;

/** Thrown inside the run when the user asked for its end. */
class Interrupted extends Error {}

export class BillingRun {
  readonly #options: BillingOptions;
  readonly #progress: ProgressLine;
  readonly #closers: (() => Promise<unknown>)[] = [];
  readonly #processes: BillingProcess[] = [];
  readonly #interruption: Promise<void>;
  #interrupted = false;
  #failure: Error | null = null;
  #onInterrupt: () => void = () => {};

  constructor(options: BillingOptions, progress: ProgressLine) {
    this.#options = options;
    this.#progress = progress;
    this.#interruption = new Promise((resolve) => {
      this.#onInterrupt = resolve;
    });
  }

  /** Ends the run at its next look; what was started is closed by `close`. */
  interrupt(): void {
    this.#interrupted = true;
    this.#onInterrupt();
  }

  /** For `--keep`: resolves at Ctrl-C. */
  async untilInterrupted(): Promise<void> {
    if (this.#options.broker !== null || this.#interrupted) return;
    this.#progress.step('the embedded broker stays up until Ctrl-C');
    await this.#interruption;
  }

  async execute(): Promise<RunResult | 'interrupted'> {
    const bound = this.#interruptionBound();
    try {
      return await Promise.race([this.#execute(), bound.passed]);
    } catch (error) {
      if (this.#interrupted) return 'interrupted';
      throw error;
    } finally {
      bound.cancel();
    }
  }

  /** Passes some time after an interruption: a broker that has gone may hold the run at any await. */
  #interruptionBound() {
    let cancel = (): void => {};
    let isOver = false;
    const passed = new Promise<'interrupted'>((resolve) => {
      void this.#interruption.then(() => {
        if (isOver) return;
        const timer = systemPorts.timers.after(INTERRUPT_MS, () => resolve('interrupted'));
        cancel = () => timer.cancel();
      });
    });
    return {
      passed,
      cancel: () => {
        isOver = true;
        cancel();
      },
    };
  }

  /** Ends what still runs and closes everything that was started, newest first. */
  async close(): Promise<void> {
    await Promise.all(this.#processes.map((process) => this.#end(process)));
    for (const close of this.#closers.splice(0).reverse()) {
      await inTime(close).catch((error: unknown) => this.#progress.step(`while closing: ${error}`));
    }
  }

  async #execute(): Promise<RunResult> {
    checkFiles(this.#options);
    const { broker, registry, registryUrl } = await this.#start();
    const cluster = new BillingCluster(broker);
    await cluster.connect();
    this.#closers.push(() => cluster.close());
    await cluster.prepareTopics();
    if (!this.#options.keep && this.#options.broker !== null) {
      this.#closers.push(() =>
        cluster.removeAll(this.#processes.map(({ instanceId }) => instanceId)),
      );
    }
    await this.#registerSchemas(registry);
    const input = await openInput(this.#options, registry, (line, reason) =>
      this.#progress.step(`${this.#options.input}:${line}: rejected: ${reason}`),
    );

    this.#startProcesses(broker, registryUrl);
    const release = this.#releaseOptions(input, cluster);
    await allRunning(release);
    this.#progress.step(
      `${this.#options.instances} instances bill ${input.total.toLocaleString('en')} events`,
    );
    const from = Date.now();
    const kills = await releaseAndKill(release);
    await this.#drain(cluster, input.total);
    const elapsedMs = Date.now() - from;
    await this.#writeEnds(cluster, input);
    await this.#stopProcesses();

    this.#progress.step('comparing what is committed with a fold of the input');
    const verdict = await judge(broker, input);
    if (this.#options.invoices !== null) writeInvoices(this.#options.invoices, verdict.invoices);
    return this.#result(input, verdict, kills, elapsedMs);
  }

  async #start() {
    const broker = this.#options.broker ?? (await this.#embeddedBroker());
    const registry: Registry =
      this.#options.registry === null
        ? memoryRegistry()
        : confluentRegistry({ host: this.#options.registry });
    let registryUrl = this.#options.registry;
    if (registryUrl === null) {
      const served = await serveRegistry(registry, { port: 0 });
      this.#closers.push(() => served.close());
      registryUrl = served.url;
    }
    return { broker, registry, registryUrl };
  }

  /** The first that is asked of a registry: a wrong URL shows here. */
  async #registerSchemas(registry: Registry): Promise<void> {
    try {
      await registerSchemas(registry);
    } catch (cause) {
      if (!(cause instanceof EscapementError)) throw cause;
      throw new UsageError(`${cause.code}: ${cause.message}.`, { cause });
    }
  }

  async #embeddedBroker(): Promise<string> {
    const broker = new Broker({ ports: systemPorts });
    const listener = await listen(broker, { host: '127.0.0.1', port: 0 });
    this.#closers.push(async () => {
      await listener.close();
      // Sessions of killed processes would keep this one alive until they end.
      broker.close();
    });
    this.#progress.step(`embedded broker at 127.0.0.1:${listener.port}`);
    return `127.0.0.1:${listener.port}`;
  }

  #startProcesses(broker: string, registryUrl: string): void {
    this.#check();
    const args = [
      ...['--broker', broker, '--registry', registryUrl, '--application-id', APPLICATION_ID],
      // A short interval, so that the instances share the work soon; leaving frees the group.
      ...['--heartbeat-interval-ms', '500', '--on-close', 'leave'],
    ];
    for (let i = 1; i <= this.#options.instances; i += 1) {
      const failed = (error: Error): void => {
        this.#failure ??= error;
      };
      const process = new BillingProcess({ instanceId: `billing-${i}`, args, failed });
      this.#processes.push(process);
      process.start();
    }
  }

  #releaseOptions(input: BillingInput, cluster: BillingCluster): ReleaseOptions {
    return {
      input,
      kills: this.#options.kills,
      cluster,
      processes: this.#processes,
      random: seededRandom(this.#options.seed + 1),
      progress: this.#progress,
      check: () => this.#check(),
    };
  }

  #check(): void {
    if (this.#interrupted) throw new Interrupted('interrupted');
    if (this.#failure !== null) throw this.#failure;
  }

  /** Waits until committed steps have read everything; fails when nothing moves for long. */
  async #drain(cluster: BillingCluster, total: number): Promise<void> {
    let last = -1;
    let movedAt = Date.now();
    while (!(await cluster.isDrained())) {
      this.#check();
      const done = await cluster.progress();
      if (done !== last) movedAt = Date.now();
      last = done;
      this.#progress.tick(`${done.toLocaleString('en')} of ${total.toLocaleString('en')} billed`);
      if (Date.now() - movedAt > DRAIN_STALL_MS) {
        throw new Error(`nothing was committed for ${DRAIN_STALL_MS / 1000} s`);
      }
      await systemPorts.timers.sleep(POLL_MS);
    }
  }

  /** One record a partition, without an event, late enough to close every open window. */
  async #writeEnds(cluster: BillingCluster, input: BillingInput): Promise<void> {
    const timestamp = (Math.floor(input.latest / WINDOW_MS) + 1) * WINDOW_MS + GRACE_MS;
    const ends: InputRecord[] = Array.from({ length: PARTITIONS }, (_, partition) => ({
      partition,
      key: null,
      value: null,
      timestamp,
      headers: { 'billing.end': '1' },
    }));
    await cluster.write(ends);
    await this.#drain(cluster, input.total + PARTITIONS);
  }

  async #stopProcesses(): Promise<void> {
    for (const process of this.#processes) {
      const code = await this.#stopInTime(process);
      if (code === 0) continue;
      throw new Error(`${process.instanceId} did not stop well on SIGTERM: ${code}`);
    }
  }

  /** On a broker that stays up a process ends its step and leaves its group, if it can. */
  async #end(process: BillingProcess): Promise<void> {
    if (this.#options.broker !== null) await this.#stopInTime(process, END_MS);
    await process.end();
  }

  async #stopInTime(
    process: BillingProcess,
    limitMs = STOP_ORDER_MS,
  ): Promise<number | null | 'late'> {
    return await new Promise((resolve) => {
      const timer = systemPorts.timers.after(limitMs, () => resolve('late'));
      void process.stop().then((code) => {
        timer.cancel();
        resolve(code);
      });
    });
  }

  #result(input: BillingInput, verdict: Verdict, kills: number, elapsedMs: number): RunResult {
    const { lost, duplicated, wrong } = verdict;
    const events = input.events;
    return {
      broker: this.#options.broker ?? 'embedded',
      events,
      rejected: input.rejected,
      late: verdict.late,
      dead: verdict.dead,
      invoices: verdict.invoices.length,
      kills,
      lost,
      duplicated,
      wrong,
      elapsedMs,
      recordsPerSecond: Math.round((input.total * 1000) / Math.max(1, elapsedMs)),
      isExact: lost + duplicated + wrong === 0 && kills === this.#options.kills,
    };
  }
}

async function inTime(close: () => Promise<unknown>): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const timer = systemPorts.timers.after(CLOSE_MS, () =>
      reject(new Error(`not done within ${CLOSE_MS / 1_000} s`)),
    );
    close()
      .then(() => resolve(), reject)
      .finally(() => timer.cancel());
  });
}
