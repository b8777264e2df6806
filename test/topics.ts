/** Topics for tests, made through kafkajs, which gives up on a topic that its broker does not know yet. */
import { type ITopicConfig, Kafka, logLevel } from 'kafkajs';
import { expect } from 'vitest';

const WAIT_MS = 20_000;

/** Creates topics and waits until every partition has a leader. `bootstrap`: addresses, comma-separated. */
export async function createTopics(bootstrap: string, topics: ITopicConfig[]): Promise<void> {
  const admin = new Kafka({ brokers: bootstrap.split(','), logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  await admin.createTopics({ topics, waitForLeaders: false });
  const names = topics.map(({ topic }) => topic);
  const led = async (): Promise<boolean> => {
    const { topics: found } = await admin.fetchTopicMetadata({ topics: names });
    return found.every(({ partitions }) => partitions.every(({ leader }) => leader >= 0));
  };
  await expect.poll(() => led().catch(() => false), { timeout: WAIT_MS }).toBe(true);
  await admin.disconnect();
}
