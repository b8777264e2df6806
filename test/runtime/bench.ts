/**
 * One task without a cluster: records go in as fetched chunks, steps come out as the session gets
 * them, and the test decides what becomes of each step.
 */
import { type Options, resolveOptions } from '../../src/config/options.ts';
import type { EscapementError } from '../../src/errors.ts';
import type { Fetcher } from '../../src/kafka/fetch/fetcher.ts';
import { Feed } from '../../src/kafka/fetch/partition-feed.ts';
import type { TransactionalSession } from '../../src/kafka/producer/session.ts';
import type { SessionStep } from '../../src/kafka/producer/step.ts';
import type { Header } from '../../src/kafka/records/headers.ts';
import { parseFetched } from '../../src/kafka/records/parse-fetched.ts';
import type { Ports } from '../../src/ports.ts';
import type { Committed } from '../../src/runtime/committed.ts';
import { Task } from '../../src/runtime/task.ts';
import type { TopicNames } from '../../src/runtime/task-plan.ts';
import { beginRun, type TaskRun } from '../../src/runtime/task-run.ts';
import { TaskStores } from '../../src/runtime/task-stores.ts';
import { type Log, silentLog } from '../../src/telemetry/log.ts';
import { Metric } from '../../src/telemetry/metrics.ts';
import { batchBytes, recordsOf } from '../../src/testing/record-bytes.ts';
import type { Topology } from '../../src/topology/node.ts';
import { stages } from '../../src/topology/stages.ts';
import { subTopologies } from '../../src/topology/sub-topologies.ts';
import { StepIds } from '../../src/transaction/step-id.ts';
import { steadyPorts } from '../exactness/steady-time.ts';

export interface Given {
  readonly key?: string | Buffer | null;
  readonly value?: string | Buffer | null;
  readonly at?: number;
  readonly headers?: readonly Header[];
}

export interface Written {
  readonly partition: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly at: number;
  readonly headers: readonly Header[];
}

/** A step that the task asked its session to commit. */
export interface Asked {
  readonly step: SessionStep;
  confirm(): void;
  refuse(error: EscapementError): void;
}

export interface BenchOptions {
  readonly partition?: number;
  /** Partitions of topics that are written; 1 unless named. */
  readonly partitions?: Readonly<Record<string, number>>;
  readonly options?: Partial<Options>;
  readonly ports?: Ports;
  readonly log?: Log;
  readonly committed?: Committed;
}

export class Bench {
  readonly task: Task;
  readonly stores: TaskStores;
  readonly options: Options;
  readonly steps: Asked[] = [];
  readonly failures: EscapementError[] = [];
  /** The run that the task works with now. */
  run!: TaskRun;
  wakes = 0;
  readonly #feeds = new Map<string, Feed>();
  readonly #ends = new Map<string, number>();

