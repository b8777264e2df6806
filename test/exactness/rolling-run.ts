/**
 * Several instances of a counting application under a steady load, restarted one after the other:
 * who ran which task when, what was undone, and whether every record was counted once.
 */
import { Kafka, logLevel, type Producer } from 'kafkajs';
import { count, long, run, string, to, topology } from '../../src/index.ts';
import { decodeResponse } from '../../src/kafka/protocol/codec.ts';
import { endTxn } from '../../src/kafka/protocol/end-txn.ts';
import { initProducerId } from '../../src/kafka/protocol/init-producer-id.ts';
import { joinGroup } from '../../src/kafka/protocol/join-group.ts';
import { kafkajsTransport } from '../../src/kafka/transport/kafkajs.ts';
import { systemPorts } from '../../src/ports.ts';
import type { Application, RunOptions } from '../../src/run.ts';
import { type Log, silentLog } from '../../src/telemetry/log.ts';
import { readSettled } from '../../topologies/billing/raw-log.ts';
import { createTopics } from '../topics.ts';
import { until } from './count-run.ts';
import { Wire } from './wire.ts';

const LOAD_PAUSE_MS = 10;
const ROWS_AT_ONCE = 3;

export interface RollingOptions {
  readonly membership: 'dynamic' | 'static';
  readonly instances: number;
  readonly partitions: number;
}

/** A task ran in an instance, from its start to its end. */
interface Stay {
  readonly task: string;
  /** The name that a restart keeps. */
  readonly instance: string;
}

/** What one restart did to one task. */
interface Restarted {
  readonly instance: string;
  readonly owned: readonly string[];
}

class Process {
  readonly name: string;
  readonly wire: Wire;
  readonly started: string[] = [];
  /** Transactional ids taken, each time that the broker agreed. */
  taken = 0;
  application: Application | null = null;
  state: 'up' | 'down' = 'up';

  constructor(name: string, wire: Wire) {
    this.name = name;
    this.wire = wire;
    wire.between = async ({ request }, pass) => {
      const answer = await pass();
      if (request.apiKey === initProducerId.key) {
        const { errorCode } = decodeResponse(initProducerId, request.apiVersion, answer);
        if (errorCode === 0) this.taken += 1;
      }
      return answer;
    };
  }

  get tasks(): readonly string[] {
    return this.application?.runningTasks ?? [];
  }
}

let runs = 0;

export class RollingRun {
  readonly #options: RollingOptions;
  readonly #bootstrap: string;
  readonly #applicationId: string;
  readonly #input: string;
  readonly #output: string;
  readonly #producer: Producer;
  readonly #kafka: Kafka;
  /** All that ever ran, the living ones among them. */
  readonly processes: Process[] = [];
  readonly stays: Stay[] = [];
  readonly restarts: Restarted[] = [];
  readonly failures: unknown[] = [];
  /** What instances warned of. */
  readonly warnings: string[] = [];
  readonly #written: number[];
  #load: Promise<void> | null = null;
  #loading = false;
  #moment = 0;

  constructor(bootstrap: string, options: RollingOptions) {
    runs += 1;
    this.#options = options;
    this.#bootstrap = bootstrap;
    this.#applicationId = `rolling-${process.pid}-${runs}`;
    this.#input = `${this.#applicationId}-in`;
    this.#output = `${this.#applicationId}-out`;
    this.#written = new Array<number>(options.partitions).fill(0);
    this.#kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING });
    this.#producer = this.#kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  }

  async open(): Promise<void> {
    const { partitions, instances } = this.#options;
    const topics = [this.#input, this.#output].map((topic) => ({
      topic,
      numPartitions: partitions,
    }));
    await createTopics(this.#bootstrap, topics);
    await this.#producer.connect();
    for (let i = 0; i < instances; i++) await this.#start(`i${i}`);
    await this.balanced();
    this.#loading = true;
    this.#load = this.#keepWriting();
    await this.committing();
    // Who had what before is not the restarts' doing, nor is the last JoinGroup of the beginning.
    this.stays.splice(0);
    for (const process of this.#alive) {
      const { name, tasks, wire, started } = process;
      for (const task of tasks) this.stays.push({ task, instance: name });
      wire.journal.splice(0);
      started.splice(0);
      process.taken = 0;
    }
  }

