/**
 * The transaction coordinator (KIP-98, KIP-360, KIP-588, KIP-890).
 *
 * Owns the state of every transactional id and the timer that aborts what runs too long. Called by
 * `transaction-requests.ts`, and by the leaders of partitions and the coordinators of groups, which
 * ask whether they are part of a transaction or want to become one. States: `transaction-state.ts`.
 *
 * I1. EndTxn is answered once Prepare stands and before any marker is written (rule 2).
 * I2. While Prepare stands every request of the id is answered CONCURRENT_TRANSACTIONS, whatever it
 *     wants (rule 3): Kafka has its step to Complete pending from the moment it answers EndTxn.
 * I3. A fenced or timed-out transaction is aborted with a bumped epoch, its markers carry it, so
 *     that the partitions refuse the old owner as well (rules 5, 6).
 * I4. By the rules of v2 every EndTxn bumps the epoch before the markers are written and takes a new
 *     producer id when the epoch is exhausted; a client that repeats itself is known by the epoch
 *     before the present one (rule 7). Which rules hold is said by the version of the request; what
 *     the coordinator does by itself follows the version of the broker.
 * I5. After a move everything is as the transaction log has it (rule 17): a transaction in Prepare
 *     goes on with all its markers, those that the coordinator before has written included.
 */
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import type { Ports, Timer } from '../ports.ts';
import type { Marker, TransactionResult } from './batch-header.ts';
import { type MarkerOutcome, MarkerWriter, type Sending } from './markers.ts';
import {
  type ClientRules,
  completeOf,
  EPOCH_MAX,
  isExhausted,
  isPrepared,
  keyOf,
  NO_EPOCH,
  NO_ID,
  newTransaction,
  type Participant,
  type ProducerIdentity,
  prepareOf,
  type Transaction,
  type TransactionState,
  transit,
} from './transaction-state.ts';

export interface IdentityAnswer extends ProducerIdentity {
  readonly errorCode: number;
}

export interface CoordinatorOptions {
  readonly ports: Ports;
  readonly transactionVersion: 1 | 2;
  /** Mean delay between EndTxn and a marker; each marker takes between none and twice of it. */
  readonly markerDelayMs: number;
  readonly transactionTimeoutMaxMs: number;
  mark(participant: Participant, marker: Marker): MarkerOutcome;
  /** Why no coordinator can answer for the id now: an error code, or 0. */
  fault(transactionalId: string): number;
  /** Of the coordinator of the id. */
  epochOf(transactionalId: string): number;
}

export interface TransactionView extends ProducerIdentity {
  readonly transactionalId: string;
  readonly state: TransactionState;
  readonly participants: readonly Participant[];
  readonly timeoutMs: number;
  /** -1 outside of a transaction. */
  readonly startedAt: number;
}

export class TransactionCoordinator {
  readonly #options: CoordinatorOptions;
  readonly #transactions = new Map<string, Transaction>();
  readonly #markers: MarkerWriter;
  /** Of transactions in Prepare. */
  readonly #sendings = new Map<string, Sending>();
  readonly #timers = new Set<Timer>();
  #nextProducerId = 0;

