/** A task over an embedded broker, the group played by the test. */
import { type Options, resolveOptions } from '../../src/config/options.ts';
import type { EscapementError } from '../../src/errors.ts';
import { Cluster } from '../../src/kafka/cluster/cluster.ts';
import { Fetcher } from '../../src/kafka/fetch/fetcher.ts';
import type { Ports } from '../../src/ports.ts';
import { type ApplicationPlan, planApplication } from '../../src/runtime/application-plan.ts';
import type { GroupPort } from '../../src/runtime/group-port.ts';
import { TaskLife } from '../../src/runtime/task-life.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { counting, Lab, until } from '../exactness/lab.ts';
import { steadyPorts } from '../exactness/steady-time.ts';
import type { Hold, Wire } from '../exactness/wire.ts';

interface LivesParts {
  readonly wire: Wire;
  readonly cluster: Cluster;
  readonly plan: ApplicationPlan;
  readonly options: Options;
  readonly lookupTime: LookupTime;
}

/** Time that the test may move on. */
class LookupTime {
  aheadMs = 0;
  readonly ports: Ports = {
    ...steadyPorts,
    clock: {
      now: () => steadyPorts.clock.now(),
      monotonic: () => steadyPorts.clock.monotonic() + this.aheadMs,
    },
  };
}

/** Lives of the task `in_0`, driven as an instance drives them. */
export class Lives {
  readonly lab: Lab;
  readonly wire: Wire;
  readonly cluster: Cluster;
  readonly fetcher: Fetcher;
  readonly ended: string[] = [];
  readonly failures: EscapementError[] = [];
  /** What the group says. */
  owned = true;
  lost: EscapementError | null = null;
  /** Holds steps back, as a JoinGroup does; null: none is under way. */
  joining: Hold | null = null;
  waiting = 0;
  readonly #plan: ApplicationPlan;
  readonly #options: Options;
  readonly #lookupTime: LookupTime;
  readonly #lives = new Set<TaskLife>();
  readonly #driven: Promise<void>;
  #driving = true;

  private constructor(lab: Lab, { wire, cluster, plan, options, lookupTime }: LivesParts) {
    this.lab = lab;
    this.wire = wire;
    this.cluster = cluster;
    this.#plan = plan;
    this.#options = options;
    this.#lookupTime = lookupTime;
    this.fetcher = new Fetcher({ cluster, ports: steadyPorts, log: silentLog, maxWaitMs: 20 });
    this.#driven = this.#drive();
  }

  /** A transaction lasts a minute, so that none of them ends because the machine stands still. */
  static async open({
    transactionVersion = 2,
    transactionTimeoutMs = 60_000,
  }: {
    readonly transactionVersion?: 1 | 2;
    readonly transactionTimeoutMs?: number;
  } = {}): Promise<Lives> {
    const lab = await Lab.open({ in: 1, out: 1 }, { transactionVersion });
    const wire = lab.wire();
    const lookupTime = new LookupTime();
    const { ports } = lookupTime;
    const cluster = new Cluster({ transport: wire, ports, log: silentLog });
    await cluster.start();
    const applicationId = 'app';
    const options = resolveOptions({
      applicationId,
      stopTimeoutMs: 150,
      transactionTimeoutMs,
      rebalanceTimeoutMs: 120_000,
    });
    const plan = await planApplication(counting().build(), cluster, options);
    return new Lives(lab, { wire, cluster, plan, options, lookupTime });
  }

  /** For the lookups of the cluster alone so much time passes at once. */
  pass(ms: number): void {
    this.#lookupTime.aheadMs += ms;
  }

  begin(): TaskLife {
    const group: GroupPort = {
      heartbeat: async () => {
        if (this.lost !== null) throw this.lost;
      },
      proof: async () => {},
      step: async (run) => {
        this.waiting += 1;
        await this.joining?.pass();
        return run();
      },
      // What a producer outside of a group says.
      membership: async () => ({ generation: -1, memberId: '', instanceId: null }),
      ownedSince: () => this.owned,
      generation: 1,
    };
    const life: TaskLife = new TaskLife({
      id: 'in_0',
      plan: this.#plan,
      cluster: this.cluster,
      fetcher: this.fetcher,
      group,
      options: this.#options,
      ports: steadyPorts,
      log: silentLog,
      listener: {},
      metrics: new Metrics(),
      wake: () => {},
      ended: (reason) => {
        this.ended.push(reason);
        this.#lives.delete(life);
      },
      failed: (error) => this.failures.push(error),
    });
    this.#lives.add(life);
    life.begin();
    return life;
  }

  all(): readonly TaskLife[] {
    return [...this.#lives];
  }

  async running(): Promise<TaskLife> {
    const life = this.begin();
    await until(
      () => life.isRunning,
      () => 'the task does not run',
    );
    return life;
  }

  async #drive(): Promise<void> {
    while (this.#driving) {
      for (const life of this.#lives) {
        life.work(Number.POSITIVE_INFINITY);
        life.commitIfDue(steadyPorts.clock.monotonic());
      }
      await steadyPorts.timers.sleep(1);
    }
  }

  async close(): Promise<void> {
    this.#driving = false;
    await this.#driven;
    await this.fetcher.close();
    await this.cluster.close();
    await this.lab.close();
  }
}
