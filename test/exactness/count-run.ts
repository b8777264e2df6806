/**
 * A counting application under test: input written, instances started over faulty transports, and
 * the committed outcome judged by a reader that shares nothing with the framework.
 */
import { Kafka, logLevel } from 'kafkajs';
import { count, long, run, string, to, topology } from '../../src/index.ts';
import { type FaultPlan, FaultyTransport } from '../../src/kafka/transport/faulty.ts';
import { kafkajsTransport } from '../../src/kafka/transport/kafkajs.ts';
import { systemPorts } from '../../src/ports.ts';
import type { Application, RunOptions } from '../../src/run.ts';
import type { RuntimeListener } from '../../src/runtime/listener.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { readSettled } from '../../topologies/billing/raw-log.ts';
import { createTopics } from '../topics.ts';

const KEYS = ['anna', 'bert', 'carl', 'dora', 'emil'];
const WAIT_MS = 90_000;
const POLL_MS = 15;

export interface Committed {
  /** `key=count` in the order of the output log. */
  readonly output: readonly string[];
  /** `key=count` in the order of the changelog. */
  readonly changelog: readonly string[];
  readonly offset: number;
}

let runs = 0;

/** One application with one input partition; every run has its own topics and group. */
export class CountRun {
  readonly applicationId: string;
  readonly input: string;
  readonly output: string;
  readonly #bootstrap: string;
  readonly #kafka: Kafka;
  readonly #alive = new Set<Application>();
  readonly failures: unknown[] = [];
  #written = 0;

  constructor(bootstrap: string) {
    runs += 1;
    this.applicationId = `exact-${process.pid}-${runs}`;
    this.input = `${this.applicationId}-in`;
    this.output = `${this.applicationId}-out`;
    this.#bootstrap = bootstrap;
    this.#kafka = new Kafka({
      clientId: 'count-run',
      brokers: [bootstrap],
      logLevel: logLevel.NOTHING,
    });
  }

  createTopics(): Promise<void> {
    const topics = [this.input, this.output].map((topic) => ({ topic, numPartitions: 1 }));
    return createTopics(this.#bootstrap, topics);
  }

  /** Appends records with keys in a fixed round. */
  async write(records: number): Promise<void> {
    const producer = this.#kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    const messages = Array.from({ length: records }, (_, i) => {
      const n = this.#written + i;
      return { partition: 0, key: KEYS[(n * 7) % KEYS.length]!, value: `v${n}` };
    });
    await producer.send({ topic: this.input, acks: -1, messages });
    await producer.disconnect();
    this.#written += records;
  }

  transport(plan?: FaultPlan): FaultyTransport {
    const inner = kafkajsTransport(
      { clientId: this.applicationId, brokers: [this.#bootstrap] },
      { ports: systemPorts, log: silentLog },
    );
    return new FaultyTransport({ inner, timers: systemPorts.timers, ...(plan ? { plan } : {}) });
  }

  /** Starts an instance; what ends it early is kept in `failures`. */
  async start(
    transport: FaultyTransport,
    options: Partial<RunOptions> = {},
    listener: RuntimeListener = {},
  ): Promise<Application> {
    const text = string();
    const app = topology('count');
    app
      .stream(this.input, { key: text, value: text })
      .pipe(count({ name: 'counts', key: text }), to(this.output, { key: text, value: long() }));
    const application = await run(app, {
      applicationId: this.applicationId,
      instanceId: 'one',
      kafka: { transport },
      signals: 'ignore',
      sessionTimeoutMs: 6_000,
      heartbeatIntervalMs: 500,
      transactionTimeoutMs: 5_000,
      stopTimeoutMs: 2_000,
      rebalanceTimeoutMs: 10_000,
      listener,
      ...options,
    });
    this.#alive.add(application);
    // A dead process is not stopped: it waits for answers that never come.
    void transport.stopped.then(() => this.#alive.delete(application));
    application.stopped().catch((error: unknown) => this.failures.push(error));
    return application;
  }

  /** Waits until every written record was read by a committed step. */
  async drained(): Promise<void> {
    await until(async () => (await this.#offset()) >= this.#written, 'the input is not drained');
  }

  async #offset(): Promise<number> {
    const admin = this.#kafka.admin();
    await admin.connect();
    try {
      const [input] = await admin.fetchOffsets({
        groupId: this.applicationId,
        topics: [this.input],
      });
      return Number(input?.partitions[0]?.offset ?? -1);
    } finally {
      await admin.disconnect();
    }
  }

  async committed(): Promise<Committed> {
    const [output] = await readSettled(this.#bootstrap, this.output);
    const changelogTopic = `${this.applicationId}-counts-changelog`;
    const [changelog] = await readSettled(this.#bootstrap, changelogTopic);
    const shown = (record: { key: Buffer | null; value: Buffer | null }): string =>
      `${record.key}=${record.value?.readBigInt64BE()}`;
    return {
      output: output!.committed.map(shown),
      changelog: changelog!.committed.map(shown),
      offset: await this.#offset(),
    };
  }

  /** What a plain fold of the input gives. */
  expected(): Committed {
    const counts = new Map<string, number>();
    const lines = Array.from({ length: this.#written }, (_, n) => {
      const key = KEYS[(n * 7) % KEYS.length]!;
      counts.set(key, (counts.get(key) ?? 0) + 1);
      return `${key}=${counts.get(key)}`;
    });
    return { output: lines, changelog: lines, offset: this.#written };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#alive].map((application) => application.stop()));
  }
}

export async function until(
  holds: () => Promise<boolean> | boolean,
  otherwise: string | (() => string),
): Promise<void> {
  const deadline = performance.now() + WAIT_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) {
      const what = typeof otherwise === 'string' ? otherwise : otherwise();
      throw new Error(`${what} after ${WAIT_MS} ms`);
    }
    await systemPorts.timers.sleep(POLL_MS);
  }
}
