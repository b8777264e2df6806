/**
 * What the coordinator keeps of one transactional id, and which state may follow which.
 *
 *              AddPartitions, AddOffsets, first Produce (v2)
 *   Empty ────────────────────────────────► Ongoing ───EndTxn───► PrepareCommit ─► CompleteCommit
 *     ▲   ▲                                  │    └────EndTxn───► PrepareAbort ──► CompleteAbort
 *     │   └── InitProducerId ── Complete*    │                      ▲      ▲
 *     │                                      └─ InitProducerId,     │      └─ EndTxn abort of v2 in
 *     └── InitProducerId                        timeout ──► PrepareEpochFence  Empty and Complete*
 */
import { invariant } from '../errors.ts';
import type { Timer } from '../ports.ts';
import type { TransactionResult } from './batch-header.ts';

export type TransactionState =
  | 'Empty'
  | 'Ongoing'
  | 'PrepareCommit'
  | 'PrepareAbort'
  | 'CompleteCommit'
  | 'CompleteAbort'
  | 'PrepareEpochFence'
  | 'Dead';

/** Legal successors; a step outside the table is a defect of the coordinator. */
export const TRANSACTION_SUCCESSORS: Readonly<
  Record<TransactionState, readonly TransactionState[]>
> = {
  Empty: ['Empty', 'Ongoing', 'PrepareAbort', 'Dead'],
  Ongoing: ['Ongoing', 'PrepareCommit', 'PrepareAbort', 'PrepareEpochFence'],
  PrepareEpochFence: ['PrepareAbort'],
  PrepareCommit: ['CompleteCommit'],
  PrepareAbort: ['CompleteAbort'],
  CompleteCommit: ['Empty', 'Ongoing', 'PrepareAbort', 'Dead'],
  CompleteAbort: ['Empty', 'Ongoing', 'PrepareAbort', 'Dead'],
  Dead: [],
};

export type Participant =
  | { readonly kind: 'partition'; readonly topic: string; readonly partition: number }
  | { readonly kind: 'offsets'; readonly group: string };

export interface ProducerIdentity {
  readonly producerId: number;
  readonly producerEpoch: number;
}

/** Which rules a request asks for, by its version: those before KIP-890's second part, or after. */
export type ClientRules = 'v1' | 'v2';

/** The next producer id is taken from this epoch on: the last one is left for a fence. */
const EPOCH_EXHAUSTED = 32_766;
export const EPOCH_MAX = 32_767;
export const NO_EPOCH = -1;
export const NO_ID = -1;

export interface Transaction {
  readonly transactionalId: string;
  producerId: number;
  /** Of the state before the present one; differs after a rotation of ids only. */
  previousProducerId: number;
  /** Taken at Prepare when the epoch is exhausted, given at Complete (v2). */
  nextProducerId: number;
  producerEpoch: number;
  /** Epoch that the client had before the present one, when it may still repeat itself. */
  lastEpoch: number;
  timeoutMs: number;
  state: TransactionState;
  /** Rules of the client of the last transition; markers are checked by them. */
  rules: ClientRules;
  participants: Map<string, Participant>;
  startedAt: number;
  changedAt: number;
  expiry: Timer | null;
  /**
   * While a record of the transaction log is being written: what becomes of it when the coordinator
   * moves meanwhile.
   */
  pending: (() => void) | null;
}

export function newTransaction(transactionalId: string, producerId: number): Transaction {
  return {
    transactionalId,
    producerId,
    previousProducerId: NO_ID,
    nextProducerId: NO_ID,
    producerEpoch: NO_EPOCH,
    lastEpoch: NO_EPOCH,
    timeoutMs: 0,
    state: 'Empty',
    rules: 'v1',
    participants: new Map(),
    startedAt: -1,
    changedAt: -1,
    expiry: null,
    pending: null,
  };
}

export type Changes = Partial<
  Pick<Transaction, 'producerId' | 'nextProducerId' | 'producerEpoch' | 'lastEpoch' | 'rules'>
>;

/** One record of the transaction log: the state and what changes with it. */
export function transit(
  transaction: Transaction,
  next: TransactionState,
  now: number,
  changes: Changes = {},
): void {
  invariant(TRANSACTION_SUCCESSORS[transaction.state].includes(next), 'no legal successor', {
    transactionalId: transaction.transactionalId,
    from: transaction.state,
    to: next,
  });
  transaction.previousProducerId = transaction.producerId;
  transaction.state = next;
  transaction.changedAt = now;
  Object.assign(transaction, changes);
}

export function keyOf(participant: Participant): string {
  return participant.kind === 'partition'
    ? `p/${participant.topic}/${participant.partition}`
    : `o/${participant.group}`;
}

export function isExhausted(epoch: number): boolean {
  return epoch >= EPOCH_EXHAUSTED;
}

/** The outcome stands and is being told to the participants. */
export function isPrepared({ state }: Transaction): boolean {
  return state === 'PrepareCommit' || state === 'PrepareAbort';
}

/** A step is being taken: from Prepare on the one to Complete. */
export function isPending(transaction: Transaction): boolean {
  return transaction.pending !== null || isPrepared(transaction);
}

export function prepareOf(result: TransactionResult): 'PrepareCommit' | 'PrepareAbort' {
  return result === 'commit' ? 'PrepareCommit' : 'PrepareAbort';
}

export function completeOf(result: TransactionResult): 'CompleteCommit' | 'CompleteAbort' {
  return result === 'commit' ? 'CompleteCommit' : 'CompleteAbort';
}
