/**
 * The transactional session on real Kafka: transactions v1 on 3.9.1, v2 on 4.3.1. What is committed
 * is read by the raw reader of the billing judge, not by the reader under test.
 */
import { Kafka, logLevel } from 'kafkajs';
import { afterEach, expect, test } from 'vitest';
import { ensureTopics } from '../../src/kafka/admin/topics.ts';
import { Cluster } from '../../src/kafka/cluster/cluster.ts';
import { fetchOffsets } from '../../src/kafka/group/offsets.ts';
import { IdempotentSession } from '../../src/kafka/producer/idempotent-session.ts';
import { endTxn } from '../../src/kafka/protocol/end-txn.ts';
import { initProducerId } from '../../src/kafka/protocol/init-producer-id.ts';
import { produce } from '../../src/kafka/protocol/produce.ts';
import { txnOffsetCommit } from '../../src/kafka/protocol/txn-offset-commit.ts';
import { type FaultPlan, FaultyTransport, planOf } from '../../src/kafka/transport/faulty.ts';
import { kafkajsTransport } from '../../src/kafka/transport/kafkajs.ts';
import { systemPorts } from '../../src/ports.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { readTopic } from '../../topologies/billing/raw-log.ts';
import { Rounds } from '../kafka/producer/rounds.ts';
import { failure, output, session, step } from '../kafka/producer/steps.ts';
import { describeReal } from './real/parts.ts';
import { sharedKafka } from './real/shared.ts';

/** No member: the broker checks nothing but the epoch. */
const nobody = () => Promise.resolve({ generation: -1, memberId: '', instanceId: null });

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

class Scene {
  readonly cluster: Cluster;
  readonly metrics = new Metrics();
  readonly rounds = new Rounds();
  readonly id: string;
  readonly bootstrap: string;

  private constructor(bootstrap: string, id: string, plan: FaultPlan) {
    this.bootstrap = bootstrap;
    this.id = id;
    const inner = kafkajsTransport(
      { brokers: [bootstrap] },
      { ports: systemPorts, log: silentLog },
    );
    const { timers } = systemPorts;
    const transport = new FaultyTransport({ inner: this.rounds.over(inner), timers, plan });
    const { metrics } = this;
    this.cluster = new Cluster({ transport, ports: systemPorts, log: silentLog, metrics });
    closing.push(() => this.cluster.close());
  }

  static async open(bootstrap: string, id: string, plan: FaultPlan = planOf([])): Promise<Scene> {
    const scene = new Scene(bootstrap, id, plan);
    await scene.cluster.start();
    const topics = [{ name: scene.topic, partitions: 3, configs: {} }];
    await ensureTopics(scene.cluster, topics);
    return scene;
  }

  get topic(): string {
    return `${this.id}-out`;
  }

  session(options: Parameters<typeof session>[1] = {}) {
    return session(this.cluster, { id: this.id, metrics: this.metrics, ...options });
  }

  step(values: readonly (readonly [partition: number, value: string])[], offset: number) {
    const outputs = values.map(([partition, value]) => output(this.topic, partition, [value]));
    const made = step(outputs, offset, nobody);
    return { ...made, offsets: { ...made.offsets, groupId: `${this.id}-group` } };
  }

  /** Values that a committed reader sees, of one partition. */
  async committed(partition: number): Promise<string[]> {
    for (;;) {
      const log = (await readTopic(this.bootstrap, this.topic))[partition]!;
      // Markers are written after EndTxn was answered.
      if (log.open === 0) return log.committed.map(({ value }) => String(value));
      await systemPorts.timers.sleep(5);
    }
  }

  async offset(): Promise<number> {
    const place = [{ topic: 'usage', partition: 0 }];
    const [found] = await fetchOffsets(this.cluster, `${this.id}-group`, place);
    return found!.offset;
  }
}

const RUN = process.pid;
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

