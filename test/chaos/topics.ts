/** The topics of a chaos run and what its group has committed; kafkajs asks, past the proxies. */
import { type Admin, Kafka, logLevel } from 'kafkajs';
import { APPLICATION_ID, INPUT, OUTPUT, PARTITIONS } from './topology.ts';

const LED_MS_MOST = 30_000;
const POLL_MS = 100;

export class Topics {
  readonly #admin: Admin;

  constructor(brokers: readonly string[]) {
    this.#admin = new Kafka({
      clientId: 'chaos-topics',
      brokers: [...brokers],
      logLevel: logLevel.NOTHING,
      retry: { initialRetryTime: 50, maxRetryTime: 500, retries: 40 },
    }).admin();
  }

  async create(): Promise<void> {
    await this.#admin.connect();
    await this.#admin.createTopics({
      waitForLeaders: false,
      topics: [INPUT, OUTPUT].map((topic) => ({
        ...{ topic, numPartitions: PARTITIONS, replicationFactor: 3 },
        configEntries: [{ name: 'retention.ms', value: '-1' }],
      })),
    });
    const deadline = performance.now() + LED_MS_MOST;
    while (!(await this.#areLed())) {
      if (performance.now() > deadline) throw new Error('the new topics have no leaders');
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Offsets that the application has committed; -1: none. */
  async committed(topic: string): Promise<number[]> {
    const [offsets] = await this.#admin.fetchOffsets({ groupId: APPLICATION_ID, topics: [topic] });
    const committed = new Array<number>(PARTITIONS).fill(-1);
    for (const { partition, offset } of offsets?.partitions ?? []) {
      committed[partition] = Number(offset);
    }
    return committed;
  }

  async close(): Promise<void> {
    await this.#admin.disconnect();
  }

  async #areLed(): Promise<boolean> {
    try {
      const { topics } = await this.#admin.fetchTopicMetadata({ topics: [INPUT, OUTPUT] });
      return topics.every(({ partitions }) => partitions.every(({ leader }) => leader >= 0));
    } catch {
      return false;
    }
  }
}
