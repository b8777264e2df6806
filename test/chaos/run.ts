/**
 * A chaos run from empty brokers to the verdict: three brokers behind proxies, processes that carry
 * a topology, a feed, a nemesis, and an audit that reads along.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom } from '../../src/simulation/seeded-random.ts';
import type { KafkaVersion } from '../integration/real/kafka.ts';
import { Audit, type Violation } from './audit.ts';
import { missingOf, type Struck } from './coverage.ts';
import { Feed } from './feed.ts';
import { Nemesis } from './nemesis.ts';
import { STRUCK_APIS } from './network-chaos.ts';
import { type ProxiedCluster, startProxiedCluster } from './proxied-cluster.ts';
import type { ChaosReport } from './report.ts';
import { TakeOver } from './take-over.ts';
import { Team } from './team.ts';
import { Timeline } from './timeline.ts';
import { Topics } from './topics.ts';
import { Witness } from './witness.ts';

export interface ChaosOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly kafka: KafkaVersion;
  readonly recordsPerMinute: number;
  readonly broken: string | null;
  /** Whether logs and data of an exact run stay, too. */
  readonly keep: boolean;
  /** Whether it goes on, for some minutes, until every kind of fault has struck. */
  readonly everyFault: boolean;
  readonly say: (text: string) => void;
}

const SESSION_TIMEOUT_MS = 3_000;
const ACCOUNTS_PER_PARTITION = 100;
const STALL_MS_MOST = 300_000;
const CLOSE_MS_MOST = 3_000;
const SAY_MS = 5_000;
const POLL_MS = 100;
const SHOWN_MOST = 10;
const TIMELINE_SHOWN = 40;

export class Interrupted extends Error {}

export class ChaosRun {
  readonly #options: ChaosOptions;
  /** Logs and the brokers' data; stays when the run was not exact. */
  readonly folder: string;
  readonly #timeline: Timeline;
  readonly #audit: Audit;
  readonly #closers: (() => Promise<unknown>)[] = [];
  readonly #afterKill: TakeOver;
  readonly #afterTerm: TakeOver;
  readonly #faults: Record<string, number> = {};
  readonly #problems: string[] = [];
  #team: Team | null = null;
  #nemesis: Nemesis | null = null;
  #story: readonly string[] | null = null;
  #isInterrupted = false;
  #onInterrupt: (error: Interrupted) => void = () => {};
  #isExact = false;

  constructor(options: ChaosOptions) {
    this.#options = options;
    this.folder = mkdtempSync(join(tmpdir(), 'escapement-chaos-'));
    this.#timeline = new Timeline(join(this.folder, 'timeline.jsonl'));
    const now = (): number => this.#timeline.nowMs;
    this.#afterKill = new TakeOver(now);
    this.#afterTerm = new TakeOver(now);
    this.#audit = new Audit((violation) => this.#violated(violation));
  }

  /** Ends `execute` with `Interrupted` at once; `close` ends what was started. */
  interrupt(): void {
    this.#isInterrupted = true;
    this.#nemesis?.stop();
    this.#onInterrupt(new Interrupted('interrupted'));
  }