for (const [version, expected] of [
  ['3.9.1', 1],
  ['4.3.1', 2],
] as const) {
  describeReal(`the session on Kafka ${version}`, () => {
    const open = async (name: string, plan?: FaultPlan) => {
      const { bootstrap } = await sharedKafka(version);
      const scene = await Scene.open(bootstrap, `session-${name}-${RUN}`, plan);
      await ensureUsage(scene.cluster);
      return scene;
    };

    test(`speaks transactions v${expected} and says so`, async () => {
      const scene = await open('version');
      const logged: unknown[] = [];
      const info = (fields: Readonly<Record<string, unknown>>) =>
        logged.push(fields.transactionVersion);
      const producer = scene.session({ log: { ...silentLog, info } });
      await producer.init();
      await producer.commit(scene.step([[0, 'a']], 1));
      expect(producer.transactionVersion).toBe(expected);
      expect(scene.metrics.snapshot()['transaction.version']).toBe(expected);
      expect(logged).toEqual([expected]);
    });

    test('commits back to back, without a rest, each step once and with its offset', async () => {
      const scene = await open('back');
      const producer = scene.session();
      await producer.init();
      const steps = numbers(40);
      for (const i of steps) {
        await producer.commit(
          scene.step(
            [
              [i % 2, `v${i}`],
              [2, `w${i}`],
            ],
            i,
          ),
        );
      }
      expect(await scene.committed(0)).toEqual(
        steps.filter((i) => i % 2 === 0).map((i) => `v${i}`),
      );
      expect(await scene.committed(1)).toEqual(
        steps.filter((i) => i % 2 === 1).map((i) => `v${i}`),
      );
      expect(await scene.committed(2)).toEqual(steps.map((i) => `w${i}`));
      expect(await scene.offset()).toBe(40);
      expect(scene.metrics.snapshot()['transactions.committed']).toBe(40);
    });

    const bounds = expected === 2 ? '3 requests and 2 serial' : '5 requests and 4 serial';
    test(`takes ${bounds} round trips where nothing is refused`, async () => {
      const scene = await open('rounds');
      const producer = scene.session({ stepOrder: 'beside' });
      await producer.init();
      const counted: string[] = [];
      const repeated = () =>
        Object.values(scene.metrics.snapshot()['requests.repeated']).reduce((a, b) => a + b, 0);
      // The coordinator refuses a step until the markers of the one before are written.
      let restMs = 10;
      for (let i = 1; counted.length < 20 && i <= 200; i++) {
        await systemPorts.timers.sleep(restMs);
        const before = repeated();
        scene.rounds.restart();
        await producer.commit(
          scene.step(
            [
              [0, 'a'],
              [1, 'b'],
              [2, 'c'],
            ],
            i,
          ),
        );
        const { requests, serial } = scene.rounds;
        // The first step looks leaders and the group's coordinator up.
        if (repeated() !== before) restMs = Math.min(1_000, restMs * 2);
        else if (i > 1) counted.push(`${requests.length} ${serial}`);
      }
      expect(counted).toHaveLength(20);
      expect(new Set(counted)).toEqual(new Set([expected === 2 ? '3 2' : '5 4']));
    });

    test('an aborted step leaves nothing, also when nothing was added', async () => {
      const scene = await open('abort');
      const producer = scene.session();
      await producer.init();
      await producer.commit(scene.step([[0, 'first']], 1));
      const gone = { generation: 5, memberId: 'nobody', instanceId: null };
      const refused = scene.step([[0, 'no']], 2);
      const membership = () => Promise.resolve(gone);
      const bad = { ...refused, offsets: { ...refused.offsets, membership } };
      expect((await failure(producer.commit(bad))).decision).toBe('lost');
      await producer.abort();
      await producer.commit(scene.step([[0, 'second']], 2));
      // The offsets alone, refused: on v2 the group was added, on v1 too.
      const alone = { ...bad, outputs: [] };
      expect((await failure(producer.commit(alone))).decision).toBe('lost');
      await producer.abort();
      await producer.commit(scene.step([[0, 'third']], 3));
      expect(await scene.committed(0)).toEqual(['first', 'second', 'third']);
      expect(await scene.offset()).toBe(3);
    });

    test('a second session of the id fences the first', async () => {
      const scene = await open('fence');
      const old = scene.session();
      await old.init();
      await old.commit(scene.step([[0, 'one']], 1));
      const young = scene.session();
      await young.init();
      const error = await failure(old.commit(scene.step([[0, 'old']], 9)));
      expect(error.decision).toBe('fenced');
      await young.commit(scene.step([[0, 'two']], 2));
      expect(await scene.committed(0)).toEqual(['one', 'two']);
      expect(await scene.offset()).toBe(2);
    });

    test.each([produce, txnOffsetCommit, endTxn])(
      'a lost reply of $name is settled by init and the offsets',
      async (api) => {
        let armed = false;
        const plan: FaultPlan = ({ apiKey }) => {
          if (!armed || apiKey !== api.key) return null;
          armed = false;
          return { outcome: 'lose-reply', at: 'after-reply' };
        };
        const scene = await open(`lost-${api.key}`, plan);
        const producer = scene.session();
        await producer.init();
        await producer.commit(scene.step([[0, 'one']], 1));
        armed = true;
        const error = await failure(producer.commit(scene.step([[0, 'two']], 2)));
        expect(error.decision).toBe('indefinite');
        await producer.init();
        const found = await scene.offset();
        expect(found).toBe(api === endTxn ? 2 : 1);
        if (found === 1) await producer.commit(scene.step([[0, 'two']], 2));
        await producer.commit(scene.step([[0, 'three']], 3));
        expect(await scene.committed(0)).toEqual(['one', 'two', 'three']);
      },
    );

    test('the idempotent session writes at once and commits its offsets behind', async () => {
      const scene = await open('idempotent');
      const producer = new IdempotentSession({
        cluster: scene.cluster,
        requestTimeoutMs: 10_000,
        ports: systemPorts,
        log: silentLog,
      });
      await producer.init();
      for (const i of numbers(5)) await producer.commit(scene.step([[0, `${i}`]], i));
      const client = new Kafka({ brokers: [scene.bootstrap], logLevel: logLevel.NOTHING });
      const admin = client.admin();
      await admin.connect();
      const ends = await admin.fetchTopicOffsets(scene.topic);
      await admin.disconnect();
      // Five records, and not one marker.
      expect(ends.find(({ partition }) => partition === 0)?.high).toBe('5');
      expect(await scene.offset()).toBe(5);
    });

    test('tasks side by side are all committed', async () => {
      const scene = await open('many');
      const tasks = numbers(4).map((task) => scene.session({ id: `${scene.id}-${task}` }));
      await Promise.all(tasks.map((task) => task.init()));
      await Promise.all(
        tasks.map(async (task, t) => {
          for (const i of numbers(25)) await task.commit(scene.step([[0, `${t}.${i}`]], i));
        }),
      );
      const expectedValues = numbers(4).flatMap((t) => numbers(25).map((i) => `${t - 1}.${i}`));
      expect((await scene.committed(0)).sort()).toEqual(expectedValues.sort());
    });
  });
}

