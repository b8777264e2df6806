/**
 * Instances over an embedded broker in this process, each behind a wire; what they committed is read
 * from outside by a reader that shares nothing with the framework.
 */
import { Broker } from '../../src/broker/broker.ts';
import { brokerTransport } from '../../src/broker/in-process.ts';
import type { BrokerOptions } from '../../src/broker/options.ts';
import { type Listener, listen } from '../../src/broker/tcp.ts';
import { count, long, string, to, topology } from '../../src/index.ts';
import { deleteRecords } from '../../src/kafka/protocol/delete-records.ts';
import { type Ports, systemPorts } from '../../src/ports.ts';
import { type Application, type RunOptions, run } from '../../src/run.ts';
import type { Topology } from '../../src/topology/node.ts';
import { type RawPartition, type RawRecord, readTopic } from '../../topologies/billing/raw-log.ts';
import { Client } from '../broker/client.ts';
import { steadyPorts } from './steady-time.ts';
import { Wire } from './wire.ts';

/** No measure of anything. Where a rule is broken, waiting in vain is how it may show. */
const WAIT_MS = process.env.ESCAPEMENT_MUTANT === undefined ? 60_000 : 15_000;
const POLL_MS = 5;

export const text = string();

/** `[key, value, timestamp]`; every record has a batch of its own. */
export type Row = readonly [key: string, value: string, timestamp?: number];

/** Half of the greatest random time, always: markers come when `markerDelayMs` has passed. */
const brokerPorts: Ports = {
  ...steadyPorts,
  random: { ...steadyPorts.random, fraction: () => 0.5 },
};

export class Lab {
  readonly applicationId = 'app';
  readonly broker: Broker;
  readonly client: Client;
  readonly #instances: { readonly application: Application; readonly wire: Wire }[] = [];
  /** Of nodes other than the first. */
  readonly #clients = new Map<number, Client>();
  /** One per node. */
  readonly #listeners: Listener[] = [];
  #moment = 0;

  private constructor(options: Partial<BrokerOptions>) {
    this.broker = new Broker({ markerDelayMs: 1, ...options, ports: brokerPorts });
    this.client = new Client(this.broker, 'outsider');
  }

  /** A broker with topics of one partition, or as many as are given. */
  static async open(
    topics: Readonly<Record<string, number>>,
    options: Partial<BrokerOptions> = {},
  ): Promise<Lab> {
    const lab = new Lab(options);
    for (const { id: node } of lab.broker.nodes()) {
      lab.#listeners.push(await listen(lab.broker, { host: '127.0.0.1', port: 0, node }));
    }
    for (const [name, partitions] of Object.entries(topics)) {
      lab.client.createTopic(name, partitions);
    }
    return lab;
  }

  wire(): Wire {
    return new Wire(brokerTransport(this.broker), () => {
      this.#moment += 1;
      return this.#moment;
    });
  }

  /** Starts an instance. What ends it is asked of the application (`stopped`). */
  async start(
    built: Topology | { build(): Topology },
    wire: Wire,
    options: Partial<RunOptions> = {},
  ): Promise<Application> {
    const application = await run(built, {
      applicationId: this.applicationId,
      instanceId: 'one',
      kafka: { transport: wire },
      signals: 'ignore',
      sessionTimeoutMs: 6_000,
      heartbeatIntervalMs: 100,
      transactionTimeoutMs: 6_000,
      stopTimeoutMs: 2_000,
      rebalanceTimeoutMs: 10_000,
      ports: steadyPorts,
      ...options,
    });
    application.stopped().catch(() => {});
    this.#instances.push({ application, wire });
    return application;
  }

  /** Starts an instance that has one task: the error that ends it, or `running`. */
  async outcome(built: { build(): Topology }, options: Partial<RunOptions> = {}): Promise<unknown> {
    let started = (_: 'running'): void => {};
    const running = new Promise<'running'>((resolve) => {
      started = resolve;
    });
    const listener = { taskStarted: () => started('running') };
    const application = await this.start(built, this.wire(), { ...options, listener });
    const ended = application.stopped().catch((error: unknown) => error);
    return Promise.race([running, ended]);
  }

  write(topic: string, rows: readonly Row[], partition = 0): void {
    const leader = this.broker.topics.partition(topic, partition)?.leader ?? 0;
    const client = this.#clientOf(leader);
    for (const { key, timestamp, values } of runsOf(rows)) {
      const { errorCode } = client.produce(topic, partition, { values, key, timestamp });
      if (errorCode !== 0) throw new Error(`produce to ${topic}: error ${errorCode}`);
    }
  }