  execute(): Promise<ChaosReport> {
    const interrupted = new Promise<never>((_, reject) => {
      this.#onInterrupt = reject;
    });
    // Whatever it waits for: at Ctrl-C in a terminal the brokers stop as well.
    return Promise.race([this.#execute(), interrupted]);
  }

  async #execute(): Promise<ChaosReport> {
    const { minutes, seed, kafka, say } = this.#options;
    say(`seed ${seed}, Kafka ${kafka}, ${minutes} minutes; logs in ${this.folder}`);
    const cluster = await this.#startCluster();
    const topics = new Topics(cluster.direct);
    await topics.create();
    this.#closers.push(() => topics.close());
    const witness = this.#startWitness(cluster);
    const team = this.#startTeam(cluster);
    await team.untilRunning(() => this.#check());
    const random = new SeededRandom(seed);
    const feed = new Feed({
      brokers: cluster.direct,
      random: random.fork('feed'),
      recordsPerMinute: this.#options.recordsPerMinute,
      accountsPerPartition: ACCOUNTS_PER_PARTITION,
    });
    await feed.start();
    this.#closers.push(() => feed.stop());
    const began = performance.now();
    await this.#disturb(cluster, team, random.fork('nemesis'));
    const drainMs = await this.#drain(feed, witness, team);
    this.#problems.push(...(await team.stop()));
    if (!this.#isBroken) this.#problems.push(...(await witness.inspect(topics)));
    return this.#report(cluster, team, { drainMs, elapsedMs: performance.now() - began });
  }

  /** Ends all that was started, newest first. */
  async close(): Promise<void> {
    this.#nemesis?.stop();
    await this.#team?.end();
    for (const close of this.#closers.splice(0).reverse()) await inTime(close);
    // Of a run that had to fail nobody asks why.
    const isDone = this.#isExact || this.#isInterrupted || this.#options.broken !== null;
    if (isDone && !this.#options.keep) rmSync(this.folder, { recursive: true, force: true });
  }

  /** What was done before the first thing that was wrong. */
  story(): readonly string[] {
    return this.#story ?? this.#timeline.last(TIMELINE_SHOWN);
  }

  /** The first things that were wrong. */
  violations(): readonly Violation[] {
    return this.#audit.violations.slice(0, SHOWN_MOST);
  }

  get #isBroken(): boolean {
    return this.#audit.violations.length > 0;
  }

  #violated({ kind, text }: Violation): void {
    if (this.#story === null) this.#options.say(`${kind.toUpperCase()}: ${text}`);
    this.#story ??= this.#timeline.last(TIMELINE_SHOWN);
    this.#timeline.tell(kind, { text });
    // The rest of the run would only bury what led to it.
    this.#nemesis?.stop();
  }

  #check(): void {
    if (this.#isInterrupted) throw new Interrupted('interrupted');
  }

  async #startCluster(): Promise<ProxiedCluster> {
    const brokers = join(this.folder, 'brokers');
    mkdirSync(brokers);
    const cluster = await startProxiedCluster({
      version: this.#options.kafka,
      folder: brokers,
      injected: ({ request, fault }) => {
        this.#faults[fault.kind] = (this.#faults[fault.kind] ?? 0) + 1;
        const api = STRUCK_APIS.get(request.apiKey)?.name ?? request.apiKey;
        const { node, clientId, ordinal } = request;
        this.#timeline.tell(fault.kind, { api, ordinal, node, client: clientId });
      },
    });
    this.#closers.push(() => cluster.stop());
    this.#check();
    return cluster;
  }

  #startWitness(cluster: ProxiedCluster): Witness {
    const witness = new Witness({
      brokers: cluster.direct,
      audit: this.#audit,
      takeOvers: [this.#afterKill, this.#afterTerm],
      failed: (error) => {
        this.#problems.push(error.message);
        this.#nemesis?.stop();
      },
    });
    this.#closers.push(() => witness.close());
    return witness;
  }

  #startTeam(cluster: ProxiedCluster): Team {
    const team = new Team({
      folder: this.folder,
      brokers: cluster.proxied,
      sessionTimeoutMs: SESSION_TIMEOUT_MS,
      broken: this.#options.broken,
      timeline: this.#timeline,
    });
    this.#team = team;
    team.start();
    return team;
  }

  async #disturb(cluster: ProxiedCluster, team: Team, random: SeededRandom): Promise<void> {
    this.#nemesis = new Nemesis({
      ...{ members: team.members, cluster, random, timeline: this.#timeline },
      sessionTimeoutMs: SESSION_TIMEOUT_MS,
      afterKill: this.#afterKill,
      afterTerm: this.#afterTerm,
    });
    const telling = setInterval(() => this.#options.say(this.#progress()), SAY_MS);
    try {
      const { minutes, everyFault } = this.#options;
      const isComplete = () => !everyFault || missingOf(this.#struck(cluster)).length === 0;
      await this.#nemesis.run(minutes * 60_000, isComplete);
    } finally {
      clearInterval(telling);
    }
    this.#check();
  }

  #progress(): string {
    const { inputs, emissions } = this.#audit;
    const count = (what: string): number => this.#timeline.count(what);
    return (
      `${Math.round(this.#timeline.nowMs / 1000)} s: ${inputs} records, ${emissions} checked, ` +
      `${count('kill')} kills, ${count('zombie')} zombies, ${count('broker kill')} brokers, ` +
      `${this.#audit.violations.length} violations`
    );
  }

  /** Ends the input and waits until all of it is emitted; fails when nothing moves for long. */
  async #drain(feed: Feed, witness: Witness, team: Team): Promise<number> {
    const began = performance.now();
    this.#timeline.tell('drain');
    let last = -1;
    let movedAt = began;
    let isFed = false;
    if (this.#isBroken) await feed.stop();
    void feed.finish().then(() => {
      isFed = true;
    });
    while (!this.#isBroken && this.#problems.length === 0) {
      this.#check();
      team.start();
      if (isFed && witness.isInputRead(feed.ends) && this.#audit.awaited === 0) break;
      const moved = this.#audit.inputs + this.#audit.emissions;
      if (moved !== last) movedAt = performance.now();
      last = moved;
      if (performance.now() - movedAt > STALL_MS_MOST) {
        this.#problems.push(
          `nothing was committed for ${STALL_MS_MOST / 1000} s, ${this.#audit.awaited} records ` +
            `are left; ${team.describe()}`,
        );
      }
      await pause();
    }
    return Math.round(performance.now() - began);
  }

  #struck({ proxies }: ProxiedCluster): Struck {
    const count = (what: string): number => this.#timeline.count(what);
    const lostAnswers: Record<string, number> = {};
    for (const [apiKey, lost] of proxies.flatMap(({ counts }) => [...counts.lostAnswers])) {
      const name = STRUCK_APIS.get(apiKey)?.name ?? 'other';
      lostAnswers[name] = (lostAnswers[name] ?? 0) + lost;
    }
    return {
      rolledBack: this.#audit.rolledBack,
      kills: count('kill') + count('probe kill'),
      zombies: count('zombie'),
      restarts: count('term') + count('probe term'),
      brokerKills: count('broker kill'),
      connectionsCut: proxies.reduce((sum, { counts }) => sum + counts.cut + counts.expired, 0),
      lostAnswers,
    };
  }

