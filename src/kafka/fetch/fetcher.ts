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
 * I3. A feed leaves its position only by a policy that its source states, and then it is told: a
 *     warning, a count and the listener.
 * I4. What waits to be taken is bounded per partition and in all (`fetch-budget.ts`), and a partition
 *     that nobody takes from holds back no other.
 */
import { asEscapementError, EscapementError } from '../../errors.ts';
import type { Ports } from '../../ports.ts';
import type { Log } from '../../telemetry/log.ts';
import { listOffsets } from '../admin/list-offsets.ts';
import { isPassing } from '../cluster/attempts.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { BrokerError, KafkaErrorCode } from '../protocol/error-codes.ts';
import { DECOMPRESSED_BYTES_MAX } from '../records/codecs.ts';
import { endOffsets } from './end-offsets.ts';
import { FetchBudget } from './fetch-budget.ts';
import type { Isolation } from './fetch-request.ts';
import { NodePoller, type PollerOptions } from './node-poller.ts';
import { Feed, isOutOfRange, type OutOfRange, type PartitionFeed } from './partition-feed.ts';

export type { OutOfRange, PartitionFeed } from './partition-feed.ts';

const PAUSE_FIRST_MS = 20;
const PAUSE_MAX_MS = 1_000;
const BYTES_PER_PARTITION_MAX = 4 * 1024 * 1024;
const BYTES_MAX = 64 * 1024 * 1024;
/** As long as Kafka's consumer keeps metadata, and with it the replica it was sent to. */
const REPLICA_LEASE_MS = 300_000;

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
  /** What all partitions together may hold and ask for. Default 64 MiB. */
  readonly bytesMax?: number;
  /** Most bytes that one compressed batch may become. Default 64 MiB. */
  readonly decompressedBytesMax?: number;
  /** Default `read_committed`. */
  readonly isolation?: Isolation;
  /** Java: `client.rack`. Default: none. */
  readonly rackId?: string | null;
  /** A feed went on elsewhere by its policy. */
  readonly offsetReset?: (event: OffsetReset) => void;
}

export interface OffsetReset {
  readonly topic: string;
  readonly partition: number;
  /** The position that is not in the log. */
  readonly from: number;
  readonly to: number;
  readonly policy: 'earliest' | 'latest';
}

export interface FetchCounts {
  /** Positions that were left by policy. */
  offsetResets: number;
  /** Requests or partitions of them that failed and were repeated. */
  repeated: number;
}

export class Fetcher {
  readonly #cluster: Cluster;
  readonly #ports: Ports;
  readonly #log: Log;
  readonly #pollerOptions: PollerOptions;
  readonly #budget: FetchBudget;
  readonly #offsetReset: (event: OffsetReset) => void;
  readonly counts: FetchCounts = { offsetResets: 0, repeated: 0 };
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
    this.#budget = new FetchBudget({
      bytesMax: options.bytesMax ?? BYTES_MAX,
      bytesPerPartitionMax,
    });
    this.#offsetReset = options.offsetReset ?? (() => {});
    this.#pollerOptions = {
      cluster: options.cluster,
      isolation: options.isolation ?? 'read_committed',
      maxWaitMs: options.maxWaitMs ?? 500,
      prefetchBytesPerPartitionMax: options.prefetchBytesPerPartitionMax ?? bytesPerPartitionMax,
      decompressedBytesMax: options.decompressedBytesMax ?? DECOMPRESSED_BYTES_MAX,
      rackId: options.rackId ?? '',
      budget: this.#budget,
      arrived: () => this.#announce(),
      displaced: (feed, error) => this.#displaced(feed, error),
      redirected: (feed, node) => this.#redirected(feed, node),
    };
  }

  /** Bytes that wait to be taken, of all feeds. */
  get heldBytes(): number {
    return this.#budget.held;
  }

  /** Starts reading at `offset`. `outOfRange`: what to do when that is not in the log. */
  add(
    topic: string,
    partition: number,
    offset: number,
    outOfRange: OutOfRange = 'fail',
  ): PartitionFeed {
    if (this.#state === 'closed') throw new EscapementError('CLOSED', 'The fetcher is closed.');
    const taken = (from: Feed, bytes: number) => this.#taken(from, bytes);
    const feed = new Feed({ topic, partition, offset, outOfRange, taken });
    this.#feeds.add(feed);
    this.#budget.enter();
    void this.#home(feed);
    return feed;
  }

  /** Stops reading; what was not taken is gone. */
  remove(feed: PartitionFeed): void {
    const own = feed as Feed;
    if (!this.#feeds.delete(own)) return;
    this.#budget.leave();
    this.#budget.release(own.bufferedBytes);
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

  #taken(feed: Feed, bytes: number): void {
    this.#budget.release(bytes);
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
        return this.#fail(feed, error);
      }
    }
  }

  #displaced(feed: Feed, error: EscapementError): void {
    const { topic, partition, position } = feed;
    const atLeader = feed.replicaUntil < 0;
    feed.failures++;
    feed.replicaUntil = -1;
    this.counts.repeated += 1;
    this.#log.debug({ topic, partition, position, error: error.message }, 'fetch.repeated');
    this.#cluster.forgetLeader(topic, partition);
    if (!this.#feeds.has(feed)) return;
    if (atLeader && isOutOfRange(error)) void this.#reset(feed, error);
    else void this.#home(feed);
  }

  /** `node` -1: back to the leader. */
  #redirected(feed: Feed, node: number): void {
    const { topic, partition } = feed;
    this.#log.debug({ topic, partition, node }, 'fetch.redirected');
    feed.replicaUntil = node < 0 ? -1 : this.#ports.clock.monotonic() + REPLICA_LEASE_MS;
    if (!this.#feeds.has(feed)) return;
    if (node < 0) void this.#home(feed);
    else this.#poller(node).add(feed);
  }

  /** I3. */
  async #reset(feed: Feed, error: EscapementError): Promise<void> {
    const { topic, partition, position: from, outOfRange: policy } = feed;
    if (policy === 'fail') return this.#fail(feed, error);
    for (;;) {
      await this.#ports.timers.sleep(pauseAfter(feed.failures));
      if (!this.#feeds.has(feed)) return;
      try {
        const to = await this.#end(feed, policy);
        if (!this.#feeds.has(feed)) return;
        feed.resetTo(to);
        this.counts.offsetResets += 1;
        this.#log.warn({ topic, partition, from, to, policy }, 'fetch.offset_reset');
        this.#offsetReset({ topic, partition, from, to, policy });
        this.#announce();
        return this.#home(feed);
      } catch (cause) {
        if (!this.#feeds.has(feed)) return;
        if (!isPassing(cause)) return this.#fail(feed, cause);
        feed.failures++;
        this.#log.warn({ topic, partition, error: cause.message }, 'fetch.reset_repeated');
      }
    }
  }

  /** For `read_committed` the end is the last stable offset: what is open above it will be read. */
  async #end({ topic, partition }: Feed, policy: 'earliest' | 'latest'): Promise<number> {
    if (policy === 'earliest') return listOffsets(this.#cluster, topic, partition, 'earliest');
    const { lastStableOffset, highWatermark } = await endOffsets(this.#cluster, topic, partition);
    return this.#pollerOptions.isolation === 'read_committed' ? lastStableOffset : highWatermark;
  }

  #fail(feed: Feed, cause: unknown): void {
    feed.error = asEscapementError(cause);
    this.#announce();
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