  /** Stops each instance in turn and starts it again, waiting until the group is whole. */
  async restartAll(): Promise<void> {
    for (let i = 0; i < this.#options.instances; i++) {
      const name = `i${i}`;
      const old = this.#alive.find((process) => process.name === name)!;
      this.restarts.push({ instance: name, owned: [...old.tasks] });
      await old.application!.stop();
      old.state = 'down';
      if (this.#options.membership === 'dynamic') await this.balanced();
      await this.#start(name);
      await this.balanced();
      await this.committing();
    }
  }

  /** One more instance comes and goes, again and again, before the group has settled. */
  async storm(times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      const guest = await this.#start(`guest${i}`);
      // Now and then with a task, now and then before it has got one.
      if (i % 2 === 0) await this.committing();
      await guest.application!.stop();
      guest.state = 'down';
      await this.committing();
    }
    await this.balanced();
  }

  /** Ends the load and waits until all of it is counted. */
  async drained(): Promise<void> {
    this.#loading = false;
    await this.#load;
    await until(async () => {
      const offsets = await this.#committed();
      return this.#written.every((written, partition) => (offsets[partition] ?? -1) >= written);
    }, 'the input is not drained');
  }

  async close(): Promise<void> {
    this.#loading = false;
    await this.#load;
    await Promise.all(this.#alive.map(({ application }) => application?.stop()));
    await this.#producer.disconnect();
  }

  /** Until every task runs, each instance with its share. */
  async balanced(): Promise<void> {
    const { partitions } = this.#options;
    const view = () => this.#alive.map(({ name, tasks }) => `${name}: ${tasks.join(' ')}`);
    await until(
      () => {
        const sizes = this.#alive.map(({ tasks }) => tasks.length);
        const even = Math.max(...sizes) - Math.min(...sizes) <= 1;
        return even && sizes.reduce((sum, size) => sum + size, 0) === partitions;
      },
      () => `not balanced: ${view().join(', ')}`,
    );
  }

  /** Until every partition has got on, so that each restart finds steps under way. */
  async committing(): Promise<void> {
    const before = await this.#committed();
    await until(async () => {
      const now = await this.#committed();
      return now.length > 0 && now.every((offset, i) => offset > (before[i] ?? 0));
    }, 'a partition does not get on');
  }

  /** How often each task changed its instance. */
  moves(): ReadonlyMap<string, number> {
    const last = new Map<string, string>();
    const moves = new Map<string, number>();
    for (const { task, instance } of this.stays) {
      const before = last.get(task);
      last.set(task, instance);
      if (before === undefined) moves.set(task, 0);
      else if (before !== instance) moves.set(task, moves.get(task)! + 1);
    }
    return moves;
  }

  /** How often each task had to move: the instance that ran it left the group. */
  necessary(): ReadonlyMap<string, number> {
    const counts = new Map([...this.moves().keys()].map((task) => [task, 0]));
    if (this.#options.membership === 'static') return counts;
    for (const { owned } of this.restarts) {
      for (const task of owned) counts.set(task, counts.get(task)! + 1);
    }
    return counts;
  }

  /** Requests that undo a step, and those that take a task over again which was there already. */
  undone(): { readonly aborts: number; readonly retaken: number } {
    let aborts = 0;
    let retaken = 0;
    for (const { wire, started, taken } of this.processes) {
      aborts += wire.bodies(endTxn).filter(({ committed }) => !committed).length;
      retaken += taken - started.length;
    }
    return { aborts, retaken };
  }

  /** JoinGroup requests since the first start of all. */
  joins(): number {
    return this.processes.reduce((sum, { wire }) => sum + wire.sent(joinGroup).length, 0);
  }

  /** Counts by key and records of undone transactions, as a reader from outside finds them. */
  async outcome(): Promise<{ readonly counts: unknown; readonly aborted: number }> {
    const partitions = await readSettled(this.#bootstrap, this.#output);
    const counts = new Map<string, number[]>();
    for (const { committed } of partitions) {
      for (const { key, value } of committed) {
        const name = String(key);
        const list = counts.get(name) ?? [];
        list.push(Number(value!.readBigInt64BE()));
        counts.set(name, list);
      }
    }
    const aborted = partitions.reduce((sum, partition) => sum + partition.aborted, 0);
    return { counts, aborted };
  }

  /** One, two, three … for the key of each partition. */
  expected(): unknown {
    return new Map(
      this.#written.map((written, partition) => [
        `k${partition}`,
        Array.from({ length: written }, (_, i) => i + 1),
      ]),
    );
  }

  get #alive(): Process[] {
    return this.processes.filter(({ state }) => state === 'up');
  }

