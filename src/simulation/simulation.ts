/**
 * One simulated run: an embedded broker, processes of an application, faults, then calm, then the
 * verdict. The same seed and options give the same run.
 *
 *   faults ──► calm ──► second half after a restart of all ──► judged
 *
 * While there are faults, most of the input is written and processes die, hang and start again.
 * Then nothing fails any more and the run must come to rest: everything read, nothing open. A part
 * of the input is written to the processes as they are, whose state must be right in memory, and the
 * last part to fresh ones, whose state must be right in the changelogs. Then the bytes are judged.
 */

import { Broker } from '../broker/broker.ts';
import { type Known, refuseMissing, refuseUnknown } from '../config/known-options.ts';
import type { Options } from '../config/options.ts';
import { deleteRecords } from '../kafka/protocol/delete-records.ts';
import { txnOffsetCommit } from '../kafka/protocol/txn-offset-commit.ts';
import { type Log, silentLog } from '../telemetry/log.ts';
import { Cast, type GaveUp, immortal } from './cast.ts';
import { evidenceOf, isInternal } from './evidence-of.ts';
import { History } from './history.ts';
import { InputFeed } from './input-feed.ts';
import { Nemesis } from './nemesis.ts';
import { Network, type Passage, type Strike } from './network.ts';
import { committedLines } from './oracle/committed-lines.ts';
import type { Evidence, Input, StoreRows, Violation } from './oracle/evidence.ts';
import { judge } from './oracle/judge.ts';
import { PrefixReader } from './oracle/prefix-reader.ts';
import { TransactionTrace } from './oracle/transaction-trace.ts';
import { Outsider } from './outsider.ts';
import { type Scenario, scenarioOf } from './scenario.ts';
import { SeededRandom } from './seeded-random.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import type { Tamper } from './tamper.ts';
import { VirtualTime } from './virtual-time.ts';
import type { Workload } from './workload.ts';

export interface SimulationOptions extends Partial<Omit<Scenario, 'seed'>> {
  readonly workload: Workload;
  readonly seed: number;
  /** Default `spread`: over the run, with restarts; `at-once`: all of it before anything runs. */
  readonly writing?: 'spread' | 'at-once';
  /** What somebody does from outside, for cases that no fault brings about. */
  readonly meddle?: (moment: Moment, outsider: Outsider, after: Later) => void;
  /** Codes with which a process may end, besides those of `cast.ts`. */
  readonly mayEnd?: readonly string[];
  /** Whether a process may give up that does not reach the cluster when it starts. Default true. */
  readonly mayFailToStart?: boolean;
  /** Strikes chosen one by one, before those of `faults`. */
  readonly strike?: (passage: Passage) => Strike | null;
  /** Changes the evidence before it is judged: for tests of the oracle. */
  readonly tamper?: Tamper;
  /** Over those of the simulation, whose times are short. */
  readonly options?: Partial<Options>;
  /** Default `hashed`; `kept` keeps a line for everything that happened. */
  readonly history?: 'kept' | 'hashed';
  /** Where a process logs to; default: nowhere. */
  readonly log?: (process: string) => Log;
}

const KNOWN: Known<SimulationOptions> = {
  workload: true,
  seed: true,
  records: true,
  instances: true,
  faultsMs: true,
  nodes: true,
  transactionVersion: true,
  faults: true,
  writing: true,
  meddle: true,
  mayEnd: true,
  mayFailToStart: true,
  strike: true,
  tamper: true,
  options: true,
  history: true,
  log: true,
};

/** Before anything runs; when faults are over; when all were stopped and none is started again. */
export type Moment = 'before' | 'calm' | 'between';

type Later = (delayMs: number, act: () => void) => void;

