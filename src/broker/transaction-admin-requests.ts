/**
 * Transactions from outside (KIP-664): ListTransactions, DescribeTransactions, DescribeProducers, and
 * WriteTxnMarkers, with which an administrator ends a transaction that hangs in a partition.
 */
import { describeProducers } from '../kafka/protocol/describe-producers.ts';
import { describeTransactions } from '../kafka/protocol/describe-transactions.ts';
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import { listTransactions } from '../kafka/protocol/list-transactions.ts';
import { writeTxnMarkers } from '../kafka/protocol/write-txn-markers.ts';
import type { ApiTable } from './api-table.ts';
import type { Marker } from './batch-header.ts';
import { slotOf } from './placement.ts';
import type { BrokerState } from './state.ts';
import { type Participant, TRANSACTION_SUCCESSORS } from './transaction-state.ts';
import type { TransactionView } from './transactions.ts';

const OFFSETS_TOPIC = '__consumer_offsets';
/** From it on a marker says by which rules its transaction was ended. */
const V2_RULES = 2;

export function serveTransactionAdministration(table: ApiTable, state: BrokerState): void {
  const coordinated = (node: number) =>
    state.transactions
      .list()
      .filter(
        ({ transactionalId, state: its }) =>
          its !== 'Dead' &&
          state.coordinatorFault('transaction', transactionalId, node) === KafkaErrorCode.NONE,
      );

  table.serve(listTransactions, (request, answer, { connection }) => {
    const { stateFilters, producerIdFilters, durationFilter, transactionalIdPattern } = request;
    const pattern = compiled(transactionalIdPattern);
    if (pattern === 'invalid') {
      const errorCode = KafkaErrorCode.INVALID_REGULAR_EXPRESSION;
      answer({ throttleTimeMs: 0, errorCode, unknownStateFilters: [], transactionStates: [] });
      return;
    }
    const startedBefore = state.ports.clock.now() - durationFilter;
    const isListed = (view: TransactionView) =>
      (producerIdFilters.length === 0 || producerIdFilters.includes(view.producerId)) &&
      (stateFilters.length === 0 || stateFilters.includes(view.state)) &&
      (durationFilter < 0 || view.startedAt < startedBefore) &&
      (pattern === null || pattern.test(view.transactionalId));
    answer({
      throttleTimeMs: 0,
      errorCode: KafkaErrorCode.NONE,
      unknownStateFilters: stateFilters.filter((name) => !(name in TRANSACTION_SUCCESSORS)),
      transactionStates: coordinated(connection.node)
        .filter(isListed)
        .map(({ transactionalId, producerId, state: transactionState }) => ({
          transactionalId,
          producerId,
          transactionState,
        })),
    });
  });

  table.serve(describeTransactions, (request, answer, { connection }) => {
    const views = coordinated(connection.node);
    const transactionStates = request.transactionalIds.map((transactionalId) => {
      if (transactionalId === '') return unknown('', KafkaErrorCode.INVALID_REQUEST);
      const { node } = connection;
      const misplaced = state.coordinatorFault('transaction', transactionalId, node);
      if (misplaced !== KafkaErrorCode.NONE) return unknown(transactionalId, misplaced);
      const view = views.find((each) => each.transactionalId === transactionalId);
      return view === undefined
        ? unknown(transactionalId, KafkaErrorCode.TRANSACTIONAL_ID_NOT_FOUND)
        : describedTransaction(view);
    });
    answer({ throttleTimeMs: 0, transactionStates });
  });

  table.serve(describeProducers, (request, answer, { connection }) => {
    const topics = request.topics.map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((partitionIndex) => {
        const partition = state.topics.partition(name, partitionIndex);
        const refuse = (errorCode: number) => ({
          partitionIndex,
          errorCode,
          errorMessage: null,
          activeProducers: [],
        });
        if (partition === undefined) return refuse(KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
        if (partition.leader !== connection.node) {
          return refuse(KafkaErrorCode.NOT_LEADER_OR_FOLLOWER);
        }
        const activeProducers = partition.producers.all().map((producer) => ({
          ...producer,
          currentTxnStartOffset: partition.log.openSince(producer.producerId) ?? -1,
        }));
        return { ...refuse(KafkaErrorCode.NONE), activeProducers };
      }),
    }));
    answer({ throttleTimeMs: 0, topics });
  });

  table.serve(writeTxnMarkers, (request, answer, { connection }) => {
    const markers = request.markers.map((asked) => {
      const { producerId, producerEpoch, coordinatorEpoch } = asked;
      const marker: Marker = {
        producerId,
        producerEpoch,
        coordinatorEpoch,
        result: asked.transactionResult ? 'commit' : 'abort',
        rules: asked.transactionVersion >= V2_RULES ? 'v2' : 'v1',
      };
      const topics = asked.topics.map(({ name, partitionIndexes }) => ({
        name,
        partitions: partitionIndexes.map((partitionIndex) => ({
          partitionIndex,
          errorCode: write(state, connection.node, name, partitionIndex, marker),
        })),
      }));
      return { producerId, topics };
    });
    answer({ markers });
  });
}

function write(
  state: BrokerState,
  node: number,
  topic: string,
  index: number,
  marker: Marker,
): number {
  const partition = state.topics.partition(topic, index);
  // A node that has no replica of it does not tell a partition from one that does not exist.
  if (partition === undefined || partition.leader !== node) {
    return KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
  }
  const { markerEpochs } = state.settings;
  const errorCode = partition.producers.checkMarker(marker, markerEpochs);
  if (errorCode === KafkaErrorCode.NONE) {
    partition.mark(marker, state.ports.clock.now(), markerEpochs);
  }
  return errorCode;
}

/** Matches the whole id, as Java's patterns do here. */
function compiled(pattern: string | null): RegExp | null | 'invalid' {
  if (pattern === null || pattern === '') return null;
  try {
    return new RegExp(`^(?:${pattern})$`);
  } catch {
    return 'invalid';
  }
}

function unknown(transactionalId: string, errorCode: number) {
  return {
    errorCode,
    transactionalId,
    transactionState: '',
    transactionTimeoutMs: 0,
    transactionStartTimeMs: 0,
    producerId: 0,
    producerEpoch: 0,
    topics: [] as { topic: string; partitions: number[] }[],
  };
}

function describedTransaction(view: TransactionView): ReturnType<typeof unknown> {
  const topics = new Map<string, number[]>();
  for (const participant of view.participants) {
    const { topic, partition } = placeOf(participant);
    topics.set(topic, [...(topics.get(topic) ?? []), partition]);
  }
  return {
    errorCode: KafkaErrorCode.NONE,
    transactionalId: view.transactionalId,
    transactionState: view.state,
    transactionTimeoutMs: view.timeoutMs,
    transactionStartTimeMs: view.startedAt,
    producerId: view.producerId,
    producerEpoch: view.producerEpoch,
    topics: [...topics].map(([topic, partitions]) => ({ topic, partitions })),
  };
}

/** The offsets of a group are a partition of Kafka's own topic. */
function placeOf(participant: Participant): { topic: string; partition: number } {
  if (participant.kind === 'partition') return participant;
  return { topic: OFFSETS_TOPIC, partition: slotOf(participant.group) };
}