  constructor(built: Topology | { build(): Topology }, given: BenchOptions = {}) {
    const ports = given.ports ?? steadyPorts;
    const [part] = subTopologies('build' in built ? built.build() : built);
    const subTopology = { ...part!, stages: stages(part!) };
    const inputs = part!.sources.map(({ topic }) => ({ topic, partition: given.partition ?? 0 }));
    const plan = {
      id: `${part!.name}_${given.partition ?? 0}`,
      subTopology: part!.name,
      partition: given.partition ?? 0,
      inputs,
      changelogs: [],
    };
    const names: TopicNames = {
      of: (node) => (node.kind === 'repartition' ? node.name : 'topic' in node ? node.topic : ''),
      changelog: (store) => `${store}-changelog`,
      partitions: (topic) => given.partitions?.[topic] ?? (given.partition ?? 0) + 1,
    };
    const options = resolveOptions({ applicationId: 'bench', ...given.options });
    this.options = options;
    this.stores = new TaskStores(subTopology);
    const wake = () => {
      this.wakes += 1;
    };
    const fetcher = {
      add: (topic: string, partition: number, offset: number) =>
        this.#add(topic, partition, offset),
      remove: (feed: Feed) => feed.end(),
    } as unknown as Fetcher;
    this.task = new Task(
      {
        plan,
        session: { commit: (step: SessionStep) => this.#asked(step) } as TransactionalSession,
        stores: this.stores,
        stepIds: new StepIds(ports.random),
        options,
        group: {
          heartbeat: async () => {},
          proof: async () => {},
          step: (run) => run(),
          membership: async () => ({ generation: 1, memberId: 'm', instanceId: null }),
          ownedSince: () => true,
          generation: 1,
        },
        clock: ports.clock,
        processed: new Metric(),
        wake,
        begin: (committed) => {
          this.run = beginRun({
            plan,
            subTopology,
            names,
            stores: this.stores,
            committed,
            options,
            fetcher,
            ports,
            log: given.log ?? silentLog,
            wake,
            failed: (error) => this.failures.push(error),
          });
          return this.run;
        },
      },
      given.committed ?? {
        stepId: 'first',
        offsets: inputs.map(() => 0),
        times: inputs.map(() => -1),
      },
    );
  }

  feed(topic: string): Feed {
    return this.#feeds.get(topic)!;
  }

  /** Appends one chunk to an input; `markers` are offsets behind it that hold no record. */
  put(topic: string, rows: readonly Given[], markers = 0): this {
    const feed = this.feed(topic);
    const from = this.#ends.get(topic) ?? 0;
    const end = from + rows.length + markers;
    const bytes = fetchedBytes(rows, from);
    const parsed = parseFetched(bytes, {
      fetchOffset: from,
      isolation: 'read_committed',
      abortedTransactions: null,
    });
    this.#ends.set(topic, end);
    feed.highWatermark = end;
    feed.lastStableOffset = end;
    feed.put({ ...parsed, nextOffset: end });
    return this;
  }

  /** The answer of the broker that the input holds nothing more. */
  heard(topic: string): this {
    const feed = this.feed(topic);
    feed.lastStableOffset = feed.position;
    feed.highWatermark = feed.position;
    return this;
  }

  /** Processes until nothing is left to do at once. */
  work(): this {
    while (this.task.process(Number.POSITIVE_INFINITY) === 'worked');
    return this;
  }

  /** Starts a commit if anything moved; the step, or null. */
  seal(): Asked | null {
    const before = this.steps.length;
    this.task.commitIfDue(Number.MAX_SAFE_INTEGER / 2);
    this.task.commitIfDue(Number.MAX_SAFE_INTEGER);
    return this.steps.length > before ? this.steps.at(-1)! : null;
  }

  /** Processes, commits, and returns what the committed step wrote to a topic. */
  async step(topic: string): Promise<Written[]> {
    const asked = this.work().seal();
    if (asked === null) return [];
    asked.confirm();
    await this.task.settled();
    return written(asked.step, topic);
  }

  #add(topic: string, partition: number, offset: number): Feed {
    const feed = new Feed({ topic, partition, offset, outOfRange: 'fail', taken: () => {} });
    this.#feeds.set(topic, feed);
    this.#ends.set(topic, offset);
    return feed;
  }

  #asked(step: SessionStep): Promise<void> {
    return new Promise((resolve, reject) => {
      this.steps.push({ step, confirm: resolve, refuse: reject });
    });
  }
}

/** The records of a fetch response, from that offset on. */
export function fetchedBytes(rows: readonly Given[], baseOffset: number): Buffer {
  const records = rows.map(({ key = null, value = null, at = 1_000, headers = [] }) => ({
    key: bytesOf(key),
    value: bytesOf(value),
    timestampMs: at,
    headers,
  }));
  return batchBytes(records, baseOffset);
}

function bytesOf(given: string | Buffer | null): Buffer | null {
  return typeof given === 'string' ? Buffer.from(given) : given;
}

/** What a step writes to a topic, partition after partition. */
export function written(step: SessionStep, topic: string): Written[] {
  return step.outputs
    .filter((output) => output.topic === topic)
    .flatMap(({ partition, batches }) =>
      batches
        .flatMap(recordsOf)
        .map(({ timestampMs, ...record }) => ({ ...record, partition, at: timestampMs })),
    );
}

/** `key=value` with the value as text. */
export function asText({ key, value }: Written): string {
  return `${key}=${value}`;
}

/** `key=value` with the value as a long. */
export function asCount({ key, value }: Written): string {
  return `${key}=${value === null ? 'null' : value.readBigInt64BE()}`;
}
