/**
 * Reads partitions ahead of the tasks that process them, one long poll per broker.
 *
 * Owned by an instance. Feeds are added and removed with the tasks; where a partition is led is this
 * file's business. The fetcher never joins, leaves or moves group offsets: a changed leader changes
 * nothing but the node that is asked.
 *
 * I1. A feed that is added gets its first records without waiting for a long poll that runs.
 * I2. A feed fails only by an error that asking again cannot mend (an offset out of range, a missing
 *     right, a corrupt batch twice, a topic gone for good). Lost connections are repeated with growing
 *     pauses for as long as the feed lives: the group session bounds that, not the fetcher.
 */
import { EscapementError } from '../../errors.ts';
import type { Ports } from '../../ports.ts';
import type { Log } from '../../telemetry/log.ts';
import { isPassing } from '../cluster/attempts.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { BrokerError, KafkaErrorCode } from '../protocol/error-codes.ts';
import type { Isolation } from './fetch-request.ts';
import { NodePoller, type PollerOptions } from './node-poller.ts';
import { Feed, type PartitionFeed } from './partition-feed.ts';

export type { PartitionFeed } from './partition-feed.ts';

const PAUSE_FIRST_MS = 20;
const PAUSE_MAX_MS = 1_000;
const BYTES_PER_PARTITION_MAX = 4 * 1024 * 1024;

export interface FetcherOptions {
  readonly cluster: Cluster;
  readonly ports: Ports;
  readonly log: Log;
  /** How long the broker holds a request that finds nothing. Default 500. */
  readonly maxWaitMs?: number;
  /** Asked of the broker per partition and request. Default 4 MiB. */
  readonly bytesPerPartitionMax?: number;
  /** A partition with that much waiting is not asked for. Default: `bytesPerPartitionMax`. */
  readonly prefetchBytesPerPartitionMax?: number;
  /** Default `read_committed`. */
  readonly isolation?: Isolation;
}

export class Fetcher {
  readonly #cluster: Cluster;
  readonly #ports: Ports;
  readonly #log: Log;
  readonly #pollerOptions: PollerOptions;
  readonly #pollers = new Map<number, NodePoller>();
  readonly #feeds = new Set<Feed>();
  #news: 'none' | 'some' = 'none';
  #arrival: { readonly promise: Promise<void>; readonly resolve: () => void } | null = null;
  #state: 'open' | 'closed' = 'open';

  constructor(options: FetcherOptions) {
    this.#cluster = options.cluster;
    this.#ports = options.ports;
    this.#log = options.log;
    const bytesPerPartitionMax = options.bytesPerPartitionMax ?? BYTES_PER_PARTITION_MAX;
    this.#pollerOptions = {
      cluster: options.cluster,
      isolation: options.isolation ?? 'read_committed',
      maxWaitMs: options.maxWaitMs ?? 500,
      bytesPerPartitionMax,
      prefetchBytesPerPartitionMax: options.prefetchBytesPerPartitionMax ?? bytesPerPartitionMax,
      arrived: () => this.#announce(),
      displaced: (feed, error) => this.#displaced(feed, error),
    };
  }

  /** Starts reading at `offset`. */
  add(topic: string, partition: number, offset: number): PartitionFeed {
    if (this.#state === 'closed') throw new EscapementError('CLOSED', 'The fetcher is closed.');
    const feed = new Feed(topic, partition, offset, (taken) => this.#taken(taken));
    this.#feeds.add(feed);
    void this.#home(feed);
    return feed;
  }

  /** Stops reading; what was not taken is gone. */
  remove(feed: PartitionFeed): void {
    const own = feed as Feed;
    if (!this.#feeds.delete(own)) return;
    own.end();
    for (const poller of this.#pollers.values()) poller.remove(own);
  }

  /**
   * Resolves when something arrived, or failed, since the last call. It may have been taken already:
   * the caller looks at its feeds and waits again.
   */
  arrival(): Promise<void> {
    if (this.#news === 'some' || this.#state === 'closed') {
      this.#news = 'none';
      return Promise.resolve();
    }
    if (this.#arrival === null) {
      let resolve = () => {};
      const promise = new Promise<void>((done) => {
        resolve = done;
      });
      this.#arrival = { promise, resolve };
    }
    return this.#arrival.promise;
  }

  /** Ends all feeds. A long poll under way is left to end by itself; its answer is dropped. */
  close(): Promise<void> {
    this.#state = 'closed';
    for (const feed of [...this.#feeds]) this.remove(feed);
    for (const poller of this.#pollers.values()) poller.close();
    this.#pollers.clear();
    this.#announce();
    return Promise.resolve();
  }

  #announce(): void {
    const arrival = this.#arrival;
    this.#arrival = null;
    if (arrival === null) this.#news = 'some';
    else arrival.resolve();
  }

  #taken(feed: Feed): void {
    if (feed.state !== 'idle') return;
    for (const poller of this.#pollers.values()) if (poller.has(feed)) poller.wake();
  }

  /** Finds the leader and hands the feed to its poller. */
  async #home(feed: Feed): Promise<void> {
    const { topic, partition } = feed;
    for (;;) {
      if (feed.failures > 0) await this.#ports.timers.sleep(pauseAfter(feed.failures));
      if (!this.#feeds.has(feed)) return;
      try {
        const node = await this.#cluster.leaderOf(topic, partition);
        if (this.#feeds.has(feed)) this.#poller(node).add(feed);
        return;
      } catch (error) {
        if (!this.#feeds.has(feed)) return;
        feed.failures++;
        if (isPassing(error) && !isGone(error)) {
          this.#log.warn({ topic, partition, error: error.message }, 'fetch.leader_unknown');
          continue;
        }
        feed.error = error instanceof EscapementError ? error : null;
        if (feed.error === null) throw error;
        this.#announce();
        return;
      }
    }
  }

  #displaced(feed: Feed, error: EscapementError): void {
    const { topic, partition, position } = feed;
    feed.failures++;
    this.#log.debug({ topic, partition, position, error: error.message }, 'fetch.repeated');
    this.#cluster.forgetLeader(topic, partition);
    if (this.#feeds.has(feed)) void this.#home(feed);
  }

  #poller(node: number): NodePoller {
    let poller = this.#pollers.get(node);
    if (poller === undefined) {
      poller = new NodePoller(node, this.#pollerOptions);
      this.#pollers.set(node, poller);
    }
    return poller;
  }
}

function pauseAfter(failures: number): number {
  return Math.min(PAUSE_FIRST_MS * 2 ** Math.min(failures - 1, 10), PAUSE_MAX_MS);
}

/** The lookup itself waited for the topic to appear; then it does not exist. */
function isGone(error: EscapementError): boolean {
  const gone = KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
  return error instanceof BrokerError && error.kafkaCode === gone;
}
