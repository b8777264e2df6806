/** The topics of a chaos run and what its group has committed; kafkajs asks, past the proxies. */
import { type Admin, Kafka, logLevel } from 'kafkajs';
import { RawConnection } from '../../topologies/billing/raw-connection.ts';
import { APPLICATION_ID, INPUT, OUTPUT, PARTITIONS } from './topology.ts';

const LED_MS_MOST = 120_000;
const POLL_MS = 100;

export class Topics {
  readonly #brokers: readonly string[];
  readonly #admin: Admin;

  constructor(brokers: readonly string[]) {
    this.#brokers = brokers;
    this.#admin = new Kafka({
      clientId: 'chaos-topics',
      brokers: [...brokers],
      logLevel: logLevel.NOTHING,
      retry: { initialRetryTime: 50, maxRetryTime: 500, retries: 40 },
    }).admin();
  }

  /** Resolves when every broker knows them: a process asks any, and ends when it hears of none. */
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

  /** Where the log of each partition ends, also right after it got another leader (KIP-207). */
  async ends(topic: string): Promise<number[]> {
    const ends = new Array<number>(PARTITIONS).fill(0);
    for (const { partition, high } of await this.#admin.fetchTopicOffsets(topic)) {
      ends[partition] = Number(high);
    }
    return ends;
  }

  async close(): Promise<void> {
    await this.#admin.disconnect();
  }

  async #areLed(): Promise<boolean> {
    try {
      const known = await Promise.all(
        this.#brokers.flatMap((broker) => [INPUT, OUTPUT].map((topic) => leaders(broker, topic))),
      );
      return known.flat().every((leader) => leader !== '');
    } catch {
      return false;
    }
  }
}

/** As this broker knows them; rejects while it does not know the topic. */
async function leaders(broker: string, topic: string): Promise<string[]> {
  const connection = await RawConnection.to(broker);
  try {
    return await connection.leaders(topic);
  } finally {
    connection.close();
  }
}
