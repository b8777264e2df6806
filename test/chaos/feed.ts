/** Writes the input at a steady pace while brokers come and go. What counts is what the log says. */
import { Kafka, logLevel, type Producer } from 'kafkajs';
import type { SeededRandom } from '../../src/simulation/seeded-random.ts';
import { INPUT, PARTITIONS } from './topology.ts';

export interface FeedOptions {
  readonly brokers: readonly string[];
  readonly random: SeededRandom;
  readonly records: number;
  /** In which they are written. */
  readonly durationMs: number;
  readonly accountsPerPartition: number;
}

const TICK_MS = 50;
const RECORDS_MOST = 5_000;
const AMOUNT_MOST = 1_000;

export class Feed {
  readonly #options: FeedOptions;
  readonly #producer: Producer;
  #running: Promise<void> = Promise.resolve();
  #isStopped = false;
  /** Records that the brokers have acknowledged. */
  written = 0;

  constructor(options: FeedOptions) {
    this.#options = options;
    this.#producer = new Kafka({
      clientId: 'chaos-feed',
      brokers: [...options.brokers],
      logLevel: logLevel.NOTHING,
      requestTimeout: 5_000,
      retry: { initialRetryTime: 50, maxRetryTime: 300, retries: 100 },
    }).producer();
  }

  async start(): Promise<void> {
    await this.#producer.connect();
    this.#running = this.#run();
  }

  /** Resolves when all is written, or after `stop`. */
  ended(): Promise<void> {
    return this.#running;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running.catch(() => {});
    await this.#producer.disconnect();
  }

  async #run(): Promise<void> {
    const { records, durationMs } = this.#options;
    const began = performance.now();
    while (this.written < records && !this.#isStopped) {
      const due = Math.ceil((records * (performance.now() - began)) / durationMs);
      const count = Math.min(due, records, this.written + RECORDS_MOST) - this.written;
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
      await this.#producer.send({ topic: INPUT, acks: -1, messages });
      this.written += count;
    } catch (error) {
      // Some of them may be there, and will be there twice: they are other records then.
      if (this.#isStopped) return;
      process.stderr.write(`the feed has to write again: ${error}\n`);
    }
  }
}
