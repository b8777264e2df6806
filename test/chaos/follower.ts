/** Follows a partition's log on real brokers, from its start and without an end. */
import { rawBatches } from '../../src/simulation/oracle/raw-batches.ts';
import { RawConnection, type RawFetched } from '../../topologies/billing/raw-connection.ts';
import { logStart } from './log-start.ts';
import { type SettledListener, SettledLog } from './settled-log.ts';

const OFFSET_OUT_OF_RANGE = 1;
const RETRY_MS = 200;

export interface FollowerOptions extends SettledListener {
  /** Addresses past the proxies. */
  readonly brokers: readonly string[];
  readonly topic: string;
  readonly partition: number;
  /** Hears that the log was read, or passed, some way further. */
  readonly advanced?: (log: SettledLog) => void;
  /** Hears of records that were deleted before they could be read. */
  readonly skipped?: (from: number, to: number) => void;
  /** Hears what cannot be read, which no retry mends. */
  readonly failed: (error: Error) => void;
}

interface Leader {
  readonly address: string;
  readonly connection: RawConnection;
}

export class Follower {
  readonly log: SettledLog;
  readonly topic: string;
  readonly partition: number;
  /** As of the last answer: log start, high watermark and last stable offset. */
  start = 0;
  end = 0;
  stableEnd = 0;
  /** Of the last committed record; -1: there is none. */
  lastRecord = -1;
  /** Whether an answer has come. */
  isRead = false;
  readonly #options: FollowerOptions;
  #isRunning = true;
  readonly #done: Promise<void>;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.topic = options.topic;
    this.partition = options.partition;
    this.log = new SettledLog({
      committed: (record) => {
        this.lastRecord = Math.max(this.lastRecord, record.offset);
        options.committed(record);
      },
      aborted: (record) => options.aborted(record),
    });
    this.#done = this.#follow();
  }

  async close(): Promise<void> {
    this.#isRunning = false;
    await this.#done;
  }

  async #follow(): Promise<void> {
    while (this.#isRunning) {
      let connection: RawConnection | null = null;
      try {
        const leader = await this.#toLeader();
        connection = leader.connection;
        while (this.#isRunning) await this.#next(leader);
      } catch (error) {
        if (error instanceof Unreadable) {
          this.#options.failed(error);
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      } finally {
        connection?.close();
      }
    }
  }

  async #toLeader(): Promise<Leader> {
    const { brokers, topic, partition } = this.#options;
    for (const address of brokers) {
      let connection: RawConnection | null = null;
      try {
        connection = await RawConnection.to(address);
        const leader = (await connection.leaders(topic))[partition] ?? '';
        if (leader !== '') return { address: leader, connection: await RawConnection.to(leader) };
      } catch {
        // The next one may answer.
      } finally {
        connection?.close();
      }
    }
    throw new Error(`${topic}-${partition} has no leader that answers`);
  }

  async #next({ address, connection }: Leader): Promise<void> {
    const { topic, partition } = this.#options;
    const from = this.log.position;
    const fetched = await connection.fetch(topic, partition, BigInt(from), 1);
    if (fetched.errorCode === OFFSET_OUT_OF_RANGE) {
      const start = await logStart(address, topic, partition);
      if (start > from) {
        this.#skip(from, start);
        return;
      }
    }
    // Also out of range, for some moments: a new leader that does not yet know how far it may serve.
    if (fetched.errorCode !== 0) throw new Error(`error ${fetched.errorCode}`);
    this.#take(fetched);
  }

  #skip(from: number, start: number): void {
    this.#options.skipped?.(from, start);
    this.log.skipTo(start);
    // Nothing may come after it, and everything below it has its fate.
    this.#options.advanced?.(this.log);
  }

  #take({ records, start, end, stableEnd }: RawFetched): void {
    const { topic, partition } = this.#options;
    try {
      for (const batch of rawBatches(records)) this.log.take(batch);
    } catch (cause) {
      throw new Unreadable(`${topic}-${partition} at ${this.log.position}: ${cause}`, { cause });
    }
    this.isRead = true;
    this.start = Number(start);
    this.end = Number(end);
    this.stableEnd = Number(stableEnd);
    if (records.length > 0) this.#options.advanced?.(this.log);
  }
}

class Unreadable extends Error {}
