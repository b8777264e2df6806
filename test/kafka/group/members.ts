/** Group members over the embedded broker in virtual time, with a record of what each was told. */
import type { EscapementError } from '../../../src/errors.ts';
import type { Cluster } from '../../../src/kafka/cluster/cluster.ts';
import { GroupMember, type TaskPlan } from '../../../src/kafka/group/member.ts';
import type { FaultPlan, FaultyTransport } from '../../../src/kafka/transport/faulty.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { OverBroker } from '../producer/over-broker.ts';
import type { RunningTime } from '../running-time.ts';

export interface MemberOptions {
  readonly name: string;
  readonly instanceId?: string | null;
  readonly tasks?: readonly string[];
  /** Instead of tasks whose sub-topology is called after their input. */
  readonly plans?: readonly TaskPlan[];
  readonly host?: string;
  readonly plan?: FaultPlan;
  /** Awaited before a revocation is done. */
  readonly revoking?: (ids: readonly string[]) => Promise<void>;
  readonly sessionTimeoutMs?: number;
  readonly heartbeatIntervalMs?: number;
  readonly rebalanceTimeoutMs?: number;
}

export const SESSION_MS = 5_000;
export const TASKS = ['orders_0', 'orders_1', 'orders_2', 'orders_3'];

function planOfTask(id: string): TaskPlan {
  const [topic, partition] = id.split('_') as [string, string];
  return { id, inputs: [{ topic, partition: Number(partition) }], changelogs: [] };
}

export class Told {
  readonly name: string;
  readonly time: RunningTime;
  readonly member: GroupMember;
  readonly cluster: Cluster;
  readonly transport: FaultyTransport;
  /** Owned by what the listener was told: added by `assigned`, removed when `revoked` is done. */
  readonly owned = new Set<string>();
  readonly events: string[] = [];
  readonly losses: EscapementError[] = [];
  readonly failures: EscapementError[] = [];
  /** Tasks that this or another member was given while a member still had them. */
  readonly overlaps: string[] = [];

  constructor(stage: Stage, options: MemberOptions) {
    this.name = options.name;
    this.time = stage.over.time;
    const { cluster, transport } = stage.over.process(options.plan);
    this.cluster = cluster;
    this.transport = transport;
    this.member = new GroupMember({
      cluster,
      groupId: 'billing',
      instanceId: options.instanceId ?? null,
      topics: ['orders'],
      tasks: async () => options.plans ?? (options.tasks ?? TASKS).map(planOfTask),
      fingerprint: 'test',
      host: options.host ?? null,
      schemas: () => new Map(),
      sessionTimeoutMs: options.sessionTimeoutMs ?? SESSION_MS,
      heartbeatIntervalMs: options.heartbeatIntervalMs ?? 25,
      rebalanceTimeoutMs: options.rebalanceTimeoutMs ?? 3_000,
      ports: this.time.ports,
      log: silentLog,
      listener: {
        assigned: (ids) => {
          if (ids.length > 0) this.events.push(`assigned ${ids.join(' ')}`);
          for (const id of ids) {
            for (const other of stage.told) if (other.owned.has(id)) this.overlaps.push(id);
            this.owned.add(id);
          }
        },
        revoked: async (ids) => {
          this.events.push(`revoked ${ids.join(' ')}`);
          await options.revoking?.(ids);
          for (const id of ids) this.owned.delete(id);
        },
        lost: async (reason) => {
          this.events.push('lost');
          this.losses.push(reason);
          this.owned.clear();
        },
        failed: (error) => {
          this.failures.push(error);
        },
      },
    });
  }

  get tasks(): string[] {
    return [...this.owned].sort();
  }
}

export class Stage {
  readonly over: OverBroker;
  readonly told: Told[] = [];

  constructor() {
    this.over = new OverBroker({ sessionTimeoutMinMs: 50 });
    this.over.client.createTopic('orders', 8);
  }

  member(options: MemberOptions): Told {
    const told = new Told(this, options);
    this.told.push(told);
    return told;
  }

  async joined(options: MemberOptions): Promise<Told> {
    const told = this.member(options);
    await told.member.start();
    return told;
  }

  async close(): Promise<void> {
    for (const { member } of this.told) await member.stop({ leave: 'stay' }).catch(() => {});
    await this.over.close();
  }
}

/** Until the members own the tasks between them, as many each as told. */
export async function shared(
  sizes: readonly number[],
  members: readonly [Told, ...Told[]],
): Promise<void> {
  const view = () => members.map(({ name, tasks, member }) => [name, tasks, member.state]);
  await members[0].time.until(
    () =>
      members.every(({ member }) => member.state === 'stable') &&
      members
        .map(({ owned }) => owned.size)
        .sort()
        .join() === [...sizes].sort().join(),
    view,
  );
}