describeReal('the last epoch on Kafka 4.3.1', () => {
  test('is followed by a new producer id, and nothing is lost or doubled', async () => {
    const { bootstrap } = await sharedKafka('4.3.1');
    const scene = await Scene.open(bootstrap, `session-epochs-${RUN}`);
    await ensureUsage(scene.cluster);
    const last = await wearOut(scene.cluster, scene.id);
    expect(last.producerEpoch).toBeGreaterThan(32_760);
    const producer = scene.session();
    await producer.init();
    const steps = numbers(12);
    for (const i of steps) await producer.commit(scene.step([[0, `${i}`]], i));
    expect(await scene.committed(0)).toEqual(steps.map(String));
    expect(scene.metrics.snapshot()['producer.rotated']).toBe(1);
    expect(await scene.offset()).toBe(12);
  });
});

/** Initialises the id until a few of its 32,767 epochs are left: 6 are. */
async function wearOut(cluster: Cluster, transactionalId: string) {
  const node = await cluster.coordinator('transaction', transactionalId);
  for (;;) {
    const body = {
      transactionalId,
      transactionTimeoutMs: 10_000,
      producerId: -1,
      producerEpoch: -1,
    };
    const answer = await cluster.send(node, initProducerId, body, { lane: 'transaction' });
    if (answer.errorCode === 0 && answer.producerEpoch >= 32_761) return answer;
  }
}

async function ensureUsage(cluster: Cluster): Promise<void> {
  await ensureTopics(cluster, [{ name: 'usage', partitions: 1, configs: {} }]);
}