  constructor(options: CoordinatorOptions) {
    const { ports, markerDelayMs } = options;
    this.#options = options;
    this.#markers = new MarkerWriter({
      ports,
      markerDelayMs,
      write: (participant, marker) => options.mark(participant, marker),
    });
  }

  /** InitProducerId without a transactional id: idempotent producers. */
  newProducerId(): number {
    const producerId = this.#nextProducerId;
    this.#nextProducerId += 1;
    return producerId;
  }

  /** `expected` is the identity that the caller believes it has (KIP-360), null for none. */
  initProducerId(
    transactionalId: string,
    timeoutMs: number,
    expected: ProducerIdentity | null,
  ): IdentityAnswer {
    if (transactionalId === '') return refused(KafkaErrorCode.INVALID_REQUEST);
    if (timeoutMs <= 0 || timeoutMs > this.#options.transactionTimeoutMaxMs) {
      return refused(KafkaErrorCode.INVALID_TRANSACTION_TIMEOUT);
    }
    const transaction = this.#transactions.get(transactionalId) ?? this.#create(transactionalId);
    if (isPrepared(transaction)) return refused(KafkaErrorCode.CONCURRENT_TRANSACTIONS);
    if (expected !== null && !mayInit(transaction, expected)) {
      return refused(KafkaErrorCode.PRODUCER_FENCED);
    }
    if (transaction.state === 'Ongoing') {
      // The caller tries again until the fenced transaction's markers are written (rule 5).
      this.#fence(transaction);
      return refused(KafkaErrorCode.CONCURRENT_TRANSACTIONS);
    }
    return this.#giveEpoch(transaction, timeoutMs, expected);
  }

  /** AddPartitionsToTxn and AddOffsetsToTxn (v1), or the first write to a participant (v2). */
  add(
    transactionalId: string,
    producer: ProducerIdentity,
    participants: readonly Participant[],
    rules: ClientRules,
  ): number {
    const fault = this.#options.fault(transactionalId);
    if (fault !== KafkaErrorCode.NONE) return fault;
    const transaction = this.#transactions.get(transactionalId);
    // After a rotation the client has an id that is not given before Complete, so Kafka 4 asks for
    // a pending step first.
    const pendingFirst = this.#options.transactionVersion === 2;
    if (pendingFirst && transaction !== undefined && isPrepared(transaction)) {
      return KafkaErrorCode.CONCURRENT_TRANSACTIONS;
    }
    const errorCode = checkOwner(transactionalId, transaction, producer);
    if (transaction === undefined || errorCode !== KafkaErrorCode.NONE) return errorCode;
    if (isPrepared(transaction)) return KafkaErrorCode.CONCURRENT_TRANSACTIONS;
    const isOngoing = transaction.state === 'Ongoing';
    if (isOngoing && participants.every((each) => transaction.participants.has(keyOf(each)))) {
      return KafkaErrorCode.NONE;
    }
    this.#transit(transaction, 'Ongoing', { rules });
    if (!isOngoing) {
      transaction.startedAt = this.#options.ports.clock.now();
      this.#expireAfter(transaction, transaction.timeoutMs);
    }
    for (const participant of participants) {
      transaction.participants.set(keyOf(participant), participant);
    }
    return KafkaErrorCode.NONE;
  }

  /** EndTxn; the answer names the producer's next identity by the rules of v2, none by v1's. */
  end(
    transactionalId: string,
    producer: ProducerIdentity,
    result: TransactionResult,
    rules: ClientRules,
  ): IdentityAnswer {
    const transaction = this.#transactions.get(transactionalId);
    return rules === 'v2'
      ? this.#endV2(transactionalId, transaction, producer, result)
      : refused(this.#endV1(transactionalId, transaction, producer, result));
  }

  /** Whether a participant is in the ongoing transaction (KIP-890, part 1; rule 8). */
  verify(
    transactionalId: string,
    producer: ProducerIdentity,
    participants: readonly Participant[],
  ): number {
    const fault = this.#options.fault(transactionalId);
    if (fault !== KafkaErrorCode.NONE) return fault;
    const transaction = this.#transactions.get(transactionalId);
    const errorCode = checkOwner(transactionalId, transaction, producer);
    if (transaction === undefined || errorCode !== KafkaErrorCode.NONE) return errorCode;
    if (isPrepared(transaction)) return KafkaErrorCode.CONCURRENT_TRANSACTIONS;
    return participants.every((each) => transaction.participants.has(keyOf(each)))
      ? KafkaErrorCode.NONE
      : KafkaErrorCode.TRANSACTION_ABORTABLE;
  }

  list(): TransactionView[] {
    return [...this.#transactions.values()].map((transaction) => ({
      transactionalId: transaction.transactionalId,
      state: transaction.state,
      producerId: transaction.producerId,
      producerEpoch: transaction.producerEpoch,
      participants: [...transaction.participants.values()],
      timeoutMs: transaction.timeoutMs,
      startedAt: transaction.startedAt,
    }));
  }

  /** Forgets ids with nothing going on that did not change since `until` (epoch milliseconds). */
  expire(until: number): void {
    for (const [transactionalId, transaction] of this.#transactions) {
      const { state, changedAt } = transaction;
      const isIdle = state === 'Empty' || state === 'CompleteCommit' || state === 'CompleteAbort';
      if (!isIdle || changedAt > until) continue;
      this.#transit(transaction, 'Dead');
      this.#transactions.delete(transactionalId);
    }
  }

  /** The coordinator of these ids is another one, which needs `loadMs` to load their log. */
  moved(belongs: (transactionalId: string) => boolean, loadMs: number): void {
    for (const transaction of this.#transactions.values()) {
      const { transactionalId } = transaction;
      if (!belongs(transactionalId)) continue;
      this.#sendings.get(transactionalId)?.disown();
      this.#sendings.delete(transactionalId);
      this.#cancelExpiry(transaction);
      const epoch = this.#options.epochOf(transactionalId);
      this.#after(loadMs, () => {
        // Moved again meanwhile: that coordinator does it.
        if (epoch === this.#options.epochOf(transactionalId)) this.#resume(transaction);
      });
    }
  }

  close(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#markers.close();
  }

  #create(transactionalId: string): Transaction {
    const transaction = newTransaction(transactionalId, this.newProducerId());
    this.#transactions.set(transactionalId, transaction);
    return transaction;
  }

  #giveEpoch(
    transaction: Transaction,
    timeoutMs: number,
    expected: ProducerIdentity | null,
  ): IdentityAnswer {
    const current = transaction.producerEpoch;
    const claimed = expected?.producerEpoch ?? null;
    if (isExhausted(current) && (claimed === null || claimed === current)) {
      this.#transit(transaction, 'Empty', {
        producerId: this.newProducerId(),
        producerEpoch: 0,
        lastEpoch: claimed === null ? NO_EPOCH : current,
      });
    } else if (isExhausted(current)) {
      return refused(KafkaErrorCode.UNKNOWN_SERVER_ERROR);
    } else if (claimed === null || current === NO_EPOCH || claimed === current) {
      const lastEpoch = claimed === null ? NO_EPOCH : current;
      this.#transit(transaction, 'Empty', { producerEpoch: current + 1, lastEpoch });
    } else if (claimed === transaction.lastEpoch) {
      // A repeat whose first answer was lost; nobody else came between, or lastEpoch were none.
      this.#transit(transaction, 'Empty');
    } else {
      return refused(KafkaErrorCode.PRODUCER_FENCED);
    }
    transaction.timeoutMs = timeoutMs;
    return identified(transaction);
  }

  #endV1(
    transactionalId: string,
    transaction: Transaction | undefined,
    producer: ProducerIdentity,
    result: TransactionResult,
  ): number {
    const errorCode = checkOwner(transactionalId, transaction, producer);
    if (transaction === undefined || errorCode !== KafkaErrorCode.NONE) return errorCode;
    if (isPrepared(transaction)) return KafkaErrorCode.CONCURRENT_TRANSACTIONS;
    if (transaction.state === 'Ongoing') {
      this.#prepare(transaction, result, 'v1');
      return KafkaErrorCode.NONE;
    }
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
  #endV2(
    transactionalId: string,
    transaction: Transaction | undefined,
    producer: ProducerIdentity,
    result: TransactionResult,
  ): IdentityAnswer {
    if (transactionalId === '') return refused(KafkaErrorCode.INVALID_REQUEST);
    if (transaction === undefined) return refused(KafkaErrorCode.INVALID_PRODUCER_ID_MAPPING);
    if (isPrepared(transaction)) return refused(KafkaErrorCode.CONCURRENT_TRANSACTIONS);
    const isComplete =
      transaction.state === 'CompleteCommit' || transaction.state === 'CompleteAbort';
    const afterRotation =
      transaction.previousProducerId === producer.producerId &&
      producer.producerEpoch === EPOCH_MAX - 1 &&
      transaction.producerEpoch === 0;
    const isRepeat = afterRotation || transaction.producerEpoch === producer.producerEpoch + 1;
    if (transaction.producerId !== producer.producerId && !afterRotation) {
      return refused(KafkaErrorCode.INVALID_PRODUCER_ID_MAPPING);
    }
    if (transaction.producerEpoch !== producer.producerEpoch && !(isComplete && isRepeat)) {
      return refused(KafkaErrorCode.PRODUCER_FENCED);
    }
    if (isRepeat) {
      return transaction.state === completeOf(result)
        ? identified(transaction)
        : refused(KafkaErrorCode.INVALID_TXN_STATE);
    }
    // An abort of nothing: the client cannot know whether its first write reached the coordinator.
    if (transaction.state !== 'Ongoing' && result === 'commit') {
      return refused(KafkaErrorCode.INVALID_TXN_STATE);
    }
    return this.#prepare(transaction, result, 'v2');
  }

  /** Rules 5 and 6: bump, then abort under the bumped epoch. */
  #fence(transaction: Transaction): void {
    if (transaction.state !== 'Ongoing') return;
    this.#transit(transaction, 'PrepareEpochFence');
    if (this.#options.transactionVersion === 2) {
      this.#prepare(transaction, 'abort', 'v2');
      return;
    }
    transaction.producerEpoch = Math.min(transaction.producerEpoch + 1, EPOCH_MAX);
    transaction.lastEpoch = NO_EPOCH;
    this.#prepare(transaction, 'abort', 'v1');
  }

  #prepare(
    transaction: Transaction,
    result: TransactionResult,
    rules: ClientRules,
  ): IdentityAnswer {
    const epoch = transaction.producerEpoch;
    this.#transit(
      transaction,
      prepareOf(result),
      rules === 'v1'
        ? { rules }
        : {
            rules,
            producerEpoch: Math.min(epoch + 1, EPOCH_MAX),
            lastEpoch: epoch,
            nextProducerId: isExhausted(epoch) ? this.newProducerId() : NO_ID,
          },
    );
    this.#cancelExpiry(transaction);
    this.#tell(transaction, result);
    const { producerId, producerEpoch, nextProducerId } = transaction;
    const rotates = nextProducerId !== NO_ID;
    return {
      errorCode: KafkaErrorCode.NONE,
      producerId: rotates ? nextProducerId : producerId,
      producerEpoch: rotates ? 0 : producerEpoch,
    };
  }

  #tell(transaction: Transaction, result: TransactionResult): void {
    const { transactionalId, producerId, producerEpoch, rules } = transaction;
    const coordinatorEpoch = this.#options.epochOf(transactionalId);
    const marker: Marker = { producerId, producerEpoch, result, coordinatorEpoch, rules };
    const participants = [...transaction.participants.values()];
    const sending = this.#markers.send(marker, participants, () =>
      this.#complete(transaction, result),
    );
    this.#sendings.set(transactionalId, sending);
  }

  #resume(transaction: Transaction): void {
    if (isPrepared(transaction)) {
      this.#tell(transaction, transaction.state === 'PrepareCommit' ? 'commit' : 'abort');
    } else if (transaction.state === 'Ongoing') {
      const ranMs = this.#options.ports.clock.now() - transaction.startedAt;
      this.#expireAfter(transaction, Math.max(0, transaction.timeoutMs - ranMs));
    }
  }

  #complete(transaction: Transaction, result: TransactionResult): void {
    const { nextProducerId, transactionalId } = transaction;
    this.#sendings.delete(transactionalId);
    this.#transit(
      transaction,
      completeOf(result),
      nextProducerId === NO_ID
        ? {}
        : { producerId: nextProducerId, producerEpoch: 0, nextProducerId: NO_ID },
    );
    transaction.participants = new Map();
    transaction.startedAt = -1;
  }

  #expireAfter(transaction: Transaction, delayMs: number): void {
    transaction.expiry = this.#after(delayMs, () => this.#fence(transaction));
  }

  #cancelExpiry(transaction: Transaction): void {
    if (transaction.expiry === null) return;
    transaction.expiry.cancel();
    this.#timers.delete(transaction.expiry);
    transaction.expiry = null;
  }

  #transit(transaction: Transaction, ...step: TransitStep): void {
    const [next, changes] = step;
    transit(transaction, next, this.#options.ports.clock.now(), changes);
  }

  #after(delayMs: number, callback: () => void): Timer {
    const timer = this.#options.ports.timers.after(delayMs, () => {
      this.#timers.delete(timer);
      callback();
    });
    this.#timers.add(timer);
    return timer;
  }
}

type TransitStep = [next: TransactionState, changes?: Parameters<typeof transit>[3]];

function refused(errorCode: number): IdentityAnswer {
  return { errorCode, producerId: NO_ID, producerEpoch: NO_EPOCH };
}

function identified({ producerId, producerEpoch }: Transaction): IdentityAnswer {
  return { errorCode: KafkaErrorCode.NONE, producerId, producerEpoch };
}

/** A claimed producer id is the present one, or the one before with nothing left to bump. */
function mayInit(transaction: Transaction, { producerId, producerEpoch }: ProducerIdentity) {
  return (
    transaction.producerEpoch === NO_EPOCH ||
    producerId === transaction.producerId ||
    (producerId === transaction.previousProducerId && isExhausted(producerEpoch))
  );
}

function checkOwner(
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
