/** InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, EndTxn. */
import { addOffsetsToTxn } from '../kafka/protocol/add-offsets-to-txn.ts';
import { addPartitionsToTxn } from '../kafka/protocol/add-partitions-to-txn.ts';
import { endTxn } from '../kafka/protocol/end-txn.ts';
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import { initProducerId } from '../kafka/protocol/init-producer-id.ts';
import type { ApiTable, Connection } from './api-table.ts';
import type { BrokerState } from './state.ts';
import type { ClientRules, Participant } from './transaction-state.ts';

/** First versions whose clients understand PRODUCER_FENCED (KIP-588); older ones get 47. */
const FENCED_VERSION = { initProducerId: 4, others: 2 };
/** The first version of EndTxn that answers with the next epoch (KIP-890, part 2). */
const BUMPING_VERSION = 5;
const NONE = -1;

export function serveTransactionRequests(table: ApiTable, state: BrokerState): void {
  const { transactions } = state;
  const misplaced = ({ node }: Connection, transactionalId: string) =>
    state.coordinatorFault('transaction', transactionalId, node);

  table.serve(initProducerId, (request, answer, { connection, version }) => {
    const { transactionalId, transactionTimeoutMs, producerId, producerEpoch } = request;
    if (transactionalId === null) {
      const given = { producerId: transactions.newProducerId(), producerEpoch: 0 };
      answer({ throttleTimeMs: 0, errorCode: KafkaErrorCode.NONE, ...given });
      return;
    }
    const isHalf = (producerId === NONE) !== (producerEpoch === NONE);
    const fault = isHalf ? KafkaErrorCode.INVALID_REQUEST : misplaced(connection, transactionalId);
    if (fault !== KafkaErrorCode.NONE) {
      answer({ throttleTimeMs: 0, errorCode: fault, producerId: NONE, producerEpoch: NONE });
      return;
    }
    const expected = producerId === NONE ? null : { producerId, producerEpoch };
    const given = transactions.initProducerId(transactionalId, transactionTimeoutMs, expected);
    const errorCode = forVersion(given.errorCode, version, FENCED_VERSION.initProducerId);
    answer({ throttleTimeMs: 0, ...given, errorCode });
  });

  table.serve(addPartitionsToTxn, (request, answer, { connection, version }) => {
    const transactionalId = request.v3AndBelowTransactionalId;
    const topics = request.v3AndBelowTopics;
    const respond = (codeOf: (topic: string, partition: number) => number) =>
      answer({
        throttleTimeMs: 0,
        resultsByTopicV3AndBelow: topics.map(({ name, partitions }) => ({
          name,
          resultsByPartition: partitions.map((partitionIndex) => ({
            partitionIndex,
            partitionErrorCode: codeOf(name, partitionIndex),
          })),
        })),
      });
    const fault = misplaced(connection, transactionalId);
    if (fault !== KafkaErrorCode.NONE) return respond(() => fault);
    const isUnknown = (topic: string, partition: number) =>
      state.topics.partition(topic, partition) === undefined;
    if (topics.some(({ name, partitions }) => partitions.some((each) => isUnknown(name, each)))) {
      // All or nothing: one unknown partition keeps the others out as well.
      return respond((topic, partition) =>
        isUnknown(topic, partition)
          ? KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION
          : KafkaErrorCode.OPERATION_NOT_ATTEMPTED,
      );
    }
    const errorCode = transactions.add(
      transactionalId,
      {
        producerId: request.v3AndBelowProducerId,
        producerEpoch: request.v3AndBelowProducerEpoch,
      },
      topics.flatMap(({ name, partitions }) =>
        partitions.map((partition): Participant => ({ kind: 'partition', topic: name, partition })),
      ),
      'v1',
    );
    respond(() => forVersion(errorCode, version, FENCED_VERSION.others));
  });

  table.serve(addOffsetsToTxn, (request, answer, { connection, version }) => {
    const { transactionalId, producerId, producerEpoch, groupId } = request;
    const errorCode =
      misplaced(connection, transactionalId) ||
      transactions.add(
        transactionalId,
        { producerId, producerEpoch },
        [{ kind: 'offsets', group: groupId }],
        'v1',
      );
    answer({
      throttleTimeMs: 0,
      errorCode: forVersion(errorCode, version, FENCED_VERSION.others),
    });
  });

  table.serve(endTxn, (request, answer, { connection, version }) => {
    const { transactionalId, producerId, producerEpoch } = request;
    const rules: ClientRules = version >= BUMPING_VERSION ? 'v2' : 'v1';
    const result = request.committed ? 'commit' : 'abort';
    const fault = misplaced(connection, transactionalId);
    const ended =
      fault === KafkaErrorCode.NONE
        ? transactions.end(transactionalId, { producerId, producerEpoch }, result, rules)
        : { errorCode: fault, producerId: NONE, producerEpoch: NONE };
    const errorCode = forVersion(ended.errorCode, version, FENCED_VERSION.others);
    answer({ throttleTimeMs: 0, ...ended, errorCode });
  });
}

function forVersion(errorCode: number, version: number, firstFenced: number): number {
  return errorCode === KafkaErrorCode.PRODUCER_FENCED && version < firstFenced
    ? KafkaErrorCode.INVALID_PRODUCER_EPOCH
    : errorCode;
}
