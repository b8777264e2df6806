/**
 * The transaction coordinator of transactions v1 (KIP-98, KIP-360, KIP-588).
 *
 * Owns the state of every transactional id and the timers that write markers and abort what runs
 * too long. Called by `transaction-requests.ts`; calls the participants through `mark` only.
 *
 *              AddPartitions, AddOffsets
 *   Empty ────────────────────────────────► Ongoing ───EndTxn───► PrepareCommit ─► CompleteCommit
 *     ▲   ▲                                  │    └────EndTxn───► PrepareAbort ──► CompleteAbort
 *     │   └── InitProducerId ── Complete*    │                        ▲
 *     │                                      └─ InitProducerId, ──► PrepareEpochFence
 *     └── InitProducerId                        timeout
 *
 * I1. EndTxn is answered once Prepare stands and before any marker is written (rule 2): a broker
 *     that completes at once hides bugs of clients that read too early.
 * I2. Markers reach the participants one by one in any order, each on its own timer.
 * I3. While Prepare stands every request but a repeat of the opposite EndTxn is answered
 *     CONCURRENT_TRANSACTIONS (rule 3).
 * I4. A fenced or timed-out transaction is aborted with a bumped epoch, its markers carry it, so
 *     that the partitions refuse the old owner as well (rules 5, 6).
 */
import { invariant } from '../errors.ts';
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import type { Ports, Timer } from '../ports.ts';
import type { Marker, TransactionResult } from './batch-header.ts';

export type TransactionState =
  | 'Empty'
  | 'Ongoing'
  | 'PrepareCommit'
  | 'PrepareAbort'
  | 'CompleteCommit'
  | 'CompleteAbort'
  | 'PrepareEpochFence'
  | 'Dead';

/** Legal successors; a step outside the table is a defect of this file. */
export const TRANSACTION_SUCCESSORS: Readonly<
  Record<TransactionState, readonly TransactionState[]>
> = {
  Empty: ['Empty', 'Ongoing', 'Dead'],
  Ongoing: ['Ongoing', 'PrepareCommit', 'PrepareAbort', 'PrepareEpochFence'],
  PrepareEpochFence: ['PrepareAbort'],
  PrepareCommit: ['CompleteCommit'],
  PrepareAbort: ['CompleteAbort'],
  CompleteCommit: ['Empty', 'Ongoing', 'Dead'],
  CompleteAbort: ['Empty', 'Ongoing', 'Dead'],
  Dead: [],
};

export type Participant =
  | { readonly kind: 'partition'; readonly topic: string; readonly partition: number }
  | { readonly kind: 'offsets'; readonly group: string };

export interface ProducerIdentity {
  readonly producerId: number;
  readonly producerEpoch: number;
}

export interface InitAnswer extends ProducerIdentity {
  readonly errorCode: number;
}

export interface CoordinatorOptions {
  readonly ports: Ports;
  /** Mean delay between EndTxn and a marker; each marker takes between none and twice of it. */
  readonly markerDelayMs: number;
  readonly transactionTimeoutMaxMs: number;
  mark(participant: Participant, marker: Marker): void;
}

/** Above this a producer id is used up and the next InitProducerId gives a new one. */
const EPOCH_EXHAUSTED = 32_766;

interface Transaction {
  readonly transactionalId: string;
  producerId: number;
  producerEpoch: number;
  /** The epoch before the last bump that a client asked for by name, else -1 (KIP-360 retry). */
  lastEpoch: number;
  lastProducerId: number;
  timeoutMs: number;
  state: TransactionState;
  participants: Map<string, Participant>;
  startedAt: number;
  expiry: Timer | null;
}

export interface TransactionView extends ProducerIdentity {
  readonly transactionalId: string;
  readonly state: TransactionState;
  readonly participants: readonly Participant[];
}

export class TransactionCoordinator {
  readonly #options: CoordinatorOptions;
  readonly #transactions = new Map<string, Transaction>();
  readonly #timers = new Set<Timer>();
  #nextProducerId = 0;

  constructor(options: CoordinatorOptions) {
    this.#options = options;
  }

  /** InitProducerId without a transactional id: idempotent producers. */
  newProducerId(): number {
    const producerId = this.#nextProducerId;
    this.#nextProducerId += 1;
    return producerId;
  }

