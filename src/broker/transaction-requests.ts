/** InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, EndTxn. */
import { addOffsetsToTxn } from '../kafka/protocol/add-offsets-to-txn.ts';
import { addPartitionsToTxn } from '../kafka/protocol/add-partitions-to-txn.ts';
import { endTxn } from '../kafka/protocol/end-txn.ts';
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import { initProducerId } from '../kafka/protocol/init-producer-id.ts';
import type { ApiTable, Connection } from './api-table.ts';
import type { BrokerState } from './state.ts';
import type { ClientRules, Participant } from './transaction-state.ts';
import type { IdentityAnswer } from './transactions.ts';

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
    const asked = { transactionalId, timeoutMs: transactionTimeoutMs, expected };
    transactions.initProducerId(asked, (given) => {
      const errorCode = forVersion(given.errorCode, version, FENCED_VERSION.initProducerId);
      answer({ throttleTimeMs: 0, ...given, errorCode });
    });
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
    if (fault !== KafkaErrorCode.NONE) {
      respond(() => fault);
      return;
    }
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
    const producer = {
      producerId: request.v3AndBelowProducerId,
      producerEpoch: request.v3AndBelowProducerEpoch,
    };
    const participants = topics.flatMap(({ name, partitions }) =>
      partitions.map((partition): Participant => ({ kind: 'partition', topic: name, partition })),
    );
    transactions.add({ transactionalId, producer, participants, rules: 'v1' }, (errorCode) =>
      respond(() => forVersion(errorCode, version, FENCED_VERSION.others)),
    );
  });

  table.serve(addOffsetsToTxn, (request, answer, { connection, version }) => {
    const { transactionalId, producerId, producerEpoch, groupId } = request;
    const respond = (code: number) => {
      const errorCode = forVersion(code, version, FENCED_VERSION.others);
      answer({ throttleTimeMs: 0, errorCode });
    };
    const fault = misplaced(connection, transactionalId);
    if (fault !== KafkaErrorCode.NONE) {
      respond(fault);
      return;
    }
    const producer = { producerId, producerEpoch };
    const participants = [{ kind: 'offsets', group: groupId } as const];
    transactions.add({ transactionalId, producer, participants, rules: 'v1' }, respond);
  });

  table.serve(endTxn, (request, answer, { connection, version }) => {
    const { transactionalId, producerId, producerEpoch } = request;
    const rules: ClientRules = version >= BUMPING_VERSION ? 'v2' : 'v1';
    const result = request.committed ? 'commit' : 'abort';
    const respond = (ended: IdentityAnswer) => {
      const errorCode = forVersion(ended.errorCode, version, FENCED_VERSION.others);
      answer({ throttleTimeMs: 0, ...ended, errorCode });
    };
    const errorCode = misplaced(connection, transactionalId);
    if (errorCode !== KafkaErrorCode.NONE) {
      respond({ errorCode, producerId: NONE, producerEpoch: NONE });
      return;
    }
    const producer = { producerId, producerEpoch };
    transactions.end({ transactionalId, producer, result, rules }, respond);
  });
}

function forVersion(errorCode: number, version: number, firstFenced: number): number {
  return errorCode === KafkaErrorCode.PRODUCER_FENCED && version < firstFenced
    ? KafkaErrorCode.INVALID_PRODUCER_EPOCH
    : errorCode;
}
