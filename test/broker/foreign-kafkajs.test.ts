/** kafkajs as a foreign client: whoever wrote it did not know this broker. */
import { CompressionTypes, type EachMessagePayload, Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker/broker.ts';
import { type Listener, listen } from '../../src/broker/tcp.ts';
import { systemPorts } from '../../src/ports.ts';

let broker: Broker;
let listener: Listener;
let kafka: Kafka;

beforeAll(async () => {
  broker = new Broker({ ports: systemPorts });
  listener = await listen(broker, { host: '127.0.0.1', port: 0 });
  kafka = new Kafka({
    brokers: [`127.0.0.1:${listener.port}`],
    clientId: 'foreign',
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 20 },
  });
});

afterAll(async () => {
  broker.close();
  await listener.close();
});

async function createTopic(topic: string, numPartitions: number): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions }] });
  await admin.disconnect();
}

/** Collects `count` values of a topic from its beginning, in a group. */
async function consume(groupId: string, topic: string, count: number): Promise<string[]> {
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 50 });
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

describe('kafkajs', () => {
  test('administers topics', async () => {
    await createTopic('administered', 3);
    const admin = kafka.admin();
    await admin.connect();
    expect(await admin.listTopics()).toContain('administered');
    const described = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: 2, name: 'administered', configNames: ['cleanup.policy'] }],
    });
    expect(described.resources[0]!.configEntries[0]).toMatchObject({ configValue: 'delete' });
    expect(await admin.fetchTopicOffsets('administered')).toHaveLength(3);
    await admin.deleteTopics({ topics: ['administered'] });
    expect(await admin.listTopics()).not.toContain('administered');
    await admin.disconnect();
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
      await systemPorts.timers.sleep(20);
    }
    await producer.disconnect();
    const values = await consume('transactional-readers', 'transactional', 4);
    expect(values).toEqual(['r0', 'r0', 'r2', 'r2']);
    const admin = kafka.admin();
    await admin.connect();
    const offsets = await admin.fetchOffsets({ groupId: 'foreign-group', topics: ['source'] });
    expect(offsets[0]!.partitions[0]!.offset).toBe('3');
    await admin.disconnect();
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
        sessionTimeout: 5_000,
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
    const until = async (condition: () => boolean) => {
      for (let tries = 0; !condition() && tries < 400; tries++) await systemPorts.timers.sleep(20);
      expect(condition()).toBe(true);
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