  #report(
    cluster: ProxiedCluster,
    { rebalances }: Team,
    times: { readonly drainMs: number; readonly elapsedMs: number },
  ): ChaosReport {
    const count = (what: string): number => this.#timeline.count(what);
    const violations = this.#audit.counts();
    const { inputs, emissions, unseen } = this.#audit;
    this.#isExact = !this.#isBroken && this.#problems.length === 0 && inputs === emissions;
    return {
      seed: this.#options.seed,
      kafka: this.#options.kafka,
      minutes: this.#options.minutes,
      records: inputs,
      ...{ emissions, unseen },
      ...this.#struck(cluster),
      connections: cluster.proxies.reduce((sum, { counts }) => sum + counts.connections, 0),
      networkFaults: this.#faults,
      rebalances,
      ...{ fenced: count('fenced'), failedStarts: count('could not start') },
      ...violations,
      problems: this.#problems,
      unsettled: this.#nemesis?.unsettled ?? 0,
      takeOverAfterKill: { ...this.#afterKill.times(), targetMs: SESSION_TIMEOUT_MS + 2_000 },
      takeOverAfterTerm: { ...this.#afterTerm.times(), targetMs: 1_000 },
      drainMs: times.drainMs,
      elapsedMs: Math.round(times.elapsedMs),
      isExact: this.#isExact,
    };
  }
}

/** A closing that fails or hangs keeps nobody: the process ends soon, and with it all it started. */
async function inTime(close: () => Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, CLOSE_MS_MOST);
  });
  await Promise.race([close().catch(() => {}), over]);
  clearTimeout(timer);
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, POLL_MS));
}
