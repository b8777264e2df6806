/**
 * A topology driven by a test: no broker, no time but the test's, and the production tasks.
 *
 * The test pipes records in and reads what was committed. Java: `TopologyTestDriver`.
 */
import { type Known, refuseUnknown } from '../config/known-options.ts';
import { asEscapementError, EscapementError } from '../errors.ts';
import type { Header } from '../kafka/records/headers.ts';
import { systemPorts } from '../ports.ts';
import { topicsOfUser } from '../runtime/application-plan.ts';
import type { SourceNode } from '../topology/node.ts';
import { CallNotes } from './call-notes.ts';
import { difference } from './difference.ts';
import {
  applicationOf,
  built,
  checkDriverOptions,
  type Driven,
  drivenOf,
  type TestDriverOptions,
  unknownTopic,
  wholeNumber,
} from './driven.ts';
import type { TimedRecord } from './marbles.ts';
import { Patience, stuck } from './patience.ts';
import { type Pattern, patterns } from './patterns.ts';
import { type Deed, Replay } from './replay.ts';
import {
  checkTopicSerdes,
  encoded,
  partitionOfKey,
  prepared,
  type TopicSerdes,
} from './serde-bytes.ts';
import { memoryError, shadowRun } from './shadow-run.ts';
import { TestOutput } from './test-output.ts';
import { type StoresOf, TestKeyValueStore, TestWindowStore } from './test-store.ts';
import type { LoggedRecord } from './topic-logs.ts';
import { closed, type OpenDriver, opened } from './unclosed.ts';

export interface PipeOptions {
  /** Event time in epoch milliseconds. Default: the driver's wall clock. */
  readonly timestampMs?: number;
  /** Default: that of the key as producers choose it; 0 without a key. */
  readonly partition?: number;
  readonly headers?: readonly Header[];
}

const PIPE: Known<PipeOptions> = { timestampMs: true, partition: true, headers: true };

interface Parts {
  readonly options: TestDriverOptions;
  readonly driven: Driven;
  readonly notes: CallNotes;
  readonly openDriver: OpenDriver | null;
}

export class TestDriver {
  readonly #options: TestDriverOptions;
  readonly #driven: Driven;
  readonly #notes: CallNotes;
  /** What warns when the driver is not closed; null: it has nothing to replay. */
  readonly #open: OpenDriver | null;
  /** What the test did. */
  readonly #deeds: Deed[] = [];
  /** What stopped a task: as an instance, the driver works no more, and the test is not replayed. */
  #failure: EscapementError | null = null;
  #isClosed = false;

  /** Schemas that inputs write, to be looked up. */
  readonly #starts: (() => Promise<unknown>)[] = [];
  /** Schemas of what will be read, to be asked for. */
  readonly #readers: (() => Promise<void>)[] = [];

  private constructor({ options, driven, notes, openDriver }: Parts) {
    this.#options = options;
    this.#driven = driven;
    this.#notes = notes;
    this.#open = openDriver;
  }

  /**
   * Builds the topology and asks its registries for the schemas that it writes. Rejects with
   * `TOPOLOGY_INVALID`, `TOPIC_MISMATCH`, `OPTION_INVALID` or what a registry says.
   */
  static async start(options: TestDriverOptions): Promise<TestDriver> {
    checkDriverOptions(options);
    const { stack } = new Error();
    const notes = new CallNotes();
    const driven = await drivenOf(options, (topology) => notes.watched(topology));
    const isReplayed = (options.replay ?? 'on') === 'on';
    const openDriver = isReplayed ? opened(driven.topology.name, stack) : null;
    return new TestDriver({ options, driven, notes, openDriver });
  }

