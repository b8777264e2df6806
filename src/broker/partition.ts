/**
 * One partition: its log, its producers and the rules of an append.
 *
 * Called by the produce handler (client batches) and by the transaction coordinator (markers).
 *
 * I1. Nothing is appended unless every check passed: a refused batch leaves no trace.
 * I2. Epoch, sequence and duplicate checks come before the transaction check, as in Kafka's
 *     UnifiedLog; whether the partition belongs to the transaction is the coordinator's knowledge
 *     and asked for only when the producer has nothing open here (rule 8). A late request of the
 *     same epoch therefore slips into whatever transaction is open: v1 does not protect from it.
 */
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import { type Marker, markerBatch, readBatchHeader } from './batch-header.ts';
import { PartitionLog } from './log.ts';
import { ProducerState } from './producer-state.ts';
import { keysOf } from './records.ts';

export interface AppendRules {
  readonly batchBytesMax: number;
  readonly keys: 'required' | 'optional';
  readonly now: number;
  /** Error code of the coordinator for a partition that may not be in the transaction, or 0. */
  verify(producerId: number, epoch: number): number;
}

export interface Appended {
  readonly errorCode: number;
  /** -1 after an error. */
  readonly baseOffset: number;
  readonly message?: string;
}

export class Partition {
  readonly topic: string;
  readonly index: number;
  readonly leader: number;
  readonly log = new PartitionLog();
  readonly producers = new ProducerState();

  constructor(options: { topic: string; index: number; leader: number }) {
    this.topic = options.topic;
    this.index = options.index;
    this.leader = options.leader;
  }

  /** Appends what a client sent: exactly one batch, as of Produce v3. */
  append(records: Buffer, rules: AppendRules): Appended {
    const header = readBatchHeader(records, 0);
    if (header === 'crc' || header === 'truncated') {
      return refused(KafkaErrorCode.CORRUPT_MESSAGE, `the batch fails its check: ${header}`);
    }
    if (typeof header === 'string') {
      return refused(KafkaErrorCode.INVALID_RECORD, `the batch fails its check: ${header}`);
    }
    if (header.bytes !== records.length) {
      return refused(
        KafkaErrorCode.INVALID_RECORD,
        'a partition takes exactly one batch a request',
      );
    }
    if (header.bytes > rules.batchBytesMax) {
      return refused(
        KafkaErrorCode.MESSAGE_TOO_LARGE,
        `a batch of ${header.bytes} bytes exceeds max.message.bytes ${rules.batchBytesMax}`,
      );
    }
    if (header.kind === 'control') {
      return refused(KafkaErrorCode.INVALID_RECORD, 'a client may not write control batches');
    }
    const keys = rules.keys === 'required' ? keysOf(records, header) : 'given';
    if (keys !== 'given') {
      return refused(KafkaErrorCode.INVALID_RECORD, `a compacted topic needs keys: ${keys}`);
    }
    if (header.producerId < 0) {
      const baseOffset = this.log.append(records, header);
      this.log.announce();
      return { errorCode: KafkaErrorCode.NONE, baseOffset };
    }
    const { producerId, producerEpoch } = header;
    if (header.transactional && !this.producers.hasOpenTransaction(producerId, producerEpoch)) {
      const unverified = rules.verify(producerId, producerEpoch);
      if (unverified !== KafkaErrorCode.NONE) {
        return refused(unverified, 'the partition is not part of the ongoing transaction');
      }
    }
    const repeated = this.producers.repeated(header);
    if (repeated !== undefined) {
      return { errorCode: KafkaErrorCode.NONE, baseOffset: repeated.baseOffset };
    }
    const errorCode = this.producers.check(header);
    if (errorCode !== KafkaErrorCode.NONE) {
      return refused(
        errorCode,
        `producer ${producerId} epoch ${producerEpoch} sequence ${header.baseSequence}`,
      );
    }
    const baseOffset = this.log.append(records, header);
    if (this.producers.appended(header, baseOffset, rules.now) === 'opened') {
      this.log.openTransaction(producerId, baseOffset);
    }
    this.log.announce();
    return { errorCode: KafkaErrorCode.NONE, baseOffset };
  }

  /** Ends the producer's transaction here, also when it wrote nothing here. */
  mark(marker: Marker, now: number): void {
    const { producerId, producerEpoch } = marker;
    if (this.producers.checkMarker(producerId, producerEpoch) !== KafkaErrorCode.NONE) return;
    const batch = markerBatch(marker, now);
    const header = readBatchHeader(batch, 0);
    if (typeof header === 'string') return;
    const offset = this.log.append(batch, header);
    this.producers.ended(producerId, producerEpoch, now);
    this.log.closeTransaction(producerId, offset, marker.result);
    this.log.announce();
  }
}

function refused(errorCode: number, message: string): Appended {
  return { errorCode, baseOffset: -1, message };
}
