/**
 * One partition: its log, its producers and the rules of an append.
 *
 * Called by the produce handler (client batches) and by the transaction coordinator (markers).
 *
 * I1. Nothing is appended unless every check passed: a refused batch leaves no trace in the log.
 * I2. Whether the partition belongs to a transaction is the coordinator's knowledge and asked for
 *     only when the producer has nothing open here (rule 8), before a batch is checked any further.
 *     A late request of the same epoch therefore slips into whatever transaction is open: v1 does
 *     not protect from it; with v2 the epoch is another one after each marker.
 * I3. What is appended is on every replica in sync at once, so a new leader has all of it; a leader
 *     has a higher epoch than the one before (rule 20).
 */
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import {
  type BatchHeader,
  crcFits,
  type Marker,
  markerBatch,
  readBatchHeader,
} from './batch-header.ts';
import { PartitionLog } from './log.ts';
import type { MarkerOutcome } from './markers.ts';
import { type MarkerEpochs, ProducerState } from './producer-state.ts';
import { keysOf } from './records.ts';
import type { ClientRules } from './transaction-state.ts';

export interface AppendRules {
  readonly batchBytesMax: number;
  readonly keys: 'required' | 'optional';
  /** How far a record may lie in the future. */
  readonly timestampAfterMaxMs: number;
  /** `min.insync.replicas`, which only acks -1 asks for. */
  readonly replicasMin: number;
  readonly acks: number;
}

/**
 * Whether enough replicas follow: with `too-few` a batch of acks -1 is refused, with
 * `too-few-after-append` it is appended and its producer told to send it again.
 */
export type Replication = 'enough' | 'too-few' | 'too-few-after-append';

const NO_NODE = -1;

export interface Appended {
  readonly errorCode: number;
  /** -1 after an error. */
  readonly baseOffset: number;
  readonly message?: string;
}

/** Settings of a topic, and one of the broker, for what Kafka does in the background. */
export interface CleanupPolicy {
  readonly deletes: boolean;
  readonly retentionMs: number;
  readonly retentionBytes: number;
  readonly compacts: boolean;
  readonly deleteRetentionMs: number;
  readonly compactionLagMs: number;
  readonly producerIdExpirationMs: number;
}

/** What the coordinator has to be asked before a batch is appended, or why it is refused. */
export type TransactionNeed = 'nothing' | 'ask' | Appended;

export class Partition {
  readonly topic: string;
  readonly index: number;
  readonly log = new PartitionLog();
  readonly producers = new ProducerState();
  /** Set on request; on top of what the nodes that are down make of it. */
  replication: Replication = 'enough';
  #leader: number;
  #replicas: readonly number[];
  #inSync: readonly number[];

  constructor(options: { topic: string; index: number; replicas: readonly number[] }) {
    this.topic = options.topic;
    this.index = options.index;
    this.#replicas = options.replicas;
    this.#leader = options.replicas[0]!;
    this.#inSync = options.replicas;
  }

  /** -1 while no replica in sync is up. */
  get leader(): number {
    return this.#leader;
  }

  /** The first one is preferred as leader. */
  get replicas(): readonly number[] {
    return this.#replicas;
  }

  get inSync(): readonly number[] {
    return this.#inSync;
  }

