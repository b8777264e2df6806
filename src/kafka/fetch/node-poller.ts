/**
 * Fetches all feeds whose leader is one node: a long poll, and short polls beside it.
 *
 * A long poll holds its socket until data arrives or `maxWaitMs` passes. A feed that becomes due
 * meanwhile (just added, or drained below its bound) would wait behind it; so it is asked for on the
 * `read` lane, without waiting on the broker, until the long poll comes back and takes it in.
 *
 * I1. At most one long poll and one short poll are under way, and no feed is in both.
 * I2. The next request leaves before the news of the last answer do, so that fetching goes on while
 *     its records are processed.
 * I3. Nothing spins: a long poll waits on the broker, and a short poll without news pauses here.
 * I4. An answer for a feed that ended meanwhile is dropped.
 * I5. What the budget granted for a request is given back when its answer is here, whatever it is.
 */
import { EscapementError } from '../../errors.ts';
import { isPassing } from '../cluster/attempts.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { brokerError, KafkaErrorCode } from '../protocol/error-codes.ts';
import { type FetchedRecords, parseFetched } from '../records/parse-fetched.ts';
import type { FetchBudget, Grant } from './fetch-budget.ts';
import {
  type FetchAnswer,
  type FetchedPartition,
  type Isolation,
  sendFetch,
} from './fetch-request.ts';
import { type Feed, isOutOfRange } from './partition-feed.ts';

/** Between short polls that bring nothing. */
const SHORT_POLL_PAUSE_MS = 20;

export interface PollerOptions {
  readonly cluster: Cluster;
  readonly isolation: Isolation;
  readonly maxWaitMs: number;
  readonly prefetchBytesPerPartitionMax: number;
  readonly decompressedBytesMax: number;
  readonly rackId: string;
  readonly budget: FetchBudget;
  /** Chunks or errors can be taken. */
  readonly arrived: () => void;
  /** The feed must find its leader again, or another offset, after a pause. */
  readonly displaced: (feed: Feed, error: EscapementError) => void;
  /** The leader names a replica near this process to read from instead (KIP-392). */
  readonly redirected: (feed: Feed, node: number) => void;
}

interface Ask {
  readonly feeds: readonly Feed[];
  readonly grant: Grant;
}

export class NodePoller {
  readonly #node: number;
  readonly #options: PollerOptions;
  readonly #feeds = new Set<Feed>();
  #longPoll: 'none' | 'due' | 'running' = 'none';
  #shortPoll: 'none' | 'due' | 'running' = 'none';
  /** Of the short poll under way. */
  #shortAnswer: Promise<'none' | 'some'> | null = null;
  #rotation = 0;
  #closed: 'no' | 'yes' = 'no';

  constructor(node: number, options: PollerOptions) {
    this.#node = node;
    this.#options = options;
  }

  add(feed: Feed): void {
    feed.state = 'idle';
    this.#feeds.add(feed);
    this.wake();
  }

  remove(feed: Feed): void {
    this.#feeds.delete(feed);
  }

  has(feed: Feed): boolean {
    return this.#feeds.has(feed);
  }

  close(): void {
    this.#closed = 'yes';
    this.#feeds.clear();
  }

