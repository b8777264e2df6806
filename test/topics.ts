/** Topics for tests, made through kafkajs, which gives up on a topic that its broker does not know yet. */
import { type ITopicConfig, Kafka, logLevel } from 'kafkajs';

const WAIT_MS = 60_000;
const POLL_MS = 50;

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
  const deadline = performance.now() + WAIT_MS;
  while (!(await led().catch(() => false))) {
    if (performance.now() > deadline) throw new Error(`not all led: ${names.join(', ')}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  await admin.disconnect();
}
