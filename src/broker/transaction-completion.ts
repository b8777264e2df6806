/**
 * Brings a transaction from Prepare to Complete: markers to its participants, then the last step.
 *
 * Called by `transactions.ts` when the outcome stands, and again by the next coordinator after a
 * move, which does all of it once more (rule 17).
 */
import type { Ports } from '../ports.ts';
import type { Marker } from './batch-header.ts';
import type { BrokerCounts } from './counts.ts';
import { type MarkerOutcome, MarkerWriter, type Sending } from './markers.ts';
import {
  completeOf,
  NO_ID,
  type Participant,
  type Transaction,
  transit,
} from './transaction-state.ts';

export interface CompletionOptions {
  readonly ports: Ports;
  readonly counts: BrokerCounts;
  /** Mean delay between EndTxn and a marker; each marker takes between none and twice of it. */
  readonly markerDelayMs: number;
  /** For each record of the transaction log; 0 writes within the request. */
  readonly coordinatorAppendMs: number;
  mark(participant: Participant, marker: Marker): MarkerOutcome;
  /** Of the coordinator of the id. */
  epochOf(transactionalId: string): number;
}

export class Completion {
  readonly #options: CompletionOptions;
  readonly #markers: MarkerWriter;
  /** By transactional id, of transactions in Prepare. */
  readonly #sendings = new Map<string, Sending>();

  constructor(options: CompletionOptions) {
    this.#options = options;
    this.#markers = new MarkerWriter({
      ports: options.ports,
      counts: options.counts,
      markerDelayMs: options.markerDelayMs,
      settleMs: options.coordinatorAppendMs,
      write: (participant, marker) => options.mark(participant, marker),
    });
  }

  begin(transaction: Transaction): void {
    const { transactionalId, producerId, producerEpoch, rules } = transaction;
    const result = transaction.state === 'PrepareCommit' ? 'commit' : 'abort';
    const coordinatorEpoch = this.#options.epochOf(transactionalId);
    const marker: Marker = { producerId, producerEpoch, result, coordinatorEpoch, rules };
    const participants = [...transaction.participants.values()];
    const sending = this.#markers.send(marker, participants, () => {
      this.#sendings.delete(transactionalId);
      const next = transaction.nextProducerId;
      const rotated = { producerId: next, producerEpoch: 0, nextProducerId: NO_ID };
      const now = this.#options.ports.clock.now();
      transit(transaction, completeOf(result), now, next === NO_ID ? {} : rotated);
      transaction.participants = new Map();
      transaction.startedAt = -1;
    });
    this.#sendings.set(transactionalId, sending);
  }

  /** The coordinator lost the id: what it has sent arrives, and completes nothing. */
  disown(transactionalId: string): void {
    this.#sendings.get(transactionalId)?.disown();
    this.#sendings.delete(transactionalId);
  }

  close(): void {
    this.#markers.close();
  }
}