  /** A feed may be due. Several wakes in one turn make one request. */
  wake(): void {
    if (this.#longPoll === 'none') {
      this.#longPoll = 'due';
      Promise.resolve().then(() => this.#pollLong());
    } else if (this.#longPoll === 'running' && this.#shortPoll === 'none') {
      this.#shortPoll = 'due';
      Promise.resolve().then(() => this.#pollShort());
    }
  }

  async #pollLong(): Promise<void> {
    this.#longPoll = 'running';
    let news: 'none' | 'some' = 'none';
    for (;;) {
      if (this.#shortAnswer !== null) {
        if (news === 'some') this.#options.arrived();
        news = 'none';
        await this.#afterShort(this.#shortAnswer);
      }
      const ask = this.#due();
      const answer = ask === null ? null : this.#send(ask, this.#options.maxWaitMs);
      if (news === 'some') this.#options.arrived();
      if (ask === null || answer === null) break;
      news = await this.#absorb(ask, answer);
    }
    this.#longPoll = 'none';
  }

  async #pollShort(): Promise<void> {
    this.#shortPoll = 'running';
    while (this.#longPoll === 'running') {
      const ask = this.#due();
      if (ask === null) break;
      this.#shortAnswer = this.#absorb(ask, this.#send(ask, 0));
      const news = await this.#shortAnswer;
      this.#shortAnswer = null;
      if (news === 'some') this.#options.arrived();
      else await this.#options.cluster.ports.timers.sleep(SHORT_POLL_PAUSE_MS);
    }
    this.#shortPoll = 'none';
    // The long poll may have ended during the pause, when nothing was left for it to ask.
    if (this.#longPoll === 'none' && this.#closed === 'no') this.wake();
  }

  /**
   * The long poll takes in what is asked for beside it, for which the answer must be here; that it is
   * waited for no longer than a pause keeps a lost one from holding the others up.
   */
  async #afterShort(answer: Promise<unknown>): Promise<void> {
    this.#longPoll = 'due';
    await Promise.race([answer, this.#options.cluster.ports.timers.sleep(SHORT_POLL_PAUSE_MS)]);
    this.#longPoll = 'running';
  }

  /** The feeds to ask for, in an order that moves on: the first always gets a whole batch. */
  #due(): Ask | null {
    const { prefetchBytesPerPartitionMax, budget } = this.#options;
    let due: Feed[] = [];
    for (const feed of this.#feeds) {
      if (feed.state !== 'idle' || feed.error !== null) continue;
      if (feed.bufferedBytes < prefetchBytesPerPartitionMax) due.push(feed);
    }
    const empty = due.filter((feed) => feed.bufferedBytes === 0);
    const grant = budget.grant(due.length, empty.length);
    if (grant.whom === 'empty') due = empty;
    if (due.length === 0) return null;
    // A broker gives only the first partition more than its byte limit, when a single batch is
    // larger: a fixed order would starve the others.
    this.#rotation = (this.#rotation + 1) % due.length;
    const feeds = [...due.slice(this.#rotation), ...due.slice(0, this.#rotation)];
    return { feeds, grant };
  }

  #send({ feeds, grant }: Ask, maxWaitMs: number): Promise<FetchAnswer> {
    for (const feed of feeds) feed.state = 'asked';
    const { cluster, isolation, rackId, budget } = this.#options;
    const { partitionBytes: bytesPerPartitionMax, answerBytes: answerBytesMax } = grant;
    const terms = { isolation, maxWaitMs, bytesPerPartitionMax, answerBytesMax, rackId };
    budget.ask(grant);
    return sendFetch(cluster, this.#node, feeds, terms);
  }

  async #absorb(ask: Ask, pending: Promise<FetchAnswer>): Promise<'none' | 'some'> {
    const { feeds, grant } = ask;
    let answer: FetchAnswer;
    try {
      answer = await pending;
    } catch (error) {
      return this.#failAll(feeds, error);
    } finally {
      this.#options.budget.answered(grant);
    }
    let news: 'none' | 'some' = 'none';
    for (const { topic, partitions } of answer.responses) {
      for (const fetched of partitions) {
        const feed = feeds.find(
          (asked) => asked.partition === fetched.partitionIndex && asked.topic === topic,
        );
        if (feed === undefined || feed.state !== 'asked') continue;
        feed.state = 'idle';
        if (this.#accept(feed, fetched) === 'some') news = 'some';
        this.#leaveReplica(feed);
      }
    }
    // A partition without an answer is simply asked for again.
    for (const feed of feeds) if (feed.state === 'asked') feed.state = 'idle';
    return news;
  }

  #failAll(feeds: readonly Feed[], error: unknown): 'none' | 'some' {
    let news: 'none' | 'some' = 'none';
    for (const feed of feeds) {
      if (feed.state !== 'asked') continue;
      feed.state = 'idle';
      if (this.#fail(feed, error) === 'some') news = 'some';
    }
    return news;
  }

  #accept(feed: Feed, fetched: FetchedPartition): 'none' | 'some' {
    const { topic, partition, position } = feed;
    if (fetched.errorCode !== 0) {
      const what = `Fetch of ${topic}-${partition} at offset ${position}`;
      const at = { topic, partition, offset: position };
      return this.#fail(feed, brokerError(fetched.errorCode, what, at));
    }
    const replica = fetched.preferredReadReplica;
    if (replica >= 0 && replica !== this.#node) {
      this.#feeds.delete(feed);
      feed.state = 'homing';
      this.#options.redirected(feed, replica);
      return 'none';
    }
    feed.failures = 0;
    // Who waited to hear whether the partition holds anything is told, also when it is empty.
    const nothingNew = feed.lastStableOffset < 0 ? 'some' : 'none';
    feed.highWatermark = fetched.highWatermark;
    feed.lastStableOffset = fetched.lastStableOffset;
    if (fetched.records === null || fetched.records.length === 0) return nothingNew;
    let chunk: FetchedRecords;
    try {
      chunk = parseFetched(fetched.records, {
        fetchOffset: position,
        isolation: this.#options.isolation,
        abortedTransactions: fetched.abortedTransactions,
        source: { topic, partition },
        decompressedBytesMax: this.#options.decompressedBytesMax,
      });
    } catch (error) {
      return this.#fail(feed, error);
    }
    // Only a part of a batch fitted; the rotation gives it the first place some time.
    if (chunk.nextOffset <= position) return nothingNew;
    this.#options.budget.hold(chunk.bytes);
    feed.put(chunk);
    return 'some';
  }

  #fail(feed: Feed, error: unknown): 'none' | 'some' {
    if (isCorrupt(error) && feed.corruptAt !== feed.position) {
      // Once it may be the network: the same bytes are fetched again.
      feed.corruptAt = feed.position;
      this.#displace(feed, error);
      return 'none';
    }
    const elsewhere = feed.replicaUntil >= 0 || feed.outOfRange !== 'fail';
    if ((isPassing(error) && !isCorrupt(error)) || (isOutOfRange(error) && elsewhere)) {
      this.#displace(feed, error);
      return 'none';
    }
    feed.error = error instanceof EscapementError ? error : defect(feed, error);
    return 'some';
  }

  /** Every so often the leader is asked again who should be read from. */
  #leaveReplica(feed: Feed): void {
    const { cluster, redirected } = this.#options;
    if (feed.state !== 'idle' || feed.replicaUntil < 0) return;
    if (cluster.ports.clock.monotonic() < feed.replicaUntil) return;
    this.#feeds.delete(feed);
    feed.state = 'homing';
    redirected(feed, -1);
  }

  #displace(feed: Feed, error: EscapementError): void {
    this.#feeds.delete(feed);
    feed.state = 'homing';
    this.#options.displaced(feed, error);
  }
}

function isCorrupt(error: unknown): error is EscapementError {
  if (!(error instanceof EscapementError)) return false;
  const code = (error as { kafkaCode?: unknown }).kafkaCode;
  return error.code === 'BATCH_CORRUPT' || code === KafkaErrorCode.CORRUPT_MESSAGE;
}

function defect({ topic, partition, position }: Feed, cause: unknown): EscapementError {
  const at = { topic, partition, offset: position };
  const what = `fetching ${topic}-${partition} at offset ${position}: ${String(cause)}`;
  return new EscapementError('INVARIANT_VIOLATED', what, { cause, at });
}
