/** kafkajs as a foreign client: whoever wrote it did not know this broker. */
import { CompressionTypes, type EachMessagePayload, Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker/broker.ts';
import { type Listener, listen } from '../../src/broker/tcp.ts';
import { systemPorts } from '../../src/ports.ts';

const faults: unknown[] = [];
/** Longer than a busy machine takes: nothing here is to time out. */
const PATIENT_MS = 60_000;

describe.each([
  { transactionVersion: 1, nodes: 1 },
  { transactionVersion: 2, nodes: 3 },
] as const)('kafkajs with %o', ({ transactionVersion, nodes }) => {
  let broker: Broker;
  let listeners: Listener[];
  let kafka: Kafka;

  beforeAll(async () => {
    broker = new Broker({ ports: systemPorts, transactionVersion, nodes });
    listeners = await Promise.all(
      Array.from({ length: nodes }, (_, node) =>
        listen(broker, {
          host: '127.0.0.1',
          port: 0,
          node,
          onFault: (error) => faults.push(error),
        }),
      ),
    );
    kafka = new Kafka({
      brokers: listeners.map(({ port }) => `127.0.0.1:${port}`),
      clientId: 'foreign',
      logLevel: logLevel.NOTHING,
      connectionTimeout: PATIENT_MS,
      authenticationTimeout: PATIENT_MS,
      requestTimeout: PATIENT_MS,
      retry: { initialRetryTime: 20 },
    });
  });

  afterAll(async () => {
    broker.close();
    await Promise.all(listeners.map((listener) => listener.close()));
    expect(faults).toEqual([]);
  });

  /** Runs `use` with an admin client. */
  async function administer<T>(use: (admin: ReturnType<Kafka['admin']>) => Promise<T>): Promise<T> {
    const admin = kafka.admin();
    await admin.connect();
    try {
      return await use(admin);
    } finally {
      await admin.disconnect();
    }
  }

  async function createTopic(topic: string, numPartitions: number): Promise<void> {
    await administer((admin) => admin.createTopics({ topics: [{ topic, numPartitions }] }));
  }

  async function send(topic: string, values: readonly string[]): Promise<void> {
    const producer = kafka.producer();
    await producer.connect();
    await producer.send({ topic, messages: values.map((value) => ({ key: value, value })) });
    await producer.disconnect();
  }

  /** Collects `count` values of a topic from its beginning, in a group. */
  async function consume(groupId: string, topic: string, count: number): Promise<string[]> {
    const sessionTimeout = PATIENT_MS;
    const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 50, sessionTimeout });
    const values: string[] = [];
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      const eachMessage = async ({ message }: EachMessagePayload): Promise<void> => {
        values.push(message.value!.toString());
        if (values.length === count) resolve();
      };
      consumer.run({ eachMessage }).catch(reject);
    });
    await consumer.disconnect();
    return values.sort();
  }

  const until = (condition: () => boolean) =>
    expect.poll(condition, { timeout: PATIENT_MS }).toBe(true);

  test('administers topics', async () => {
    await createTopic('administered', 3);
    await administer(async (admin) => {
      expect(await admin.listTopics()).toContain('administered');
      const described = async () => {
        const { resources } = await admin.describeConfigs({
          includeSynonyms: false,
          resources: [{ type: 2, name: 'administered', configNames: ['retention.ms'] }],
        });
        return resources[0]!.configEntries[0]!.configValue;
      };
      expect(await described()).toBe('604800000');
      const configEntries = [{ name: 'retention.ms', value: '1000' }];
      const resource = { type: 2, name: 'administered', configEntries };
      await admin.alterConfigs({ validateOnly: false, resources: [resource] });
      expect(await described()).toBe('1000');
      await admin.createPartitions({ topicPartitions: [{ topic: 'administered', count: 5 }] });
      expect(await admin.fetchTopicOffsets('administered')).toHaveLength(5);
      await admin.deleteTopics({ topics: ['administered'] });
      expect(await admin.listTopics()).not.toContain('administered');
      const { brokers, clusterId } = await admin.describeCluster();
      expect(brokers).toHaveLength(nodes);
      expect(clusterId).toBe(broker.clusterId);
    });
  });

  test('administers groups, offsets and records', async () => {
    await createTopic('grouped', 1);
    await send('grouped', ['a', 'b', 'c']);
    await consume('administered-group', 'grouped', 3);
    await administer(async (admin) => {
      const { groups } = await admin.listGroups();
      expect(groups).toContainEqual({ groupId: 'administered-group', protocolType: 'consumer' });
      const { groups: described } = await admin.describeGroups(['administered-group']);
      expect(described[0]).toMatchObject({ state: 'Empty', members: [] });
      const groupId = 'administered-group';
      const fetched = await admin.fetchOffsets({ groupId, topics: ['grouped'] });
      expect(fetched[0]!.partitions[0]!.offset).toBe('3');
      const partitions = [{ partition: 0, offset: '2' }];
      await admin.deleteTopicRecords({ topic: 'grouped', partitions });
      expect((await admin.fetchTopicOffsets('grouped'))[0]).toMatchObject({ low: '2', high: '3' });
      await admin.deleteGroups([groupId]);
      expect((await admin.listGroups()).groups).not.toContainEqual(groups[0]);
    });
  });

  test('produces, plain and compressed, and consumes in a group', async () => {
    await createTopic('plain', 3);
    const producer = kafka.producer();
    await producer.connect();
    const messages = Array.from({ length: 50 }, (_, n) => ({ key: `${n}`, value: `v${n}` }));
    await producer.send({ topic: 'plain', messages: messages.slice(0, 25) });
    const compression = CompressionTypes.GZIP;
    await producer.send({ topic: 'plain', messages: messages.slice(25), compression });
    await producer.disconnect();
    expect(await consume('plain-readers', 'plain', 50)).toEqual(
      messages.map((each) => each.value).sort(),
    );
  });

  test('produces idempotently', async () => {
    await createTopic('idempotent', 1);
    const producer = kafka.producer({ idempotent: true });
    await producer.connect();
    for (let n = 0; n < 10; n++) {
      await producer.send({ topic: 'idempotent', messages: [{ key: 'k', value: `v${n}` }] });
    }
    await producer.disconnect();
    expect(await consume('idempotent-readers', 'idempotent', 10)).toHaveLength(10);
  });

  test('commits and aborts transactions, offsets included', async () => {
    await createTopic('transactional', 2);
    await createTopic('source', 1);
    const producer = kafka.producer({
      idempotent: true,
      transactionalId: 'foreign-1',
      transactionTimeout: 10 * PATIENT_MS,
      maxInFlightRequests: 1,
      retry: { initialRetryTime: 20 },
    });
    await producer.connect();
    for (const [round, outcome] of ['commit', 'abort', 'commit'].entries()) {
      const transaction = await producer.transaction();
      const messages = [0, 1].map((partition) => ({ partition, key: 'k', value: `r${round}` }));
      await transaction.send({ topic: 'transactional', messages });
      const partitions = [{ partition: 0, offset: String(round + 1) }];
      await transaction.sendOffsets({
        consumerGroupId: 'foreign-group',
        topics: [{ topic: 'source', partitions }],
      });
      if (outcome === 'commit') await transaction.commit();
      else await transaction.abort();
      // kafkajs begins the next one without waiting for the markers, and then fails.
      await until(() =>
        broker.listTransactions().every(({ state }) => !state.startsWith('Prepare')),
      );
    }
    await producer.disconnect();
    const values = await consume('transactional-readers', 'transactional', 4);
    expect(values).toEqual(['r0', 'r0', 'r2', 'r2']);
    const offsets = await administer((admin) =>
      admin.fetchOffsets({ groupId: 'foreign-group', topics: ['source'] }),
    );
    expect(offsets[0]!.partitions[0]!.offset).toBe('3');
  });

  test('shares the partitions of a topic between two members, one taking over', async () => {
    await createTopic('shared', 4);
    const owned = new Map<string, number>();
    const seen: string[] = [];
    const start = async (name: string) => {
      const consumer = kafka.consumer({
        groupId: 'sharers',
        maxWaitTimeInMs: 50,
        heartbeatInterval: 100,
        sessionTimeout: PATIENT_MS,
      });
      consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
        owned.set(name, payload.memberAssignment.shared?.length ?? 0);
      });
      await consumer.connect();
      await consumer.subscribe({ topics: ['shared'], fromBeginning: true });
      await consumer.run({
        eachMessage: async ({ message }) => {
          seen.push(message.value!.toString());
        },
      });
      return consumer;
    };
    const first = await start('first');
    await until(() => owned.get('first') === 4);
    const second = await start('second');
    await until(() => owned.get('first') === 2 && owned.get('second') === 2);
    await second.disconnect();
    await until(() => owned.get('first') === 4);
    const producer = kafka.producer();
    await producer.connect();
    const messages = [0, 1, 2, 3].map((partition) => ({ partition, value: `p${partition}` }));
    await producer.send({ topic: 'shared', messages });
    await until(() => seen.length === 4);
    expect(seen.sort()).toEqual(['p0', 'p1', 'p2', 'p3']);
    await producer.disconnect();
    await first.disconnect();
  });
});
