/**
 * One Fetch request to one node, without fetch sessions.
 *
 * A session (KIP-227) saves the list of partitions in each request, and costs a shared state that
 * every lost answer breaks; a task reads few partitions, so the list is short.
 */
import type { Cluster } from '../cluster/cluster.ts';
import { brokerError } from '../protocol/error-codes.ts';
import { fetch } from '../protocol/fetch.ts';
import type { Response } from '../protocol/schema.ts';

export type Isolation = 'read_committed' | 'read_uncommitted';

export interface FetchAsk {
  readonly topic: string;
  readonly partition: number;
  readonly position: number;
}

export interface FetchTerms {
  readonly isolation: Isolation;
  /** 0: answers at once, on the `read` lane. Otherwise a long poll, on the `fetch` lane. */
  readonly maxWaitMs: number;
  readonly bytesPerPartitionMax: number;
  /** Of the whole answer. Default: 64 MiB. */
  readonly answerBytesMax?: number;
  /** Where this process is, for a broker that sends readers to a replica near them (KIP-392). */
  readonly rackId?: string;
  /** Beyond `maxWaitMs`. Default: the cluster's `fetchTimeoutMs`. */
  readonly timeoutMs?: number;
}

export type FetchAnswer = Response<typeof fetch>;
export type FetchedPartition = FetchAnswer['responses'][number]['partitions'][number];

/** What one answer may hold in all, so that many partitions do not make a giant one. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

export async function sendFetch(
  cluster: Cluster,
  node: number,
  asks: readonly FetchAsk[],
  terms: FetchTerms,
): Promise<FetchAnswer> {
  const { isolation, maxWaitMs, bytesPerPartitionMax, rackId = '' } = terms;
  const answer = await cluster.send(
    node,
    fetch,
    {
      maxWaitMs,
      minBytes: 1,
      maxBytes: terms.answerBytesMax ?? ANSWER_BYTES_MAX,
      isolationLevel: isolation === 'read_committed' ? 1 : 0,
      topics: byTopic(asks, bytesPerPartitionMax),
      rackId,
    },
    {
      lane: maxWaitMs === 0 ? 'read' : 'fetch',
      timeoutMs: maxWaitMs + (terms.timeoutMs ?? cluster.fetchTimeoutMs),
    },
  );
  if (answer.errorCode !== 0) throw brokerError(answer.errorCode, `Fetch from node ${node}`);
  return answer;
}

/** The answer for a single partition; throws its error code. */
export async function fetchOne(
  cluster: Cluster,
  node: number,
  ask: FetchAsk,
  terms: FetchTerms,
): Promise<FetchedPartition> {
  const { topic, partition, position } = ask;
  const answer = await sendFetch(cluster, node, [ask], terms);
  const fetched = answer.responses[0]?.partitions[0];
  const code = fetched?.errorCode ?? -1;
  if (fetched !== undefined && code === 0) return fetched;
  const what = `Fetch of ${topic}-${partition} at offset ${position}`;
  throw brokerError(code, what, { topic, partition, offset: position });
}

interface AskedTopic {
  readonly topic: string;
  readonly partitions: { partition: number; fetchOffset: number; partitionMaxBytes: number }[];
}

function byTopic(asks: readonly FetchAsk[], partitionMaxBytes: number): AskedTopic[] {
  const topics: AskedTopic[] = [];
  for (const { topic, partition, position } of asks) {
    let asked = topics.find((known) => known.topic === topic);
    if (asked === undefined) {
      asked = { topic, partitions: [] };
      topics.push(asked);
    }
    asked.partitions.push({ partition, fetchOffset: position, partitionMaxBytes });
  }
  return topics;
}
