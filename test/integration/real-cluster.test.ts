/** The three nodes that other tests lose on purpose. */
import { Kafka, logLevel } from 'kafkajs';
import { expect, test } from 'vitest';
import { createTopics } from '../topics.ts';
import { type RealCluster, startKafkaCluster } from './real/kafka-cluster.ts';
import { describeReal } from './real/parts.ts';

const TOPIC = 'kept';
const WAIT = { timeout: 60_000 } as const;

/** Writes a record to each partition, at least once, acknowledged by the replicas in sync. */
async function write(cluster: RealCluster): Promise<void> {
  const brokers = cluster.bootstrap.split(',');
  const retry = { initialRetryTime: 100, maxRetryTime: 500, retries: 240 };
  const producer = new Kafka({ brokers, logLevel: logLevel.NOTHING, retry }).producer();
  await producer.connect();
  try {
    const messages = [0, 1, 2].map((partition) => ({ partition, value: 'x' }));
    await producer.send({ topic: TOPIC, acks: -1, messages });
  } finally {
    await producer.disconnect();
  }
}

describeReal('three nodes of Kafka', () => {
  test('lead on while one of them is killed, comes back, and another stands still', async () => {
    const cluster = await startKafkaCluster({ version: '4.3.1' });
    try {
      await createTopics(cluster.bootstrap, [
        { topic: TOPIC, numPartitions: 3, replicationFactor: 3 },
      ]);
      await write(cluster);
      // A node may hear of a new leader later than another one.
      const leaderOf = (partition: number) => async () =>
        (await cluster.leaderOf(TOPIC, partition)).id;

      const killed = await cluster.leaderOf(TOPIC, 0);
      const { pid } = killed;
      await killed.kill();
      await write(cluster);
      await expect.poll(leaderOf(0), WAIT).not.toBe(killed.id);
      await killed.restart();
      expect(killed.pid).not.toBe(pid);
      await cluster.untilInSync();

      const paused = await cluster.leaderOf(TOPIC, 1);
      await paused.pause();
      await expect.poll(leaderOf(1), WAIT).not.toBe(paused.id);
      paused.resume();
      await cluster.untilInSync();
      await write(cluster);
    } finally {
      await cluster.stop();
    }
  });
});
