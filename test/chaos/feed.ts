/** Writes the input at a steady pace while brokers come and go. What counts is what the log says. */
import { Kafka, logLevel, type Producer } from 'kafkajs';
import type { SeededRandom } from '../../src/simulation/seeded-random.ts';
import { INPUT, PARTITIONS } from './topology.ts';

export interface FeedOptions {
  readonly brokers: readonly string[];
  readonly random: SeededRandom;
  readonly recordsPerMinute: number;
  readonly accountsPerPartition: number;
}

const TICK_MS = 50;
/**
 * Longer than any broker is slow: a request that was given up and comes late would be in the log after
 * everything that is known to be there. A broker that dies closes its connections.
 */
const REQUEST_MS_MOST = 120_000;
const RECORDS_MOST = 5_000;
const AMOUNT_MOST = 1_000;

export class Feed {
  readonly #options: FeedOptions;
  readonly #producer: Producer;
  #running: Promise<void> = Promise.resolve();
  #isFinished = false;
  #isStopped = false;
  /** Records that the brokers have acknowledged. */
  written = 0;
  /** Where they end in each partition. */
  readonly ends = new Array<number>(PARTITIONS).fill(0);

  constructor(options: FeedOptions) {
    this.#options = options;
    this.#producer = new Kafka({
      clientId: 'chaos-feed',
      brokers: [...options.brokers],
      logLevel: logLevel.NOTHING,
      requestTimeout: REQUEST_MS_MOST,
      retry: { initialRetryTime: 50, maxRetryTime: 300, retries: 100 },
    }).producer();
  }

  async start(): Promise<void> {
    await this.#producer.connect();
    this.#running = this.#run();
  }

  /** Writes no more; resolves when what is under way was acknowledged. */
  async finish(): Promise<void> {
    this.#isFinished = true;
    await this.#running;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running.catch(() => {});
    await this.#producer.disconnect();
  }

  async #run(): Promise<void> {
    const { recordsPerMinute } = this.#options;
    const began = performance.now();
    while (!this.#isFinished && !this.#isStopped) {
      const due = Math.ceil((recordsPerMinute * (performance.now() - began)) / 60_000);
      const count = Math.min(due - this.written, RECORDS_MOST);
      if (count > 0) await this.#write(count);
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
  }

  async #write(count: number): Promise<void> {
    const { random, accountsPerPartition } = this.#options;
    const messages = Array.from({ length: count }, () => {
      const partition = random.below(PARTITIONS);
      // All records of an account come from one input partition, so their order is known.
      const account = `a${partition}-${random.below(accountsPerPartition)}`;
      return { partition, key: null, value: `${account} ${random.below(AMOUNT_MOST)}` };
    });
    try {
      const answers = await this.#producer.send({ topic: INPUT, acks: -1, messages });
      this.written += count;
      for (const { partition, baseOffset } of answers) {
        const records = messages.filter((message) => message.partition === partition).length;
        this.ends[partition] = Number(baseOffset) + records;
      }
    } catch (error) {
      // Some of them may be there, and will be there twice: they are other records then.
      if (this.#isStopped) return;
      process.stderr.write(`the feed has to write again: ${error}\n`);
    }
  }
}
