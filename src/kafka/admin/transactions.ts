/**
 * Transactions from outside (KIP-664): which are open, since when, and how to end one.
 *
 * An open transaction holds back everyone who reads committed records of its partitions. Whose
 * coordinator knows it is ended by its transactional id: the coordinator aborts it and fences its
 * producer. One that no coordinator knows any more hangs; it is ended by markers that are written
 * into its partition, as Kafka's own tool does.
 */
import { EscapementError } from '../../errors.ts';
import { atLeader } from '../cluster/at-leader.ts';
import { repeat } from '../cluster/attempts.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { describeProducers } from '../protocol/describe-producers.ts';
import { describeTransactions } from '../protocol/describe-transactions.ts';
import { brokerError, KafkaErrorCode } from '../protocol/error-codes.ts';
import { initProducerId } from '../protocol/init-producer-id.ts';
import { listTransactions as listTransactionsApi } from '../protocol/list-transactions.ts';
import { writeTxnMarkers } from '../protocol/write-txn-markers.ts';
import type { TopicPartition } from '../topic-partition.ts';
import { atCoordinator } from './at-coordinator.ts';

const LANE = { lane: 'transaction' } as const;
/** Fencing needs one; the transaction that it could time out is never begun. */
const FENCE_TIMEOUT_MS = 60_000;

export interface TransactionFilter {
  /** As the broker names them: `Ongoing`, `PrepareCommit`, `CompleteAbort`. Default: all. */
  readonly states?: readonly string[];
  /** Open for at least this long, in milliseconds. Kafka 3.8 and later filter it themselves. */
  readonly openForMs?: number;
}

export interface ListedTransaction {
  readonly transactionalId: string;
  readonly producerId: number;
  readonly state: string;
}

export interface TransactionDescription extends ListedTransaction {
  readonly producerEpoch: number;
  readonly timeoutMs: number;
  /** Null: none is open. */
  readonly startedAt: number | null;
  readonly partitions: readonly TopicPartition[];
}

/** A transaction as the leader of one of its partitions sees it. */
export interface OpenTransaction extends TopicPartition {
  readonly producerId: number;
  readonly producerEpoch: number;
  /** Of the coordinator that last wrote a marker; -1: none did. */
  readonly coordinatorEpoch: number;
  readonly firstOffset: number;
  /** Milliseconds since the epoch, by the clock of the producer. */
  readonly lastTimestamp: number;
}

/** Of all coordinators, by transactional id. */
export async function listTransactions(
  cluster: Cluster,
  filter: TransactionFilter & { readonly producerIds?: readonly number[] } = {},
): Promise<readonly ListedTransaction[]> {
  const { states = [], openForMs = -1, producerIds = [] } = filter;
  const asked = await repeat(cluster.lookups, async () => {
    const nodes = await cluster.nodes();
    return Promise.all(
      nodes.map(async (node) => {
        const body = { stateFilters: [...states], producerIdFilters: [...producerIds] };
        const answer = await cluster.send(
          node,
          listTransactionsApi,
          (version) => (version >= 1 ? { ...body, durationFilter: openForMs } : body),
          LANE,
        );
        if (answer.errorCode === 0) return answer.transactionStates;
        throw brokerError(answer.errorCode, `ListTransactions of node ${node}`);
      }),
    );
  });
  const listed = asked.flat().map(({ transactionalId, producerId, transactionState }) => ({
    ...{ transactionalId, producerId },
    state: transactionState,
  }));
  const old = openForMs < 0 ? listed : await openFor(cluster, listed, openForMs);
  return old.sort((a, b) => (a.transactionalId < b.transactionalId ? -1 : 1));
}

/** Older brokers do not know the filter and list all. */
async function openFor(
  cluster: Cluster,
  listed: readonly ListedTransaction[],
  openForMs: number,
): Promise<ListedTransaction[]> {
  const now = cluster.ports.clock.now();
  const kept = await Promise.all(
    listed.map(async (each) => {
      const { startedAt } = await describeTransaction(cluster, each.transactionalId);
      return startedAt !== null && now - startedAt >= openForMs ? [each] : [];
    }),
  );
  return kept.flat();
}

/** Throws `TRANSACTION_UNKNOWN` for an id that no coordinator knows. */
export function describeTransaction(
  cluster: Cluster,
  transactionalId: string,
): Promise<TransactionDescription> {
  return atCoordinator(cluster, 'transaction', transactionalId, async (node) => {
    const body = { transactionalIds: [transactionalId] };
    const answer = await cluster.send(node, describeTransactions, body, LANE);
    const found = answer.transactionStates[0];
    const code = found?.errorCode ?? KafkaErrorCode.UNKNOWN_SERVER_ERROR;
    if (code === KafkaErrorCode.TRANSACTIONAL_ID_NOT_FOUND) throw unknownId(transactionalId);
    if (found === undefined || code !== 0) {
      throw brokerError(code, `DescribeTransactions of transaction '${transactionalId}'`);
    }
    return {
      transactionalId,
      producerId: found.producerId,
      producerEpoch: found.producerEpoch,
      state: found.transactionState,
      timeoutMs: found.transactionTimeoutMs,
      startedAt: found.transactionStartTimeMs < 0 ? null : found.transactionStartTimeMs,
      partitions: found.topics.flatMap(({ topic, partitions }) =>
        partitions.map((partition) => ({ topic, partition })),
      ),
    };
  });
}