export interface SimulationResult {
  readonly workload: string;
  readonly scenario: Scenario;
  /** Empty: the run was exact. Each begins with the name of its check (`oracle/judge.ts`). */
  readonly violations: readonly string[];
  /** Processes that ended without a reason; they stand among the violations, too. */
  readonly gaveUp: readonly GaveUp[];
  /** What must be the same in every other run over this input (`oracle/committed-lines.ts`). */
  readonly committed: readonly string[];
  /** Faults that struck, and what they led to, by kind: `FAULT_KINDS` and `EFFECT_KINDS`. */
  readonly faults: Readonly<Record<string, number>>;
  readonly events: number;
  /** Of everything that happened, hexadecimal. */
  readonly hash: string;
  readonly virtualMs: number;
  /** With `history: 'kept'`. */
  readonly lines: readonly string[];
}

const APPLICATION_ID = 'app';
/** Parts of the input that are written while there are faults, and after them. */
const UNDER_FAULTS = 0.8;
const AFTER_FAULTS = 0.9;
/**
 * Virtual time in which a calm application must come to rest: less than seven of its sessions, and less
 * than the 30 s after which a request of Kafka clients is given up by default.
 */
const REST_MS_MOST = 20_000;
const LOOK_EVERY_MS = 100;
const SESSION_TIMEOUT_MS = 3_000;
const LATENCY_MS = [0.1, 1.5] as const;

/** Runs one simulation. Rejects only when the simulation itself is broken. */
export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  refuseUnknown('simulate', options, KNOWN);
  refuseMissing('simulate', options, ['workload', 'seed']);
  const run = new SimulatedRun(options);
  await run.play();
  return run.result();
}

class SimulatedRun {
  readonly #given: SimulationOptions;
  readonly #scenario: Scenario;
  readonly #random: SeededRandom;
  readonly #time: VirtualTime;
  readonly #history: History;
  readonly #broker: Broker;
  readonly #outsider: Outsider;
  readonly #feed: InputFeed;
  readonly #nemesis: Nemesis;
  readonly #network: Network;
  readonly #trace = new TransactionTrace();
  readonly #reader = new PrefixReader();
  readonly #violations: Violation[] = [];
  readonly #stores: StoreRows[] = [];
  readonly #casts: Cast[] = [];
  #committed: readonly string[] = [];

