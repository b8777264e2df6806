/**
 * A topology driven by a test: no broker, no time but the test's, and the production tasks.
 *
 * The test pipes records in and reads what was committed. Java: `TopologyTestDriver`.
 */
import { EscapementError } from '../errors.ts';
import type { Header } from '../kafka/records/headers.ts';
import { murmur2, partitionOf } from '../kafka/records/murmur2.ts';
import { systemPorts } from '../ports.ts';
import {
  type ApplicationPlan,
  planOver,
  startSerdes,
  topicsOfUser,
} from '../runtime/application-plan.ts';
import type { SourceNode, Topology } from '../topology/node.ts';
import { DRIVER_APPLICATION, Drive, driverOptions } from './drive.ts';
import { ManualTime } from './manual-time.ts';
import { encoded, type TopicSerdes } from './serde-bytes.ts';
import { TestOutput } from './test-output.ts';

export interface TestDriverOptions {
  /** Makes the topology; called once more for every replay, which shares no objects with the test. */
  readonly topology: () => Topology | { build(): Topology };
  /** Partitions by topic, of inputs, outputs and dead-letter topics. Default: 1 each. */
  readonly partitions?: Readonly<Record<string, number>>;
  /** Wall clock at the start, epoch milliseconds. Default 0. It moves by `advance` alone. */
  readonly startMs?: number;
}

export interface PipeOptions {
  /** Event time in epoch milliseconds. Default: the driver's wall clock. */
  readonly timestampMs?: number;
  /** Default: that of the key as producers choose it; 0 without a key. */
  readonly partition?: number;
  readonly headers?: readonly Header[];
}

/** Real time after which work that is under way counts as stuck. */
const IDLE_LIMIT_MS = 5_000;

export class TestDriver {
  readonly #topology: Topology;
  readonly #application: ApplicationPlan;
  readonly #time: ManualTime;
  readonly #drive: Drive;

  private constructor(
    options: TestDriverOptions,
    topology: Topology,
    application: ApplicationPlan,
  ) {
    this.#topology = topology;
    this.#application = application;
    this.#time = new ManualTime(options.startMs ?? 0);
    this.#drive = new Drive({ application, options: driverOptions(), ports: this.#time.ports(1) });
  }

  /**
   * Builds the topology and asks its registries for the schemas that it writes. Rejects with
   * `TOPOLOGY_INVALID`, `TOPIC_MISMATCH` or what a registry says.
   */
  static async start(options: TestDriverOptions): Promise<TestDriver> {
    const made = options.topology();
    const topology = 'build' in made ? made.build() : made;
    const partitions = new Map<string, number>();
    for (const topic of topicsOfUser(topology))
      partitions.set(topic, options.partitions?.[topic] ?? 1);
    const schemas = await startSerdes(topology);
    const application = planOver(topology, DRIVER_APPLICATION, partitions, schemas);
    return new TestDriver(options, topology, application);
  }

  /**
   * Pipes one record into an input topic; returns when it is processed and committed, unless
   * asynchronous work is under way (`idle`). Throws what stops the task.
   */
  input<K, V>(topic: string, serdes: TopicSerdes<K, V>): TestInput<K, V> {
    const source = this.#sourceOf(topic);
    const count = this.#application.names.partitions(source.topic);
    return {
      pipe: (key, value, options = {}) => {
        const bytes = encoded(serdes.key, key);
        const trailer = serdes.key.partitionTrailerBytes ?? 0;
        const own =
          bytes === null ? 0 : partitionOf(murmur2(bytes, 0, bytes.length - trailer), count);
        this.#drive.logs.append({
          topic,
          partition: options.partition ?? own,
          key: bytes,
          value: encoded(serdes.value, value),
          timestampMs: options.timestampMs ?? this.#time.now,
          headers: options.headers ?? [],
          task: null,
        });
        this.#drive.run();
      },
    };
  }

  /** What was committed to a topic, in the order of the steps. */
  output<K, V>(topic: string, serdes: TopicSerdes<K, V>): TestOutput<K, V> {
    const topics = topicsOfUser(this.#topology);
    if (!topics.has(topic)) throw unknownTopic(topic, [...topics]);
    return new TestOutput(serdes, () => {
      this.#assertIdle();
      return this.#drive.logs.records(topic);
    });
  }

  /** Waits for asynchronous work and schemas; the driver's clock does not move meanwhile. */
  async idle(): Promise<void> {
    const { clock, timers } = systemPorts;
    const deadline = clock.monotonic() + IDLE_LIMIT_MS;
    for (this.#drive.run(); !this.#drive.isDone; this.#drive.run()) {
      if (clock.monotonic() > deadline) throw stuck();
      await timers.turn();
    }
  }

  /** Moves the wall clock; time limits that pass meanwhile expire. */
  advance(ms: number): void {
    this.#time.advance(ms);
    this.#drive.run();
  }

  #assertIdle(): void {
    if (!this.#drive.isDone) throw stuck();
  }

  #sourceOf(topic: string): SourceNode {
    const sources = this.#topology.nodes.filter(
      (node): node is SourceNode => node.kind === 'source' && node.repartition === null,
    );
    const found = sources.find((node) => node.topic === topic);
    if (found !== undefined) return found;
    throw unknownTopic(
      topic,
      sources.map((node) => node.topic),
    );
  }
}

export interface TestInput<K, V> {
  pipe(key: K | null, value: V | null, options?: PipeOptions): void;
}

function unknownTopic(topic: string, known: readonly string[]): EscapementError {
  const text = `The topology does not use the topic '${topic}'; it has ${known.join(', ')}.`;
  return new EscapementError('OPTION_INVALID', text, { at: { topic } });
}

function stuck(): EscapementError {
  return new EscapementError(
    'TEST_DRIVER_BUSY',
    'Asynchronous work of the topology is under way: await driver.idle() before reading. If that is ' +
      'what failed, the work waits for something that does not come; `advance` lets time limits expire.',
  );
}