  /**
   * An input topic. `pipe` returns when the record is processed and committed, unless asynchronous
   * work is under way (`idle`), and throws what stops the task. After that, as an instance would have
   * stopped, it throws the same again, and what was committed before can be read.
   */
  input<K, V>(topic: string, serdes: TopicSerdes<K, V>): TestInput<K, V> {
    const source = this.#sourceOf(topic);
    checkTopicSerdes(`input('${topic}')`, serdes);
    this.#starts.push(() => Promise.all([serdes.key, serdes.value].map((s) => s.schemas?.start())));
    const count = this.#driven.application.names.partitions(source.topic);
    const input: TestInput<K, V> = {
      pipeAll: (records) => {
        for (const { key, value, timestampMs } of records) input.pipe(key, value, { timestampMs });
      },
      pipe: (key, value, options = {}) => {
        refuseUnknown('pipe', options, PIPE);
        const bytes = encoded(serdes.key, key);
        const { partition = partitionOfKey(serdes.key, bytes, count) } = options;
        if (!Number.isInteger(partition) || partition < 0 || partition >= count) {
          const text = `Topic '${topic}' has the partitions 0 to ${count - 1}, not ${partition}.`;
          throw new EscapementError('OPTION_INVALID', text, { at: { topic } });
        }
        this.#pipe({
          topic,
          partition,
          key: bytes,
          value: encoded(serdes.value, value),
          timestampMs: options.timestampMs ?? this.#driven.time.now,
          headers: options.headers ?? [],
          task: null,
        });
      },
    };
    return input;
  }

  /** What was committed to a topic, in the order of the steps. */
  output<K, V>(topic: string, serdes: TopicSerdes<K, V>): TestOutput<K, V> {
    const topics = topicsOfUser(this.#driven.topology);
    if (!topics.has(topic)) throw unknownTopic(topic, [...topics]);
    checkTopicSerdes(`output('${topic}')`, serdes);
    this.#readers.push(() => prepared(serdes, this.#driven.drive.logs.records(topic)));
    return new TestOutput(serdes, () => {
      this.#assertIdle();
      return this.#driven.drive.logs.records(topic);
    });
  }

  /** The store of `count` or `aggregate` with that name, with the operator's serdes. */
  keyValueStore<K, V>(name: string, serdes: TopicSerdes<K, V>): TestKeyValueStore<K, V> {
    const stores = this.#storesOf('keyValue', name);
    checkTopicSerdes(`keyValueStore('${name}')`, serdes);
    this.#readers.push(() =>
      prepared(
        serdes,
        stores().flatMap(({ keyValue }) => [...keyValue.get(name)!.entries('committed')]),
      ),
    );
    return new TestKeyValueStore(name, serdes, stores);
  }

  /** The store of `windowedAggregate` with that name, with the operator's serdes. */
  windowStore<K, V>(name: string, serdes: TopicSerdes<K, V>): TestWindowStore<K, V> {
    const stores = this.#storesOf('window', name);
    checkTopicSerdes(`windowStore('${name}')`, serdes);
    this.#readers.push(() =>
      prepared(
        serdes,
        stores().flatMap(({ window }) => [...window.get(name)!.entries('committed')]),
      ),
    );
    return new TestWindowStore(name, serdes, stores);
  }

  /**
   * Stream time of the task that reads a partition of an input topic: the latest event time of what
   * it has committed, epoch milliseconds; -1 before any record.
   */
  streamTime(topic: string, partition = 0): number {
    const reader = this.#driven.drive.readerOf({ topic, partition });
    if (reader === undefined) throw unknownTopic(topic, this.#driven.application.inputTopics);
    this.#assertIdle();
    return reader.streamTime;
  }

  /**
   * Waits for asynchronous work, and asks the registries for the schemas of all inputs, outputs and
   * stores that the test has named; the driver's clock does not move meanwhile. Rejects with
   * `TEST_DRIVER_BUSY` when work does not end within 5 s of real time, of which only those count in
   * which the process runs.
   */
  async idle(): Promise<void> {
    this.#deeds.push({ kind: 'idle' });
    const patience = new Patience();
    for (const start of this.#starts) await start();
    this.#driven.drive.allow();
    for (this.#run(); !this.#driven.drive.isDone; this.#run()) {
      patience.waitedMs();
      await systemPorts.timers.turn();
    }
    for (const prepare of this.#readers) await prepare();
  }

  /** Moves the wall clock by 0 ms or more; time limits that pass meanwhile expire. */
  advance(ms: number): void {
    wholeNumber('advance', ms, 0);
    this.#deeds.push({ kind: 'advance', ms });
    this.#driven.time.advance(ms);
    this.#driven.drive.allow();
    this.#run();
  }

  /**
   * Ends the test, and replays it: rejects with `REPLAY_DIFFERS` naming the pattern and the first
   * record that differs, or with `MEMORY_ACROSS_RECORDS` naming the operators that remember, and what
   * to use instead. A test in which a task failed is not replayed.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#forget();
    if (this.#failure === null) await this.idle();
    this.#isClosed = true;
    this.#driven.drive.release();
    if (this.#failure !== null || this.#options.replay === 'off') return;
    const { seed = 1, replays = 5, shadow = 'on' } = this.#options;
    const found = shadow === 'on' ? shadowRun(this.#notes, () => built(this.#options)) : [];
    for (const pattern of patterns(seed, replays)) await this.#replay(pattern, found);
    if (found.length > 0) throw memoryError(found);
  }

  /** `await using driver = await TestDriver.start(…)` closes it at the end of the block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #forget(): void {
    if (this.#open !== null) closed(this.#open);
  }

  async #replay(pattern: Pattern, suspects: readonly string[]): Promise<void> {
    const { topology, application, drive: original } = this.#driven;
    const { drive, time } = await drivenOf(this.#options);
    const head = `Replayed with ${pattern.name}, the test`;
    try {
      const restart = () => applicationOf(this.#options);
      await new Replay({ drive, time, pattern, restart }).run(this.#deeds);
    } catch (cause) {
      const { message } = asEscapementError(cause);
      throw new EscapementError('REPLAY_DIFFERS', `${head} failed: ${message}`, { cause });
    }
    const changelogs = application.tasks.flatMap((task) => task.changelogs);
    const found = difference(
      {
        topology,
        topics: [...application.repartitionTopics, ...topicsOfUser(topology)],
        changelogs: [...new Set(changelogs.map(({ topic }) => topic))],
      },
      original.logs,
      drive.logs,
    );
    if (found === null) return;
    throw new EscapementError(
      'REPLAY_DIFFERS',
      `${head} left something else. ${found}\nWhat a record leaves must follow from the input and ` +
        `the stores alone: look for ${suspects.length === 0 ? HIDDEN : suspects.join('\n')}`,
    );
  }

  #pipe(record: LoggedRecord): void {
    if (this.#isClosed) throw new EscapementError('CLOSED', 'The test driver was closed.');
    this.#deeds.push({ kind: 'pipe', record });
    if (this.#open !== null) this.#open.isUsed = true;
    this.#driven.drive.logs.append(record);
    this.#driven.drive.allow();
    this.#run();
  }

  #run(): void {
    if (this.#failure !== null) throw this.#failure;
    try {
      this.#driven.drive.run();
    } catch (cause) {
      this.#failure = asEscapementError(cause);
      // A test in which a task failed is not replayed anyway.
      this.#forget();
      throw this.#failure;
    }
  }

  #storesOf(kind: 'keyValue' | 'window', name: string): StoresOf {
    const { tasks } = this.#driven.drive;
    const owners = tasks.filter(({ stores }) => stores[kind].has(name));
    if (owners.length > 0) {
      return () => {
        this.#assertIdle();
        return owners.map(({ stores }) => stores);
      };
    }
    const known = tasks.flatMap(({ stores }) => [...stores[kind].keys()]);
    const text = `The topology has no ${kind === 'window' ? 'window' : 'key-value'} store '${name}'`;
    const listed = [...new Set(known)].join(', ') || 'none';
    throw new EscapementError('OPTION_INVALID', `${text}; it has: ${listed}.`);
  }

  #assertIdle(): void {
    if (this.#failure === null && !this.#driven.drive.isDone) throw stuck();
  }

  #sourceOf(topic: string): SourceNode {
    const sources = this.#driven.topology.nodes.filter(
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

const HIDDEN = 'variables outside of them, clocks and randomness.';

export interface TestInput<K, V> {
  /** Pipes records one after the other, each at its event time. */
  pipeAll(records: Iterable<TimedRecord<K, V>>): void;
  pipe(key: K | null, value: V | null, options?: PipeOptions): void;
}