/** The transactions that are open in a partition, the one that holds back its readers first. */
export function openTransactions(
  cluster: Cluster,
  topic: string,
  partition: number,
): Promise<readonly OpenTransaction[]> {
  return atLeader(cluster, topic, partition, async (node) => {
    const body = { topics: [{ name: topic, partitionIndexes: [partition] }] };
    const answer = await cluster.send(node, describeProducers, body, LANE);
    const found = answer.topics[0]?.partitions[0];
    const code = found?.errorCode ?? KafkaErrorCode.UNKNOWN_SERVER_ERROR;
    if (found === undefined || code !== 0) {
      throw brokerError(code, `DescribeProducers of ${topic}-${partition}`, { topic, partition });
    }
    return found.activeProducers
      .filter(({ currentTxnStartOffset }) => currentTxnStartOffset >= 0)
      .map((each) => ({
        ...{ topic, partition, producerId: each.producerId, producerEpoch: each.producerEpoch },
        coordinatorEpoch: each.coordinatorEpoch,
        firstOffset: each.currentTxnStartOffset,
        lastTimestamp: each.lastTimestamp,
      }))
      .sort((a, b) => a.firstOffset - b.firstOffset);
  });
}

/**
 * Open transactions of a topic that no coordinator will end: it knows no such producer, or its
 * transaction does not hold the partition. Give `idleMs` at least the longest transaction timeout:
 * a transaction that just begins or ends looks the same for a moment.
 */
export async function hangingTransactions(
  cluster: Cluster,
  topic: string,
  idleMs: number,
): Promise<readonly OpenTransaction[]> {
  const state = (await cluster.topics([topic])).get(topic);
  if (state === undefined) {
    throw new EscapementError('TOPIC_MISMATCH', `Topic '${topic}' does not exist.`, {
      at: { topic },
    });
  }
  const partitions = Array.from({ length: state.partitions }, (_, partition) => partition);
  const open = (
    await Promise.all(partitions.map((each) => openTransactions(cluster, topic, each)))
  ).flat();
  const before = cluster.ports.clock.now() - idleMs;
  const idle = open.filter(({ lastTimestamp }) => lastTimestamp <= before);
  if (idle.length === 0) return [];
  const producerIds = [...new Set(idle.map(({ producerId }) => producerId))];
  const listed = await listTransactions(cluster, { producerIds });
  const held = new Set<string>();
  for (const { transactionalId, producerId } of listed) {
    for (const each of (await describeTransaction(cluster, transactionalId)).partitions) {
      held.add(`${producerId}/${each.topic}/${each.partition}`);
    }
  }
  return idle.filter((each) => !held.has(`${each.producerId}/${each.topic}/${each.partition}`));
}

/**
 * Ends the open transaction of an id: its coordinator aborts it and fences its producer, which, when
 * it lives, learns of it at its next request. Throws `TRANSACTION_UNKNOWN` for an unknown id.
 */
export async function endTransaction(cluster: Cluster, transactionalId: string): Promise<void> {
  // InitProducerId would make the id known.
  await describeTransaction(cluster, transactionalId);
  await atCoordinator(cluster, 'transaction', transactionalId, async (node) => {
    const body = { transactionalId, transactionTimeoutMs: FENCE_TIMEOUT_MS };
    const { errorCode } = await cluster.send(node, initProducerId, body, LANE);
    if (errorCode === 0) return;
    throw brokerError(errorCode, `InitProducerId of transaction '${transactionalId}'`);
  });
}

/**
 * Ends a hanging transaction in one partition, by markers. Needs `ClusterAction` on the cluster. Never
 * for a transaction that its coordinator knows: its other partitions would still commit.
 * Throws `TRANSACTION_UNKNOWN` when it is not open there any more.
 */
export async function abortHanging(
  cluster: Cluster,
  { topic, partition, producerId, firstOffset }: Omit<OpenTransaction, 'lastTimestamp'>,
): Promise<void> {
  const what = `WriteTxnMarkers of producer id ${producerId} in ${topic}-${partition}`;
  const open = await openTransactions(cluster, topic, partition);
  const found = open.find(
    (each) => each.producerId === producerId && each.firstOffset === firstOffset,
  );
  if (found === undefined) {
    throw new EscapementError(
      'TRANSACTION_UNKNOWN',
      `Producer id ${producerId} has no transaction open in ${topic}-${partition} since offset ${firstOffset}.`,
      { at: { topic, partition, offset: firstOffset } },
    );
  }
  await atLeader(cluster, topic, partition, async (node) => {
    const marker = {
      ...{ producerId, producerEpoch: found.producerEpoch, transactionResult: false },
      topics: [{ name: topic, partitionIndexes: [partition] }],
      // None wrote a marker yet: the least epoch is not above any leader's.
      coordinatorEpoch: Math.max(0, found.coordinatorEpoch),
    };
    const answer = await cluster.send(node, writeTxnMarkers, { markers: [marker] }, LANE);
    const code = answer.markers[0]?.topics[0]?.partitions[0]?.errorCode ?? -1;
    if (code !== 0) throw brokerError(code, what, { topic, partition });
  });
}

function unknownId(transactionalId: string): EscapementError {
  return new EscapementError(
    'TRANSACTION_UNKNOWN',
    `No coordinator knows the transactional id '${transactionalId}'.`,
  );
}
