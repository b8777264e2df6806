/**
 * What one partition knows about its idempotent and transactional producers.
 *
 * Owned by `partition.ts`. The rules are those of Kafka's ProducerAppendInfo and of its verification
 * entries (rules 8, 9).
 *
 * I1. A producer's epoch never goes back on a partition: an older one is INVALID_PRODUCER_EPOCH.
 * I2. Within one epoch sequences are without gaps modulo 2^31; they go on across transactions of
 *     that epoch.
 * I3. The last five batches are remembered, so that a repeated request gets its first answer again
 *     instead of a second append.
 * I4. A first batch of a transaction that was refused for now keeps later ones out until it came.
 */
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import type { BatchHeader, Marker } from './batch-header.ts';
import { type ClientRules, EPOCH_MAX } from './transaction-state.ts';

const REMEMBERED_BATCHES = 5;
const SEQUENCE_MAX = 2_147_483_647;

export interface RememberedBatch {
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly baseOffset: number;
  readonly lastOffset: number;
}

interface ProducerEntry {
  epoch: number;
  /** Of the newest coordinator heard of, -1 before the first marker. */
  coordinatorEpoch: number;
  batches: RememberedBatch[];
  /** Newest record timestamp of its last batch, not the time of the append: as in Kafka. */
  lastSeen: number;
  transaction: 'open' | 'none';
}

/** Of a producer whose first batch of a transaction is being asked about at the coordinator. */
interface Verification {
  epoch: number;
  lowestSequence: number;
  readonly rules: ClientRules;
}

/**
 * How the epoch of a marker is held against the producer's: `newer` (Kafka 4.3, KAFKA-19999) wants
 * a bumped one from a v2 transaction, `not-older` (before) takes the same one as well.
 */
export type MarkerEpochs = 'newer' | 'not-older';

export class ProducerState {
  readonly #entries = new Map<number, ProducerEntry>();
  readonly #verifications = new Map<number, Verification>();

  /** Whether this epoch of the producer has a transaction open here. */
  hasOpenTransaction(producerId: number, epoch: number | 'any'): boolean {
    const entry = this.#entries.get(producerId);
    if (entry === undefined || entry.transaction !== 'open') return false;
    return epoch === 'any' || entry.epoch === epoch;
  }

  isOlderEpoch(producerId: number, epoch: number): boolean {
    const entry = this.#entries.get(producerId);
    return entry !== undefined && epoch < entry.epoch;
  }

  /** The coordinator is asked about the first batch of a transaction here. */
  verifying(header: BatchHeader, rules: ClientRules): void {
    const { producerId, producerEpoch: epoch, baseSequence } = header;
    const present = this.#verifications.get(producerId);
    if (present === undefined) {
      this.#verifications.set(producerId, { epoch, lowestSequence: baseSequence, rules });
    } else if (epoch > present.epoch) {
      present.epoch = epoch;
      present.lowestSequence = baseSequence;
    } else if (epoch === present.epoch && baseSequence < present.lowestSequence) {
      present.lowestSequence = baseSequence;
    }
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

  /** Of an active producer: the last offset of its last batch here, -1 after a bump; or null. */
  lastOf(producerId: number): { readonly lastOffset: number; readonly epoch: number } | null {
    const entry = this.#entries.get(producerId);
    if (entry === undefined) return null;
    return { lastOffset: entry.batches.at(-1)?.lastOffset ?? -1, epoch: entry.epoch };
  }

  /** The error code of a batch that may not be appended, or 0. */
  check(header: BatchHeader): number {
    const entry = this.#entries.get(header.producerId);
    if (entry !== undefined && header.producerEpoch < entry.epoch) {
      return KafkaErrorCode.INVALID_PRODUCER_EPOCH;
    }
    const verification = this.#verifications.get(header.producerId);
    if (verification !== undefined) {
      const isFirst = entry === undefined || entry.batches.length === 0;
      const mustBeZero = verification.rules === 'v2' && isFirst && header.baseSequence !== 0;
      if (mustBeZero || header.baseSequence > verification.lowestSequence) {
        return KafkaErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER;
      }
    }
    // A producer unknown here may start at any sequence: its state may have expired (KIP-360).
    if (entry === undefined) return KafkaErrorCode.NONE;
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
  appended(header: BatchHeader, baseOffset: number): 'opened' | 'continued' {
    const entry = this.#at(header.producerId, header.producerEpoch);
    entry.lastSeen = header.maxTimestamp;
    entry.batches.push({
      firstSequence: header.baseSequence,
      lastSequence: lastSequence(header),
      baseOffset,
      lastOffset: baseOffset + header.lastOffsetDelta,
    });
    if (entry.batches.length > REMEMBERED_BATCHES) entry.batches.shift();
    if (header.transactional) this.#verifications.delete(header.producerId);
    if (!header.transactional || entry.transaction === 'open') return 'continued';
    entry.transaction = 'open';
    return 'opened';
  }

  /** The error code of a marker that may not be appended, or 0. */
  checkMarker(marker: Marker, epochs: MarkerEpochs): number {
    const entry = this.#entries.get(marker.producerId);
    if (entry === undefined) return KafkaErrorCode.NONE;
    const epoch = marker.producerEpoch;
    // An equal epoch with nothing open is a marker that is written once more, after a move of the
    // coordinator or a lost answer.
    const isRepeat = entry.transaction === 'none' || epoch === EPOCH_MAX;
    const isNewer = marker.rules === 'v2' && epochs === 'newer';
    const isStale = isNewer && !isRepeat ? epoch <= entry.epoch : epoch < entry.epoch;
    if (isStale) return KafkaErrorCode.INVALID_PRODUCER_EPOCH;
    return marker.coordinatorEpoch < entry.coordinatorEpoch
      ? KafkaErrorCode.TRANSACTION_COORDINATOR_FENCED
      : KafkaErrorCode.NONE;
  }

  /** A marker with a bumped epoch fences the older one here (rules 5, 6, 7). */
  ended(marker: Marker, now: number): void {
    const { producerId, producerEpoch, coordinatorEpoch } = marker;
    const entry = this.#at(producerId, producerEpoch);
    entry.transaction = 'none';
    entry.coordinatorEpoch = coordinatorEpoch;
    entry.lastSeen = now;
    const verification = this.#verifications.get(producerId);
    // By the rules of v2 the next transaction's first batch may be ahead of this marker.
    const isNext = verification?.rules === 'v2' && verification.epoch === producerEpoch;
    if (!isNext) this.#verifications.delete(producerId);
  }

  /** Every producer that is known here, as DescribeProducers tells it. */
  all() {
    return [...this.#entries].map(([producerId, entry]) => ({
      producerId,
      producerEpoch: entry.epoch,
      lastSequence: entry.batches.at(-1)?.lastSequence ?? -1,
      lastTimestamp: entry.lastSeen,
      coordinatorEpoch: entry.coordinatorEpoch,
    }));
  }

  /** Forgets producers last seen at `until` or before with nothing open (state loss of rule 9). */
  expire(until: number): void {
    for (const [producerId, entry] of this.#entries) {
      if (entry.lastSeen <= until && entry.transaction === 'none') this.#entries.delete(producerId);
    }
  }

  #at(producerId: number, epoch: number): ProducerEntry {
    let entry = this.#entries.get(producerId);
    if (entry === undefined) {
      entry = { epoch, coordinatorEpoch: -1, batches: [], lastSeen: 0, transaction: 'none' };
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
