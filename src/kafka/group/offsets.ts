/**
 * Committed offsets of a group: reading them, and committing them outside of a transaction.
 *
 * The task reads them after its InitProducerId; steps commit theirs through the producer session.
 *
 * I1. Only stable offsets are read (KIP-447): while a transaction holds one, the broker answers
 *     UNSTABLE_OFFSET_COMMIT instead of the older value, and we wait. Taken for the truth, the older
 *     value would have the step of that transaction processed twice.
 */
import { EscapementError } from '../../errors.ts';
import { repeat } from '../cluster/attempts.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { BrokerError, brokerError, KafkaErrorCode } from '../protocol/error-codes.ts';
import { offsetCommit } from '../protocol/offset-commit.ts';
import { offsetFetch } from '../protocol/offset-fetch.ts';
import type { RequestBody, Response } from '../protocol/schema.ts';
import type { TopicPartition } from '../topic-partition.ts';

export type OffsetsCluster = Pick<
  Cluster,
  'send' | 'coordinator' | 'forgetCoordinator' | 'lookups' | 'requestTimeoutMs'
>;

export interface CommittedOffset extends TopicPartition {
  /** Of the next record to read; -1: none is committed. */
  readonly offset: number;
  readonly metadata: string;
}

export interface OffsetCommitter {
  readonly groupId: string;
  readonly generation: number;
  readonly memberId: string;
  readonly instanceId: string | null;
}

/** OffsetFetch with `requireStable`. */
const STABLE_VERSION_MIN = 7;
/** OffsetFetch that asks for several groups at once. */
const GROUPS_VERSION = 8;

type Rows = Response<typeof offsetFetch>['topics'];

/**
 * The stable committed offsets, in the order asked. From the first answer that says so on, waits up to
 * the cluster's request timeout for transactions that hold them; then throws the broker's
 * UNSTABLE_OFFSET_COMMIT.
 */
export async function fetchOffsets(
  cluster: OffsetsCluster,
  groupId: string,
  partitions: readonly TopicPartition[],
): Promise<CommittedOffset[]> {
  const first = await lookAt(cluster, groupId, partitions);
  if (first.kind === 'stable') return first.rows;
  const attempts = { ...cluster.lookups, timeoutMs: cluster.requestTimeoutMs };
  return repeat(attempts, async () => {
    const look = await lookAt(cluster, groupId, partitions);
    if (look.kind === 'held') throw look.refusal;
    return look.rows;
  });
}

type Look =
  | { readonly kind: 'stable'; readonly rows: CommittedOffset[] }
  | { readonly kind: 'held'; readonly refusal: BrokerError };

function lookAt(
  cluster: OffsetsCluster,
  groupId: string,
  partitions: readonly TopicPartition[],
): Promise<Look> {
  return repeat(cluster.lookups, async (timeoutMs) => {
    const node = await cluster.coordinator('group', groupId);
    const what = `OffsetFetch of group '${groupId}'`;
    try {
      const answer = await cluster.send(
        node,
        offsetFetch,
        (version) => fetchBody(version, groupId, partitions),
        { lane: 'transaction', versionMin: STABLE_VERSION_MIN, timeoutMs },
      );
      const group = answer.groups[0] ?? answer;
      if (group.errorCode !== 0) throw brokerError(group.errorCode, what);
      const rows: Rows = group.topics;
      return { kind: 'stable', rows: partitions.map((partition) => rowOf(rows, partition, what)) };
    } catch (cause) {
      if (isUnstable(cause)) return { kind: 'held', refusal: cause };
      cluster.forgetCoordinator('group', groupId);
      throw cause;
    }
  });
}

/** A transaction holds an offset. */
export function isUnstable(cause: unknown): cause is BrokerError {
  return cause instanceof BrokerError && cause.kafkaCode === KafkaErrorCode.UNSTABLE_OFFSET_COMMIT;
}

/** Commits offsets without a transaction. Not repeated: the fate of a lost answer is the caller's. */
export async function commitOffsets(
  cluster: OffsetsCluster,
  committer: OffsetCommitter,
  offsets: readonly CommittedOffset[],
): Promise<void> {
  const { groupId, generation, memberId, instanceId } = committer;
  const node = await cluster.coordinator('group', groupId);
  const topics = byTopic(offsets).map(([name, rows]) => ({
    name,
    partitions: rows.map(({ partition, offset, metadata }) => ({
      partitionIndex: partition,
      committedOffset: offset,
      committedMetadata: metadata,
    })),
  }));
  const answer = await cluster.send(
    node,
    offsetCommit,
    {
      groupId,
      generationIdOrMemberEpoch: generation,
      memberId,
      groupInstanceId: instanceId,
      topics,
    },
    { lane: 'transaction', versionMin: STABLE_VERSION_MIN },
  );
  let answered = 0;
  for (const { name: topic, partitions } of answer.topics) {
    for (const { partitionIndex: partition, errorCode } of partitions) {
      answered += 1;
      if (errorCode === 0) continue;
      cluster.forgetCoordinator('group', groupId);
      throw brokerError(errorCode, `OffsetCommit of group '${groupId}' for ${topic}-${partition}`, {
        topic,
        partition,
      });
    }
  }
  if (answered < offsets.length) {
    throw new EscapementError(
      'REQUEST_FATE_UNKNOWN',
      `OffsetCommit of group '${groupId}' was answered for ${answered} of ${offsets.length} partitions.`,
    );
  }
}

function fetchBody(
  version: number,
  groupId: string,
  partitions: readonly TopicPartition[],
): RequestBody<typeof offsetFetch> {
  const topics = byTopic(partitions).map(([name, rows]) => ({
    name,
    partitionIndexes: rows.map(({ partition }) => partition),
  }));
  return version >= GROUPS_VERSION
    ? { groups: [{ groupId, topics }], requireStable: true }
    : { groupId, topics, requireStable: true };
}

function rowOf(rows: Rows, { topic, partition }: TopicPartition, what: string): CommittedOffset {
  for (const { name, partitions } of rows) {
    if (name !== topic) continue;
    for (const { partitionIndex, committedOffset, metadata, errorCode } of partitions) {
      if (partitionIndex !== partition) continue;
      if (errorCode !== 0) {
        throw brokerError(errorCode, `${what} for ${topic}-${partition}`, { topic, partition });
      }
      return { topic, partition, offset: committedOffset, metadata: metadata ?? '' };
    }
  }
  // Left out of the answer is not "none committed": that would start the partition anew.
  throw new EscapementError('PROTOCOL_MALFORMED', `${what} left out ${topic}-${partition}.`, {
    at: { topic, partition },
  });
}

function byTopic<T extends TopicPartition>(partitions: readonly T[]): [string, T[]][] {
  const topics = new Map<string, T[]>();
  for (const row of partitions) {
    const known = topics.get(row.topic);
    if (known === undefined) topics.set(row.topic, [row]);
    else known.push(row);
  }
  return [...topics];
}