  /** `expected` is the identity that the caller believes it has (KIP-360), -1/-1 for none. */
  initProducerId(
    transactionalId: string,
    timeoutMs: number,
    expected: ProducerIdentity,
  ): InitAnswer {
    if (transactionalId === '') return refusedInit(KafkaErrorCode.INVALID_REQUEST);
    if (timeoutMs <= 0 || timeoutMs > this.#options.transactionTimeoutMaxMs) {
      return refusedInit(KafkaErrorCode.INVALID_TRANSACTION_TIMEOUT);
    }
    const transaction = this.#transactions.get(transactionalId) ?? this.#create(transactionalId);
    if (!knows(transaction, expected)) return refusedInit(KafkaErrorCode.PRODUCER_FENCED);
    switch (transaction.state) {
      case 'Empty':
      case 'CompleteCommit':
      case 'CompleteAbort':
        return this.#giveEpoch(transaction, timeoutMs, expected);
      case 'Ongoing':
        // The caller tries again until the fenced transaction's markers are written (rule 5).
        this.#fence(transaction);
        return refusedInit(KafkaErrorCode.CONCURRENT_TRANSACTIONS);
      default:
        return refusedInit(KafkaErrorCode.CONCURRENT_TRANSACTIONS);
    }
  }

  /** AddPartitionsToTxn and AddOffsetsToTxn. */
  add(
    transactionalId: string,
    producer: ProducerIdentity,
    participants: readonly Participant[],
  ): number {
    const transaction = this.#transactions.get(transactionalId);
    const errorCode = checkOwner(transactionalId, transaction, producer);
    if (transaction === undefined || errorCode !== KafkaErrorCode.NONE) return errorCode;
    if (isPrepared(transaction.state)) return KafkaErrorCode.CONCURRENT_TRANSACTIONS;
    if (transaction.state !== 'Ongoing') {
      this.#enter(transaction, 'Ongoing');
      transaction.startedAt = this.#options.ports.clock.now();
      transaction.expiry = this.#after(transaction.timeoutMs, () => this.#fence(transaction));
    }
    for (const participant of participants) {
      transaction.participants.set(keyOf(participant), participant);
    }
    return KafkaErrorCode.NONE;
  }

  end(transactionalId: string, producer: ProducerIdentity, result: TransactionResult): number {
    const transaction = this.#transactions.get(transactionalId);
    const errorCode = checkOwner(transactionalId, transaction, producer);
    if (transaction === undefined || errorCode !== KafkaErrorCode.NONE) return errorCode;
    switch (transaction.state) {
      case 'Ongoing':
        this.#prepare(transaction, result);
        return KafkaErrorCode.NONE;
      case 'CompleteCommit':
      case 'CompleteAbort':
        // A repeat whose first answer was lost (rule 4).
        return transaction.state === completeOf(result)
          ? KafkaErrorCode.NONE
          : KafkaErrorCode.INVALID_TXN_STATE;
      case 'PrepareCommit':
      case 'PrepareAbort':
        return transaction.state === prepareOf(result)
          ? KafkaErrorCode.CONCURRENT_TRANSACTIONS
          : KafkaErrorCode.INVALID_TXN_STATE;
      default:
        return KafkaErrorCode.INVALID_TXN_STATE;
    }
  }

