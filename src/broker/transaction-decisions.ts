/**
 * What the coordinator does with a request, by the state of its transactional id: the tables of
 * Kafka's TransactionCoordinator as functions that change nothing.
 *
 * A number is the error code to answer with; a word is the step to take.
 */
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import type { TransactionResult } from './batch-header.ts';
import {
  completeOf,
  EPOCH_MAX,
  isExhausted,
  isPending,
  NO_EPOCH,
  type ProducerIdentity,
  type Transaction,
} from './transaction-state.ts';

export type InitDecision = number | 'fence' | 'rotate' | 'bump' | 'repeat';

/** InitProducerId; `expected` is the identity that the caller believes it has (KIP-360). */
export function decideInit(
  transaction: Transaction,
  expected: ProducerIdentity | null,
): InitDecision {
  if (isPending(transaction)) return KafkaErrorCode.CONCURRENT_TRANSACTIONS;
  if (expected !== null && !mayInit(transaction, expected)) return KafkaErrorCode.PRODUCER_FENCED;
  if (transaction.state === 'Ongoing') return 'fence';
  const current = transaction.producerEpoch;
  const claimed = expected?.producerEpoch ?? current;
  if (isExhausted(current)) {
    return claimed === current ? 'rotate' : KafkaErrorCode.UNKNOWN_SERVER_ERROR;
  }
  if (claimed === current || current === NO_EPOCH) return 'bump';
  // A repeat whose first answer was lost; had another owner come between, lastEpoch were none.
  return claimed === transaction.lastEpoch ? 'repeat' : KafkaErrorCode.PRODUCER_FENCED;
}

export function decideEndV1(
  transactionalId: string,
  transaction: Transaction | undefined,
  producer: ProducerIdentity,
  result: TransactionResult,
): number | 'prepare' {
  const errorCode = checkOwner(transactionalId, transaction, producer);
  if (transaction === undefined || errorCode !== KafkaErrorCode.NONE) return errorCode;
  if (isPending(transaction)) return KafkaErrorCode.CONCURRENT_TRANSACTIONS;
  if (transaction.state === 'Ongoing') return 'prepare';
  // A repeat whose first answer was lost (rule 4).
  return transaction.state === completeOf(result)
    ? KafkaErrorCode.NONE
    : KafkaErrorCode.INVALID_TXN_STATE;
}

/**
 * With `again` for the epoch before the present one and `now` for the present one:
 *
 *                   abort, again   abort, now   commit, again   commit, now
 *   Empty           fenced         bump         fenced          invalid
 *   CompleteAbort   repeat         bump         invalid         invalid
 *   CompleteCommit  invalid        bump         repeat          invalid
 */
export function decideEndV2(
  transactionalId: string,
  transaction: Transaction | undefined,
  producer: ProducerIdentity,
  result: TransactionResult,
): number | 'prepare' | 'repeat' {
  if (transactionalId === '') return KafkaErrorCode.INVALID_REQUEST;
  if (transaction === undefined) return KafkaErrorCode.INVALID_PRODUCER_ID_MAPPING;
  if (isPending(transaction)) return KafkaErrorCode.CONCURRENT_TRANSACTIONS;
  const { state, producerId, producerEpoch, previousProducerId } = transaction;
  const isComplete = state === 'CompleteCommit' || state === 'CompleteAbort';
  const afterRotation =
    previousProducerId === producer.producerId &&
    producer.producerEpoch === EPOCH_MAX - 1 &&
    producerEpoch === 0;
  const isRepeat = afterRotation || producerEpoch === producer.producerEpoch + 1;
  if (producerId !== producer.producerId && !afterRotation) {
    return KafkaErrorCode.INVALID_PRODUCER_ID_MAPPING;
  }
  if (producerEpoch !== producer.producerEpoch && !(isComplete && isRepeat)) {
    return KafkaErrorCode.PRODUCER_FENCED;
  }
  if (isRepeat) {
    return state === completeOf(result) ? 'repeat' : KafkaErrorCode.INVALID_TXN_STATE;
  }
  // An abort of nothing: the client cannot know whether its first write reached the coordinator.
  return state !== 'Ongoing' && result === 'commit' ? KafkaErrorCode.INVALID_TXN_STATE : 'prepare';
}

export function checkOwner(
  transactionalId: string,
  transaction: Transaction | undefined,
  producer: ProducerIdentity,
): number {
  if (transactionalId === '') return KafkaErrorCode.INVALID_REQUEST;
  if (transaction === undefined || transaction.producerId !== producer.producerId) {
    return KafkaErrorCode.INVALID_PRODUCER_ID_MAPPING;
  }
  return transaction.producerEpoch === producer.producerEpoch
    ? KafkaErrorCode.NONE
    : KafkaErrorCode.PRODUCER_FENCED;
}

/** A claimed producer id is the present one, or the one before with nothing left to bump. */
function mayInit(transaction: Transaction, { producerId, producerEpoch }: ProducerIdentity) {
  return (
    transaction.producerEpoch === NO_EPOCH ||
    producerId === transaction.producerId ||
    (producerId === transaction.previousProducerId && isExhausted(producerEpoch))
  );
}
