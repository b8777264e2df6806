/** A task over an embedded broker, the group played by the test. */
import { resolveOptions } from '../../src/config/options.ts';
import type { EscapementError } from '../../src/errors.ts';
import { Cluster } from '../../src/kafka/cluster/cluster.ts';
import { Fetcher } from '../../src/kafka/fetch/fetcher.ts';
import { systemPorts } from '../../src/ports.ts';
import { type ApplicationPlan, planApplication } from '../../src/runtime/application-plan.ts';
import type { GroupPort } from '../../src/runtime/group-port.ts';
import { TaskLife } from '../../src/runtime/task-life.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { counting, Lab, until } from '../exactness/lab.ts';
import type { Hold, Wire } from '../exactness/wire.ts';

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
  readonly #lives = new Set<TaskLife>();
  #driving = true;

  private constructor(lab: Lab, wire: Wire, cluster: Cluster, plan: ApplicationPlan) {
    this.lab = lab;
    this.wire = wire;
    this.cluster = cluster;
    this.#plan = plan;
    this.fetcher = new Fetcher({ cluster, ports: systemPorts, log: silentLog, maxWaitMs: 20 });
    void this.#drive();
  }

  static async open(
    options: { readonly requestTimeoutMs?: number; readonly transactionVersion?: 1 | 2 } = {},
  ): Promise<Lives> {
    const { requestTimeoutMs = 30_000, transactionVersion = 2 } = options;
    const lab = await Lab.open({ in: 1, out: 1 }, { transactionVersion });
    const wire = lab.wire();
    const cluster = new Cluster({
      transport: wire,
      ports: systemPorts,
      log: silentLog,
      requestTimeoutMs,
    });
    await cluster.start();
    const plan = await planApplication(counting().build(), cluster, OPTIONS);
    return new Lives(lab, wire, cluster, plan);
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
      options: OPTIONS,
      ports: systemPorts,
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
        life.commitIfDue(systemPorts.clock.monotonic());
      }
      await systemPorts.timers.sleep(1);
    }
  }

  async close(): Promise<void> {
    this.#driving = false;
    await this.fetcher.close();
    await this.cluster.close();
    await this.lab.close();
  }
}

const OPTIONS = resolveOptions({
  applicationId: 'app',
  stopTimeoutMs: 150,
  transactionTimeoutMs: 2_000,
});