  /** Whether a participant is in the ongoing transaction (KIP-890, part 1; rule 8). */
  verify(transactionalId: string, producer: ProducerIdentity, participant: Participant): number {
    const transaction = this.#transactions.get(transactionalId);
    const errorCode = checkOwner(transactionalId, transaction, producer);
    if (transaction === undefined || errorCode !== KafkaErrorCode.NONE) return errorCode;
    if (isPrepared(transaction.state)) return KafkaErrorCode.CONCURRENT_TRANSACTIONS;
    return transaction.state === 'Ongoing' && transaction.participants.has(keyOf(participant))
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
    }));
  }

  close(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  #create(transactionalId: string): Transaction {
    const transaction: Transaction = {
      transactionalId,
      producerId: this.newProducerId(),
      producerEpoch: -1,
      lastEpoch: -1,
      lastProducerId: -1,
      timeoutMs: 0,
      state: 'Empty',
      participants: new Map(),
      startedAt: -1,
      expiry: null,
    };
    this.#transactions.set(transactionalId, transaction);
    return transaction;
  }

  #giveEpoch(transaction: Transaction, timeoutMs: number, expected: ProducerIdentity): InitAnswer {
    const current = transaction.producerEpoch;
    const named = expected.producerEpoch !== -1;
    const isRetry =
      named && current !== -1 && expected.producerEpoch !== current
        ? expected.producerEpoch === transaction.lastEpoch ||
          expected.producerId === transaction.lastProducerId
        : false;
    if (named && current !== -1 && expected.producerEpoch !== current && !isRetry) {
      return refusedInit(KafkaErrorCode.PRODUCER_FENCED);
    }
    if (!isRetry && current >= EPOCH_EXHAUSTED) {
      transaction.lastProducerId = named ? transaction.producerId : -1;
      transaction.lastEpoch = named ? current : -1;
      transaction.producerId = this.newProducerId();
      transaction.producerEpoch = 0;
    } else if (!isRetry) {
      transaction.lastEpoch = named ? current : -1;
      transaction.producerEpoch = current + 1;
    }
    transaction.timeoutMs = timeoutMs;
    this.#enter(transaction, 'Empty');
    const { producerId, producerEpoch } = transaction;
    return { errorCode: KafkaErrorCode.NONE, producerId, producerEpoch };
  }

  /** Rules 5 and 6: bump, then abort under the bumped epoch. */
  #fence(transaction: Transaction): void {
    if (transaction.state !== 'Ongoing') return;
    this.#enter(transaction, 'PrepareEpochFence');
    transaction.producerEpoch += 1;
    transaction.lastEpoch = -1;
    this.#prepare(transaction, 'abort');
  }

  #prepare(transaction: Transaction, result: TransactionResult): void {
    this.#enter(transaction, prepareOf(result));
    if (transaction.expiry !== null) {
      transaction.expiry.cancel();
      this.#timers.delete(transaction.expiry);
      transaction.expiry = null;
    }
    const marker: Marker = {
      producerId: transaction.producerId,
      producerEpoch: transaction.producerEpoch,
      result,
    };
    const { markerDelayMs, ports } = this.#options;
    const waiting = new Set(transaction.participants.keys());
    if (waiting.size === 0) {
      this.#after(markerDelayMs, () => this.#complete(transaction, result));
      return;
    }
    for (const [key, participant] of transaction.participants) {
      this.#after(2 * markerDelayMs * ports.random.fraction(), () => {
        this.#options.mark(participant, marker);
        waiting.delete(key);
        if (waiting.size === 0) this.#complete(transaction, result);
      });
    }
  }

  #complete(transaction: Transaction, result: TransactionResult): void {
    this.#enter(transaction, completeOf(result));
    transaction.participants = new Map();
    transaction.startedAt = -1;
  }

  #enter(transaction: Transaction, next: TransactionState): void {
    invariant(TRANSACTION_SUCCESSORS[transaction.state].includes(next), 'no legal successor', {
      transactionalId: transaction.transactionalId,
      from: transaction.state,
      to: next,
    });
    transaction.state = next;
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

function refusedInit(errorCode: number): InitAnswer {
  return { errorCode, producerId: -1, producerEpoch: -1 };
}

function knows(transaction: Transaction, expected: ProducerIdentity): boolean {
  return (
    expected.producerEpoch === -1 ||
    transaction.producerEpoch === -1 ||
    expected.producerId === transaction.producerId ||
    (expected.producerId === transaction.lastProducerId &&
      expected.producerEpoch >= EPOCH_EXHAUSTED)
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

function keyOf(participant: Participant): string {
  return participant.kind === 'partition'
    ? `p/${participant.topic}/${participant.partition}`
    : `o/${participant.group}`;
}

function isPrepared(state: TransactionState): boolean {
  return state === 'PrepareCommit' || state === 'PrepareAbort' || state === 'PrepareEpochFence';
}

function prepareOf(result: TransactionResult): 'PrepareCommit' | 'PrepareAbort' {
  return result === 'commit' ? 'PrepareCommit' : 'PrepareAbort';
}

function completeOf(result: TransactionResult): 'CompleteCommit' | 'CompleteAbort' {
  return result === 'commit' ? 'CompleteCommit' : 'CompleteAbort';
}
