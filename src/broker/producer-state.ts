/**
 * What one partition knows about its idempotent and transactional producers.
 *
 * Owned by `partition.ts`. The rules are those of Kafka's ProducerAppendInfo (rule 9).
 *
 * I1. A producer's epoch never goes back on a partition: an older one is INVALID_PRODUCER_EPOCH.
 * I2. Within one epoch sequences are without gaps modulo 2^31; they go on across transactions.
 * I3. The last five batches are remembered, so that a repeated request gets its first answer again
 *     instead of a second append.
 */
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import type { BatchHeader } from './batch-header.ts';

const REMEMBERED_BATCHES = 5;
const SEQUENCE_MAX = 2_147_483_647;

export interface RememberedBatch {
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly baseOffset: number;
}

interface ProducerEntry {
  epoch: number;
  batches: RememberedBatch[];
  lastSeen: number;
  transaction: 'open' | 'none';
}

export class ProducerState {
  readonly #entries = new Map<number, ProducerEntry>();

  /** Whether this epoch of the producer has a transaction open here. */
  hasOpenTransaction(producerId: number, epoch: number): boolean {
    const entry = this.#entries.get(producerId);
    return entry !== undefined && entry.epoch === epoch && entry.transaction === 'open';
  }

  /** The first answer to a batch that was appended before, when it is one of the last five. */
  repeated(header: BatchHeader): RememberedBatch | undefined {
    const entry = this.#entries.get(header.producerId);
    if (entry === undefined || entry.epoch !== header.producerEpoch) return undefined;
    const last = lastSequence(header);
    return entry.batches.find(
      (batch) => batch.firstSequence === header.baseSequence && batch.lastSequence === last,
    );
  }

  /** The error code of a batch that may not be appended, or 0. */
  check(header: BatchHeader): number {
    const entry = this.#entries.get(header.producerId);
    // A producer unknown here may start at any sequence: its state may have expired (KIP-360).
    if (entry === undefined) return KafkaErrorCode.NONE;
    if (header.producerEpoch < entry.epoch) return KafkaErrorCode.INVALID_PRODUCER_EPOCH;
    if (header.producerEpoch > entry.epoch) {
      return header.baseSequence === 0
        ? KafkaErrorCode.NONE
        : KafkaErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER;
    }
    const last = entry.batches.at(-1)?.lastSequence ?? -1;
    const expected = last === SEQUENCE_MAX ? 0 : last + 1;
    if (header.baseSequence !== expected) return KafkaErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER;
    if (entry.transaction === 'open' && !header.transactional) {
      return KafkaErrorCode.INVALID_TXN_STATE;
    }
    return KafkaErrorCode.NONE;
  }

  /** Records an append; answers whether it opened a transaction. */
  appended(header: BatchHeader, baseOffset: number, now: number): 'opened' | 'continued' {
    const entry = this.#at(header.producerId, header.producerEpoch);
    entry.lastSeen = now;
    entry.batches.push({
      firstSequence: header.baseSequence,
      lastSequence: lastSequence(header),
      baseOffset,
    });
    if (entry.batches.length > REMEMBERED_BATCHES) entry.batches.shift();
    if (!header.transactional || entry.transaction === 'open') return 'continued';
    entry.transaction = 'open';
    return 'opened';
  }

  /** The error code of a marker that may not be appended, or 0. */
  checkMarker(producerId: number, epoch: number): number {
    const entry = this.#entries.get(producerId);
    return entry !== undefined && epoch < entry.epoch
      ? KafkaErrorCode.INVALID_PRODUCER_EPOCH
      : KafkaErrorCode.NONE;
  }

  /** A marker with a bumped epoch fences the older one here (rules 5, 6). */
  ended(producerId: number, epoch: number, now: number): void {
    const entry = this.#at(producerId, epoch);
    entry.transaction = 'none';
    entry.lastSeen = now;
  }

  /** Forgets producers not seen since `before` that have nothing open (state loss of rule 9). */
  expire(before: number): void {
    for (const [producerId, entry] of this.#entries) {
      if (entry.lastSeen < before && entry.transaction === 'none') this.#entries.delete(producerId);
    }
  }

  #at(producerId: number, epoch: number): ProducerEntry {
    let entry = this.#entries.get(producerId);
    if (entry === undefined) {
      entry = { epoch, batches: [], lastSeen: 0, transaction: 'none' };
      this.#entries.set(producerId, entry);
    }
    if (epoch > entry.epoch) {
      entry.epoch = epoch;
      entry.batches = [];
    }
    return entry;
  }
}

function lastSequence(header: BatchHeader): number {
  const last = header.baseSequence + header.lastOffsetDelta;
  return last > SEQUENCE_MAX ? last - SEQUENCE_MAX - 1 : last;
}
