/**
 * Billing with its processes in the hands of a test: input written in portions, instances started
 * one by one, and the outcome judged as `npm start` judges it.
 */
import { Kafka, logLevel } from 'kafkajs';
import { memoryRegistry } from '../../src/serde/memory-registry.ts';
import { type ServedRegistry, serveRegistry } from '../../src/serde/serve-registry.ts';
import {
  APPLICATION_ID,
  BillingCluster,
  type InputRecord,
  PARTITIONS,
} from '../../topologies/billing/cluster.ts';
import { type BillingInput, openInput, type UsageRecord } from '../../topologies/billing/input.ts';
import { judge, type Verdict } from '../../topologies/billing/judge.ts';
import { parseOptions } from '../../topologies/billing/options.ts';
import { registerSchemas } from '../../topologies/billing/schemas.ts';
import { GRACE_MS, WINDOW_MS } from '../../topologies/billing/topology.ts';
import { until } from '../exactness/count-run.ts';
import { type Launched, launchInstance } from '../topologies/billing/launched.ts';

const INSTANCE_IDS = ['one', 'two'];
const WRITE_RECORDS = 500;

/** Short, so that a paused process is given up soon. */
const SESSION_TIMEOUT_MS = 2_000;

export class BillingScene {
  readonly cluster: BillingCluster;
  readonly #bootstrap: string;
  readonly #input: BillingInput;
  readonly #records: AsyncIterator<UsageRecord>;
  readonly #registry: ServedRegistry;

  private constructor(
    bootstrap: string,
    cluster: BillingCluster,
    input: BillingInput,
    registry: ServedRegistry,
  ) {
    this.#bootstrap = bootstrap;
    this.cluster = cluster;
    this.#input = input;
    this.#records = input.read()[Symbol.asyncIterator]();
    this.#registry = registry;
  }

  static async open(bootstrap: string, events: number): Promise<BillingScene> {
    const registry = memoryRegistry();
    await registerSchemas(registry);
    const options = parseOptions(['--events', String(events)]);
    const input = await openInput(options, registry, () => {});
    const cluster = new BillingCluster(bootstrap);
    await cluster.connect();
    await cluster.removeAll(INSTANCE_IDS);
    await cluster.prepareTopics();
    const served = await serveRegistry(registry, { port: 0 });
    return new BillingScene(bootstrap, cluster, input, served);
  }

  start(instanceId: string, sessionTimeoutMs = SESSION_TIMEOUT_MS): Launched {
    return launchInstance([
      ...['--broker', this.#bootstrap, '--registry', this.#registry.url],
      ...['--instance-id', instanceId, '--session-timeout-ms', String(sessionTimeoutMs)],
      ...['--heartbeat-interval-ms', '500'],
    ]);
  }

  /** The next records of the input, in small writes. */
  async write(records: number): Promise<void> {
    let part: UsageRecord[] = [];
    for (let taken = 0; taken < records; taken += 1) {
      const { done, value } = await this.#records.next();
      if (done === true) break;
      part.push(value);
      if (part.length < WRITE_RECORDS) continue;
      await this.cluster.write(part);
      part = [];
    }
    await this.cluster.write(part);
  }

  /** Every written record was read by a committed step. */
  async drained(): Promise<void> {
    await until(() => this.cluster.isDrained(), 'the input is not drained');
  }

  /** Waits until the group has that many members and no rebalance under way. */
  async members(count: number): Promise<void> {
    const admin = new Kafka({ brokers: [this.#bootstrap], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    try {
      await until(async () => {
        const { groups } = await admin.describeGroups([APPLICATION_ID]);
        return groups[0]?.state === 'Stable' && groups[0].members.length === count;
      }, `the group does not have ${count} members`);
    } finally {
      await admin.disconnect();
    }
  }

  /** Writes what is left and the end records, and judges when all is billed. */
  async verdict(): Promise<Verdict> {
    await this.write(Number.MAX_SAFE_INTEGER);
    await this.drained();
    const timestamp = (Math.floor(this.#input.latest / WINDOW_MS) + 1) * WINDOW_MS + GRACE_MS;
    const ends: InputRecord[] = Array.from({ length: PARTITIONS }, (_, partition) => ({
      ...{ partition, key: null, value: null, timestamp },
      headers: { 'billing.end': '1' },
    }));
    await this.cluster.write(ends);
    await this.drained();
    return judge(this.#bootstrap, this.#input);
  }

  /** After the processes have ended. */
  async close(): Promise<void> {
    await this.cluster.removeAll(INSTANCE_IDS);
    await this.cluster.close();
    await this.#registry.close();
  }
}
