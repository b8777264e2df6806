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
 * I5. A step is written to the transaction log before it is answered; with `coordinatorAppendMs` that
 *     takes time, and others have to wait. When the coordinator moves meanwhile, the step may be in
 *     the log or not, and its caller is told NOT_COORDINATOR either way.
 * I6. After a move everything is as the transaction log has it (rule 17): a transaction in Prepare
 *     goes on with all its markers, those that the coordinator before has written included.
 */
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import type { TransactionResult } from './batch-header.ts';
import { TimerSet } from './timer-set.ts';
import { Completion, type CompletionOptions } from './transaction-completion.ts';
import { checkOwner, decideEndV1, decideEndV2, decideInit } from './transaction-decisions.ts';
import {
  type Changes,
  type ClientRules,
  EPOCH_MAX,
  isExhausted,
  isPending,
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

export interface CoordinatorOptions extends CompletionOptions {
  readonly transactionVersion: 1 | 2;
  readonly transactionTimeoutMaxMs: number;
  /** Why no coordinator can answer for the id now: an error code, or 0. */
  fault(transactionalId: string): number;
}

export interface TransactionView extends ProducerIdentity {
  readonly transactionalId: string;
  readonly state: TransactionState;
  readonly participants: readonly Participant[];
  readonly timeoutMs: number;
  /** -1 outside of a transaction. */
  readonly startedAt: number;
}

/** What a leader or a client wants of a transaction. */
export interface Enlistment {
  readonly transactionalId: string;
  readonly producer: ProducerIdentity;
  readonly participants: readonly Participant[];
  readonly rules: ClientRules;
}

export class TransactionCoordinator {
  readonly #options: CoordinatorOptions;
  readonly #transactions = new Map<string, Transaction>();
  readonly #completion: Completion;
  readonly #timers: TimerSet;
  #nextProducerId = 0;

  constructor(options: CoordinatorOptions) {
    this.#options = options;
    this.#completion = new Completion(options);
    this.#timers = new TimerSet(options.ports.timers);
  }

  /** InitProducerId without a transactional id: idempotent producers. */
  newProducerId(): number {
    const producerId = this.#nextProducerId;
    this.#nextProducerId += 1;
    return producerId;
  }

  /** `expected` is the identity that the caller believes it has (KIP-360), null for none. */
  initProducerId(
    request: {
      readonly transactionalId: string;
      readonly timeoutMs: number;
      readonly expected: ProducerIdentity | null;
    },
    answer: (answer: IdentityAnswer) => void,
  ): void {
    const { transactionalId, timeoutMs, expected } = request;
    if (transactionalId === '') {
      answer(refused(KafkaErrorCode.INVALID_REQUEST));
      return;
    }
    if (timeoutMs <= 0 || timeoutMs > this.#options.transactionTimeoutMaxMs) {
      answer(refused(KafkaErrorCode.INVALID_TRANSACTION_TIMEOUT));
      return;
    }
    const transaction = this.#transactions.get(transactionalId) ?? this.#create(transactionalId);
    const decision = decideInit(transaction, expected);
    if (typeof decision === 'number') {
      answer(refused(decision));
      return;
    }
    if (decision === 'fence') {
      // The caller tries again until the fenced transaction's markers are written (rule 5).
      this.#fence(transaction, ({ errorCode }) =>
        answer(refused(errorCode || KafkaErrorCode.CONCURRENT_TRANSACTIONS)),
      );
      return;
    }
    const current = transaction.producerEpoch;
    const lastEpoch = expected === null ? NO_EPOCH : current;
    const changes: Readonly<Record<typeof decision, () => Changes>> = {
      rotate: () => ({ producerId: this.newProducerId(), producerEpoch: 0, lastEpoch }),
      bump: () => ({ producerEpoch: current + 1, lastEpoch }),
      repeat: () => ({}),
    };
    const step = () => {
      this.#transit(transaction, 'Empty', changes[decision]());
      transaction.timeoutMs = timeoutMs;
      return identified(transaction);
    };
    this.#write(transaction, step, (given) => answer(given));
  }

  /** AddPartitionsToTxn and AddOffsetsToTxn (v1), or the first write to a participant (v2). */
  add(enlistment: Enlistment, answer: (errorCode: number) => void): void {
    const { transactionalId, participants, rules } = enlistment;
    const transaction = this.#transactions.get(transactionalId);
    const errorCode = this.#mayAdd(transaction, enlistment);
    if (transaction === undefined || errorCode !== KafkaErrorCode.NONE) {
      answer(errorCode);
      return;
    }
    const isOngoing = transaction.state === 'Ongoing';
    if (isOngoing && participants.every((each) => transaction.participants.has(keyOf(each)))) {
      answer(KafkaErrorCode.NONE);
      return;
    }
    const startedAt = this.#options.ports.clock.now();
    const step = () => {
      this.#transit(transaction, 'Ongoing', { rules });
      if (!isOngoing) {
        transaction.startedAt = startedAt;
        this.#expireAfter(transaction, transaction.timeoutMs);
      }
      for (const participant of participants) {
        transaction.participants.set(keyOf(participant), participant);
      }
      return { ...NO_IDENTITY, errorCode: KafkaErrorCode.NONE };
    };
    this.#write(transaction, step, (written) => answer(written.errorCode));
  }

  /** EndTxn; the answer names the producer's next identity by the rules of v2, none by v1's. */
  end(
    request: {
      readonly transactionalId: string;
      readonly producer: ProducerIdentity;
      readonly result: TransactionResult;
      readonly rules: ClientRules;
    },
    answer: (answer: IdentityAnswer) => void,
  ): void {
    const { transactionalId, producer, result, rules } = request;
    const transaction = this.#transactions.get(transactionalId);
    const decide = rules === 'v2' ? decideEndV2 : decideEndV1;
    const decision = decide(transactionalId, transaction, producer, result);
    if (typeof decision === 'number') {
      answer(refused(decision));
      return;
    }
    if (decision === 'repeat') {
      answer(identified(transaction!));
      return;
    }
    this.#prepare(transaction!, result, rules, (ended) =>
      answer(rules === 'v2' ? ended : refused(ended.errorCode)),
    );
  }

  /** Whether the participants are in the ongoing transaction (KIP-890, part 1; rule 8). */
  verify({ transactionalId, producer, participants }: Omit<Enlistment, 'rules'>): number {
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
      if (!isIdle || transaction.pending !== null || changedAt > until) continue;
      this.#transit(transaction, 'Dead');
      this.#transactions.delete(transactionalId);
    }
  }

  /** The coordinator of these ids is another one, which needs `loadMs` to load their log. */
  moved(belongs: (transactionalId: string) => boolean, loadMs: number): void {
    for (const transaction of this.#transactions.values()) {
      const { transactionalId } = transaction;
      if (!belongs(transactionalId)) continue;
      transaction.pending?.();
      this.#completion.disown(transactionalId);
      this.#cancelExpiry(transaction);
      const epoch = this.#options.epochOf(transactionalId);
      this.#timers.after(loadMs, () => {
        // Moved again meanwhile: that coordinator does it.
        if (epoch === this.#options.epochOf(transactionalId)) this.#resume(transaction);
      });
    }
  }

  close(): void {
    this.#timers.close();
    this.#completion.close();
  }

  #create(transactionalId: string): Transaction {
    const transaction = newTransaction(transactionalId, this.newProducerId());
    this.#transactions.set(transactionalId, transaction);
    return transaction;
  }

  #mayAdd(transaction: Transaction | undefined, { transactionalId, producer }: Enlistment): number {
    const fault = this.#options.fault(transactionalId);
    if (fault !== KafkaErrorCode.NONE) return fault;
    const pending =
      transaction !== undefined && isPending(transaction)
        ? KafkaErrorCode.CONCURRENT_TRANSACTIONS
        : KafkaErrorCode.NONE;
    const owner = checkOwner(transactionalId, transaction, producer);
    // After a rotation the client has an id that is not given before Complete, so Kafka 4 asks for
    // a pending step first.
    return this.#options.transactionVersion === 2 ? pending || owner : owner || pending;
  }

  /** Rules 5 and 6: bump, then abort under the bumped epoch. */
  #fence(transaction: Transaction, answer: (answer: IdentityAnswer) => void): void {
    if (transaction.state !== 'Ongoing') return;
    if (transaction.pending !== null) {
      // Of a time-out: it is looked for again when the step is written.
      this.#expireAfter(transaction, this.#options.coordinatorAppendMs);
      return;
    }
    const rules = this.#options.transactionVersion === 2 ? 'v2' : 'v1';
    this.#prepare(transaction, 'abort', rules, answer, 'fence');
  }

  #prepare(
    transaction: Transaction,
    result: TransactionResult,
    rules: ClientRules,
    answer: (answer: IdentityAnswer) => void,
    cause: 'request' | 'fence' = 'request',
  ): void {
    const epoch = transaction.producerEpoch;
    const bumped = Math.min(epoch + 1, EPOCH_MAX);
    const step = () => {
      if (cause === 'fence') this.#transit(transaction, 'PrepareEpochFence');
      let changes: Changes = { rules };
      if (rules === 'v2') {
        const nextProducerId = isExhausted(epoch) ? this.newProducerId() : NO_ID;
        changes = { rules, producerEpoch: bumped, lastEpoch: epoch, nextProducerId };
      } else if (cause === 'fence') {
        changes = { rules, producerEpoch: bumped, lastEpoch: NO_EPOCH };
      }
      this.#transit(transaction, prepareOf(result), changes);
      this.#cancelExpiry(transaction);
      const { producerId, producerEpoch, nextProducerId } = transaction;
      return nextProducerId === NO_ID
        ? { errorCode: KafkaErrorCode.NONE, producerId, producerEpoch }
        : { errorCode: KafkaErrorCode.NONE, producerId: nextProducerId, producerEpoch: 0 };
    };
    this.#write(transaction, step, (ended) => {
      if (ended.errorCode === KafkaErrorCode.NONE) this.#completion.begin(transaction);
      answer(ended);
    });
  }

  #resume(transaction: Transaction): void {
    if (isPrepared(transaction)) {
      this.#completion.begin(transaction);
    } else if (transaction.state === 'Ongoing') {
      const ranMs = this.#options.ports.clock.now() - transaction.startedAt;
      this.#expireAfter(transaction, Math.max(0, transaction.timeoutMs - ranMs));
    }
  }

  /** Writes a step to the transaction log (I5): takes it, and answers with what it gave. */
  #write(
    transaction: Transaction,
    step: () => IdentityAnswer,
    answer: (answer: IdentityAnswer) => void,
  ): void {
    const { coordinatorAppendMs, ports } = this.#options;
    if (coordinatorAppendMs === 0) {
      answer(step());
      return;
    }
    const timer = this.#timers.after(coordinatorAppendMs, () => {
      transaction.pending = null;
      answer(step());
    });
    transaction.pending = () => {
      this.#timers.cancel(timer);
      transaction.pending = null;
      if (ports.random.fraction() < 0.5) step();
      answer(refused(KafkaErrorCode.NOT_COORDINATOR));
    };
  }

  #expireAfter(transaction: Transaction, delayMs: number): void {
    transaction.expiry = this.#timers.after(delayMs, () => {
      const { state, pending } = transaction;
      if (state === 'Ongoing' && pending === null) this.#options.counts.transactionTimeouts += 1;
      this.#fence(transaction, () => {});
    });
  }

  #cancelExpiry(transaction: Transaction): void {
    if (transaction.expiry === null) return;
    this.#timers.cancel(transaction.expiry);
    transaction.expiry = null;
  }

  #transit(transaction: Transaction, next: TransactionState, changes: Changes = {}): void {
    transit(transaction, next, this.#options.ports.clock.now(), changes);
  }
}

const NO_IDENTITY = { producerId: NO_ID, producerEpoch: NO_EPOCH } as const;

function refused(errorCode: number): IdentityAnswer {
  return { errorCode, ...NO_IDENTITY };
}

function identified({ producerId, producerEpoch }: Transaction): IdentityAnswer {
  return { errorCode: KafkaErrorCode.NONE, producerId, producerEpoch };
}