  /** Deletes what is below the offset. */
  truncate(topic: string, offset: number): void {
    const topics = [{ name: topic, partitions: [{ partitionIndex: 0, offset }] }];
    const answer = this.client.ask(deleteRecords, 2, { topics, timeoutMs: 1_000 });
    const errorCode = answer.topics[0]?.partitions[0]?.errorCode;
    if (errorCode !== 0) throw new Error(`records of ${topic} were not deleted: ${errorCode}`);
  }

  #clientOf(node: number): Client {
    if (node === 0) return this.client;
    const known = this.#clients.get(node) ?? new Client(this.broker, 'outsider', node);
    this.#clients.set(node, known);
    return known;
  }

  /** Offset and metadata of the group, -1 without one; what a transaction holds back is not seen. */
  offset(topic = 'in', partition = 0): { offset: number; metadata: string } {
    const found = this.broker.groups.find(this.applicationId)?.offsets.find(topic, partition);
    return { offset: found?.offset ?? -1, metadata: found?.metadata ?? '' };
  }

  /** Waits until a committed step has passed this offset. */
  async reached(offset: number, topic = 'in', partition = 0): Promise<void> {
    await until(
      () => this.offset(topic, partition).offset >= offset,
      () => `${topic}-${partition} is at ${this.offset(topic, partition).offset}, not ${offset}`,
    );
    await until(
      () => this.broker.listTransactions().every(({ state }) => !state.startsWith('Prepare')),
      () => 'transactions do not end',
    );
  }

  async read(topic: string): Promise<RawPartition[]> {
    return readTopic(`127.0.0.1:${this.#listeners[0]!.port}`, topic);
  }

  /** Committed records, partition after partition, as `key=value`. */
  async committed(topic: string, show: (value: Buffer) => string = asLong): Promise<string[]> {
    const partitions = await this.read(topic);
    return partitions.flatMap((partition) => partition.committed.map((each) => shown(each, show)));
  }

  /** What is committed in the output and the changelog of `counting`. */
  async counts(): Promise<{ output: string[]; changelog: string[] }> {
    const changelog = `${this.applicationId}-counts-changelog`;
    return { output: await this.committed('out'), changelog: await this.committed(changelog) };
  }

  async close(): Promise<void> {
    const alive = this.#instances.filter(({ wire }) => !wire.isDead);
    await Promise.all(alive.map(({ application }) => application.stop()));
    for (const listener of this.#listeners) await listener.close();
    this.broker.close();
  }
}

function shown({ key, value }: RawRecord, show: (value: Buffer) => string): string {
  return `${key}=${value === null ? 'null' : show(value)}`;
}

export function asLong(value: Buffer): string {
  return String(value.readBigInt64BE());
}

export function asText(value: Buffer): string {
  return value.toString();
}

/** Counts records by key: store `counts`, output `out`. */
export function counting() {
  const app = topology('count');
  app
    .stream('in', { key: text, value: text })
    .pipe(count({ name: 'counts', key: text }), to('out', { key: text, value: long() }));
  return app;
}

/** What a plain fold of the rows gives, in both topics of `counting`. */
export function folded(rows: readonly Row[]): { output: string[]; changelog: string[] } {
  const counts = new Map<string, number>();
  const lines = rows.map(([key]) => {
    counts.set(key, (counts.get(key) ?? 0) + 1);
    return `${key}=${counts.get(key)}`;
  });
  return { output: lines, changelog: lines };
}

export async function until(holds: () => boolean, otherwise: () => string): Promise<void> {
  const deadline = performance.now() + WAIT_MS;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`${otherwise()} after ${WAIT_MS} ms`);
    await systemPorts.timers.sleep(POLL_MS);
  }
}

/** Neighbours with one key and time: one batch each, which a fetch returns as a whole. */
function runsOf(rows: readonly Row[]) {
  const runs: { key: Row[0]; timestamp: number; values: Row[1][] }[] = [];
  for (const [key, value, timestamp = 1_000] of rows) {
    const last = runs.at(-1);
    if (last?.key === key && last.timestamp === timestamp) last.values.push(value);
    else runs.push({ key, timestamp, values: [value] });
  }
  return runs;
}