  async #start(name: string): Promise<Process> {
    const inner = kafkajsTransport(
      { clientId: this.#applicationId, brokers: [this.#bootstrap] },
      { ports: systemPorts, log: silentLog },
    );
    const process = new Process(
      name,
      new Wire(inner, () => {
        this.#moment += 1;
        return this.#moment;
      }),
    );
    this.processes.push(process);
    const text = string();
    const app = topology('rolling');
    app
      .stream(this.#input, { key: text, value: text })
      .pipe(count({ name: 'counts', key: text }), to(this.#output, { key: text, value: long() }));
    const options: RunOptions = {
      applicationId: this.#applicationId,
      instanceId: this.#options.membership === 'static' ? name : null,
      kafka: { transport: process.wire },
      signals: 'ignore',
      log: this.#log(name),
      // None of them may end here: a machine that stands still would undo a step, or ask twice.
      sessionTimeoutMs: 60_000,
      heartbeatIntervalMs: 200,
      stopTimeoutMs: 50_000,
      transactionTimeoutMs: 60_000,
      rebalanceTimeoutMs: 120_000,
      listener: {
        taskStarted: (task) => {
          process.started.push(task);
          this.stays.push({ task, instance: name });
        },
      },
    };
    const application = await run(app, options);
    application.stopped().catch((error: unknown) => this.failures.push(error));
    process.application = application;
    return process;
  }

  #log(name: string): Log {
    const warn = (fields: object, text: string): void => {
      const { reason = '' } = fields as { reason?: string };
      this.warnings.push(`${name}: ${text} ${reason}`);
    };
    return { ...silentLog, warn, error: warn };
  }

  async #keepWriting(): Promise<void> {
    while (this.#loading) {
      const messages = this.#written.flatMap((_, partition) =>
        Array.from({ length: ROWS_AT_ONCE }, () => ({
          partition,
          key: `k${partition}`,
          value: 'x',
        })),
      );
      await this.#producer.send({ topic: this.#input, acks: -1, messages });
      for (let i = 0; i < this.#written.length; i++) this.#written[i]! += ROWS_AT_ONCE;
      await systemPorts.timers.sleep(LOAD_PAUSE_MS);
    }
  }

  async #committed(): Promise<number[]> {
    const admin = this.#kafka.admin();
    await admin.connect();
    try {
      const [input] = await admin
        .fetchOffsets({ groupId: this.#applicationId, topics: [this.#input] })
        .catch(() => []);
      const offsets: number[] = [];
      for (const { partition, offset } of input?.partitions ?? []) {
        offsets[partition] = Number(offset);
      }
      return offsets;
    } finally {
      await admin.disconnect();
    }
  }
}