  constructor(given: SimulationOptions) {
    this.#given = given;
    this.#scenario = scenarioOf(given);
    const random = new SeededRandom(given.seed);
    const rates = this.#scenario.faults;
    this.#random = random.fork('schedule');
    this.#time = new VirtualTime(random.fork('time'));
    this.#history = new History(given.history);
    this.#broker = new Broker({
      ports: immortal('broker', this.#time, random.fork('broker')),
      nodes: this.#scenario.nodes,
      transactionVersion: this.#scenario.transactionVersion,
      coordinatorLoadMs: rates.coordinatorLoadMs,
      markerDelayMs: rates.markerDelayMs,
    });
    this.#outsider = new Outsider(this.#broker, APPLICATION_ID);
    this.#feed = new InputFeed(this.#time, this.#random, this.#outsider);
    this.#nemesis = new Nemesis({
      rates,
      random: random.fork('nemesis'),
      time: this.#time,
      broker: this.#broker,
      groupId: APPLICATION_ID,
      sessionTimeoutMs: SESSION_TIMEOUT_MS,
      note: (who, what) => this.#note(who, what),
      strike: given.strike ?? null,
    });
    this.#network = new Network({
      broker: this.#broker,
      time: this.#time,
      random: random.fork('network'),
      history: this.#history,
      strike: (passage) => {
        if (passage.request.apiKey === deleteRecords.key) this.#outsider.archive();
        return this.#nemesis.strike(passage);
      },
      observe: (passage, answer) => this.#observe(passage, answer),
      latencyMs: LATENCY_MS,
    });
  }

  async play(): Promise<void> {
    const { workload } = this.#given;
    const { seed, records, faultsMs } = this.#scenario;
    for (const [name, partitions] of Object.entries(workload.topics)) {
      this.#outsider.createTopic(name, partitions);
    }
    const inputs = workload.inputs(new SeededRandom(seed).fork('inputs'), records);
    const isSpread = this.#given.writing !== 'at-once';
    const first = isSpread ? Math.ceil(inputs.length * UNDER_FAULTS) : inputs.length;
    const second = isSpread ? Math.ceil(inputs.length * AFTER_FAULTS) : inputs.length;

    this.#meddle('before');
    this.#watch();
    this.#feed.writeWithin(inputs.slice(0, first), isSpread ? faultsMs : 0);
    if (!isSpread) await this.#time.run(() => this.#feed.unwritten === 0, faultsMs);
    const cast = this.#newCast('p');
    this.#nemesis.haunt(cast);
    await this.#time.run(() => false, faultsMs);
    this.#nemesis.bind();
    this.#note('all', 'calm');
    const isAtRest =
      (await this.#rest('after the faults')) &&
      this.#meddle('calm') &&
      (await this.#restAfter(inputs.slice(first, second), 'with the state in memory')) &&
      (await this.#closed(cast)) &&
      this.#meddle('between') &&
      this.#newCast('q') !== null &&
      (await this.#restAfter(inputs.slice(second), 'with the state restored')) &&
      this.#lookAtStores(this.#casts.at(-1)!, 'rest') &&
      (await this.#closed(this.#casts.at(-1)!));
    const evidence = this.#evidence();
    this.#broker.close();
    if (!isAtRest) this.#violations.push(...evidence.seen);
    else this.#violations.push(...judge(evidence));
    if (isAtRest) this.#committed = committedLines(evidence);
  }

  result(): SimulationResult {
    const gaveUp = this.#casts.flatMap((cast) => cast.gaveUp);
    return {
      workload: this.#given.workload.name,
      scenario: this.#scenario,
      violations: [
        ...this.#violations.map(({ check, what }) => `${check}: ${what}`),
        ...gaveUp.map(
          ({ process, error }) => `rest: ${process} gave up: ${error.code}: ${error.message}`,
        ),
      ],
      gaveUp,
      committed: this.#committed,
      faults: this.#nemesis.struck,
      events: this.#time.events,
      hash: this.#history.hash,
      virtualMs: Math.round(this.#time.now),
      lines: this.#history.lines,
    };
  }

  #meddle(moment: Moment): true {
    this.#given.meddle?.(moment, this.#outsider, (delayMs, act) => this.#time.after(delayMs, act));
    return true;
  }

  #newCast(prefix: string): Cast {
    const cast = new Cast({
      prefix,
      size: this.#scenario.instances,
      time: this.#time,
      random: new SeededRandom(this.#given.seed).fork(`cast ${prefix}`),
      topology: (process) => this.#given.workload.topology(this.#nemesis.userCode(process)),
      transport: (process) => this.#network.transport(process),
      connections: (process) => this.#network.connections(process),
      options: {
        applicationId: APPLICATION_ID,
        sessionTimeoutMs: SESSION_TIMEOUT_MS,
        heartbeatIntervalMs: 500,
        transactionTimeoutMs: 2_500,
        stopTimeoutMs: 1_000,
        rebalanceTimeoutMs: 6_000,
        repartitionPurgeIntervalMs: 1_000,
        ...this.#given.options,
      },
      mayEnd: this.#given.mayEnd ?? [],
      mayFailToStart: this.#given.mayFailToStart ?? true,
      log: this.#given.log ?? (() => silentLog),
      note: (who, what) => this.#note(who, what),
    });
    this.#casts.push(cast);
    cast.start();
    return cast;
  }

  /** A reader looks at what is committed now and then. */
  #watch(): void {
    this.#time.after(this.#random.between(100, 2_000), () => {
      const { readerView } = this.#given.tamper ?? {};
      for (const view of this.#outsider.topics().flatMap((name) => this.#outsider.latest(name))) {
        const end = this.#outsider.stableEnd(view.topic, view.partition);
        this.#reader.read(readerView?.(view, this.#time.now) ?? view, end);
      }
      this.#watch();
    });
  }

  /** The broker has carried out a request: a moment at which a step is under way, too. */
  #observe({ process, request, sentAtMs }: Passage, answer: Buffer): void {
    const { apiKey, apiVersion, body } = request;
    const { exchange: tampered } = this.#given.tamper ?? {};
    const seen = { process: process.name, apiKey, apiVersion, request: body, answer };
    const exchange = { ...seen, sentAtMs, atMs: this.#time.now };
    this.#trace.observe(tampered?.(exchange) ?? exchange);
    if (apiKey !== txnOffsetCommit.key) return;
    for (const cast of this.#casts) this.#lookAtStores(cast, 'busy', process);
  }

  /** What a reader of committed state would be given now. */
  #lookAtStores({ slots }: Cast, moment: StoreRows['moment'], only?: SimulatedProcess): true {
    const hex = (bytes: Buffer): string => bytes.toString('hex');
    for (const { process, instance } of slots) {
      if (process?.state !== 'running' || (only !== undefined && process !== only)) continue;
      for (const { rows, task, ...view } of instance?.committedRows() ?? []) {
        this.#stores.push({
          ...view,
          atMs: this.#time.now,
          process: process.name,
          rows: new Map(rows.map(([key, value]) => [hex(key), hex(value)])),
          moment: task === 'quiet' ? moment : 'busy',
        });
      }
    }
    return true;
  }

  #restAfter(inputs: readonly Input[], when: string): Promise<boolean> {
    this.#feed.writeWithin(inputs, 100);
    return this.#rest(when);
  }

  async #rest(when: string): Promise<boolean> {
    let isAtRest = false;
    const look = (): void => {
      this.#time.after(LOOK_EVERY_MS, () => {
        isAtRest = this.#feed.unwritten === 0 && this.#left().length === 0;
        if (!isAtRest) look();
      });
    };
    look();
    const end = await this.#time.run(() => isAtRest, this.#time.now + REST_MS_MOST);
    if (end === 'done') return true;
    const left = [
      ...(this.#feed.unwritten > 0 ? [`${this.#feed.unwritten} unwritten`] : []),
      ...this.#left(),
    ];
    this.#violations.push({ check: 'rest', what: `no rest ${when}: ${left.join(', ')}` });
    return false;
  }

  /** What has not come to its end. */
  #left(): string[] {
    const unread = this.#inputs()
      .flatMap((name) => this.#outsider.latest(name))
      .flatMap(({ topic, partition, committed, open }) => {
        const last = committed.at(-1)?.offset ?? -1;
        const offset = this.#outsider.committedOffset(topic, partition);
        if (offset > last && open === 0) return [];
        return [`${topic}-${partition} read to ${offset} of ${last + 1}`];
      });
    return [...this.#outsider.openTransactions(), ...unread];
  }

  #inputs(): string[] {
    const names = new Set(this.#outsider.written.map(({ topic }) => topic));
    return this.#outsider
      .topics()
      .filter((name) => names.has(name) || isInternal(APPLICATION_ID, name, 'repartition'));
  }

  async #closed(cast: Cast): Promise<boolean> {
    let isClosed = false;
    void cast.close().then(() => {
      isClosed = true;
    });
    const end = await this.#time.run(() => isClosed, this.#time.now + REST_MS_MOST);
    if (end !== 'done') {
      this.#violations.push({ check: 'rest', what: 'the processes do not stop' });
      return false;
    }
    this.#violations.push(...cast.leaks.map((what): Violation => ({ check: 'leak', what })));
    return true;
  }

  #evidence(): Evidence {
    return evidenceOf({
      workload: this.#given.workload,
      applicationId: APPLICATION_ID,
      outsider: this.#outsider,
      trace: this.#trace,
      reader: this.#reader,
      stores: this.#stores,
      inputs: this.#inputs(),
      tamper: this.#given.tamper ?? {},
    });
  }

  #note(who: string, what: string): void {
    this.#history.note(this.#time.now, who, what);
  }
}