  /**
   * The node leads from now on; one that was no replica takes the place of the leader, as after a
   * reassignment. Waiting fetches learn of it.
   */
  lead(node: number): void {
    const reassigned = (each: number) => (each === this.#leader ? node : each);
    if (node !== NO_NODE && !this.#replicas.includes(node)) {
      this.#replicas = this.#replicas.map(reassigned);
      this.#inSync = this.#inSync.map(reassigned);
    }
    this.#leader = node;
    this.log.nextLeaderEpoch();
    this.log.announce();
  }

  /** Whether a client that knows this leader epoch (-1: none) is behind or ahead; 0 if neither. */
  epochFault(leaderEpoch: number): number {
    if (leaderEpoch === -1 || leaderEpoch === this.log.leaderEpoch) return KafkaErrorCode.NONE;
    return leaderEpoch < this.log.leaderEpoch
      ? KafkaErrorCode.FENCED_LEADER_EPOCH
      : KafkaErrorCode.UNKNOWN_LEADER_EPOCH;
  }

  /** A node went down or came back: who follows, and who leads now. */
  followNodes(isUp: (node: number) => boolean): void {
    const live = this.#inSync.filter((node) => isUp(node));
    if (live.length === 0) {
      // Only those last in sync may lead again: the others may lack what was acknowledged.
      if (this.#leader !== NO_NODE) this.lead(NO_NODE);
      return;
    }
    if (!live.includes(this.#leader)) this.lead(live[0]!);
    this.#inSync = this.#replicas.filter((node) => isUp(node));
  }

  /** The header of what a client sent: exactly one batch, as of Produce v3. */
  read(records: Buffer): BatchHeader | Appended {
    const header = readBatchHeader(records, 0);
    if (header === 'truncated') {
      return refused(KafkaErrorCode.CORRUPT_MESSAGE, 'the batch fails its check: truncated');
    }
    if (typeof header === 'string') {
      return refused(KafkaErrorCode.INVALID_RECORD, `the batch fails its check: ${header}`);
    }
    return header.bytes === records.length
      ? header
      : refused(KafkaErrorCode.INVALID_RECORD, 'a partition takes exactly one batch a request');
  }

  /** Of a transactional batch. Kafka 4 sees a stale epoch here, 3.9 leaves it to the coordinator. */
  transactionNeed(
    header: BatchHeader,
    rules: ClientRules,
    epochCheck: 'early' | 'late',
  ): TransactionNeed {
    const { producerId, producerEpoch } = header;
    if (epochCheck === 'early' && this.producers.isOlderEpoch(producerId, producerEpoch)) {
      return this.#fenced(header);
    }
    // Kafka 3.9 does not look at the epoch here either: a newer one slips into what is open.
    const openAt = epochCheck === 'early' ? producerEpoch : 'any';
    if (this.producers.hasOpenTransaction(producerId, openAt)) return 'nothing';
    this.producers.verifying(header, rules);
    return 'ask';
  }

  append(records: Buffer, header: BatchHeader, rules: AppendRules, now: number): Appended {
    const waitsForAll = rules.acks === -1;
    const isShort = this.replication === 'too-few' || this.#inSync.length < rules.replicasMin;
    if (waitsForAll && isShort) {
      return refused(
        KafkaErrorCode.NOT_ENOUGH_REPLICAS,
        `fewer replicas are in sync than min.insync.replicas ${rules.replicasMin}`,
      );
    }
    const appended = this.#append(records, header, rules, now);
    const isLate = this.replication === 'too-few-after-append';
    return waitsForAll && isLate && appended.errorCode === KafkaErrorCode.NONE
      ? refused(KafkaErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND, 'appended, not replicated')
      : appended;
  }

  #append(records: Buffer, header: BatchHeader, rules: AppendRules, now: number): Appended {
    if (!crcFits(records, header)) {
      return refused(KafkaErrorCode.CORRUPT_MESSAGE, 'the batch fails its check: crc');
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
    if (header.maxTimestamp - now > rules.timestampAfterMaxMs) {
      return refused(
        KafkaErrorCode.INVALID_TIMESTAMP,
        `a record is more than message.timestamp.after.max.ms ${rules.timestampAfterMaxMs} ahead`,
      );
    }
    if (header.producerId >= 0) {
      const repeated = this.producers.repeated(header);
      if (repeated !== undefined) {
        return { errorCode: KafkaErrorCode.NONE, baseOffset: repeated.baseOffset };
      }
      const errorCode = this.producers.check(header);
      if (errorCode !== KafkaErrorCode.NONE) return this.#outOfLine(errorCode, header);
    }
    const baseOffset = this.log.append(records, header);
    if (header.producerId >= 0 && this.producers.appended(header, baseOffset) === 'opened') {
      this.log.openTransaction(header.producerId, baseOffset);
    }
    this.log.announce();
    return { errorCode: KafkaErrorCode.NONE, baseOffset };
  }

  /** Whether a marker, which waits for all replicas in sync, can be written. */
  takesMarkers(replicasMin: number): boolean {
    const isFull = this.replication === 'enough' && this.#inSync.length >= replicasMin;
    return this.#leader !== NO_NODE && isFull;
  }

  /** Ends the producer's transaction here, also when it wrote nothing here. */
  mark(marker: Marker, now: number, epochs: MarkerEpochs): MarkerOutcome {
    if (this.producers.checkMarker(marker, epochs) !== KafkaErrorCode.NONE) return 'refused';
    const batch = markerBatch(marker, now);
    const header = readBatchHeader(batch, 0);
    if (typeof header === 'string') return 'refused';
    const offset = this.log.append(batch, header);
    this.producers.ended(marker, now);
    this.log.closeTransaction(marker.producerId, offset, marker.result);
    this.log.announce();
    return 'written';
  }

  /** Retention and compaction as the settings of the topic want them, now. */
  clean(policy: CleanupPolicy, now: number): void {
    this.producers.expire(now - policy.producerIdExpirationMs);
    if (policy.deletes) {
      const before = policy.retentionMs < 0 ? -Infinity : now - policy.retentionMs;
      this.log.retain(before, policy.retentionBytes);
    }
    if (policy.compacts) {
      this.log.compact({
        now,
        deleteRetentionMs: policy.deleteRetentionMs,
        cleanableUntil: policy.compactionLagMs > 0 ? now - policy.compactionLagMs : Infinity,
        lastOf: (producerId) => this.producers.lastOf(producerId),
      });
    }
    this.log.announce();
  }

  #fenced(header: BatchHeader): Appended {
    return this.#outOfLine(KafkaErrorCode.INVALID_PRODUCER_EPOCH, header);
  }

  #outOfLine(errorCode: number, header: BatchHeader): Appended {
    const { producerId, producerEpoch, baseSequence } = header;
    return refused(
      errorCode,
      `producer ${producerId} epoch ${producerEpoch} sequence ${baseSequence}`,
    );
  }
}

function refused(errorCode: number, message: string): Appended {
  return { errorCode, baseOffset: -1, message };
}
