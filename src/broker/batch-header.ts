/**
 * The fixed fields of a record batch of format 2, read and written where they lie in the bytes.
 *
 * The broker never decodes records: a partition log keeps batches as they came and only the base
 * offset, which the CRC does not cover, is written into its own copy.
 */
import {
  ATTRIBUTES,
  BASE_SEQUENCE,
  BASE_TIMESTAMP,
  COMPRESSION_MASK,
  CONTROL,
  COUNT,
  CRC,
  HEADER_BYTES,
  LAST_OFFSET_DELTA,
  LEADER_EPOCH,
  LENGTH,
  LENGTH_PREFIX_BYTES,
  MAGIC,
  MAX_TIMESTAMP,
  PRODUCER_EPOCH,
  PRODUCER_ID,
  readInt64,
  TRANSACTIONAL,
  writeInt64,
} from '../kafka/records/batch-layout.ts';
import { crc32c } from '../kafka/records/crc32c.ts';

export interface BatchHeader {
  /** Whole batch, length prefix included. */
  readonly bytes: number;
  readonly compression: number;
  readonly kind: 'data' | 'control';
  readonly transactional: boolean;
  readonly lastOffsetDelta: number;
  readonly firstTimestamp: number;
  readonly maxTimestamp: number;
  /** -1 when the producer is not idempotent. */
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly count: number;
  /** Attribute bits as they are. */
  readonly attributes: number;
  /** When tombstones, or a marker without data, may go (KIP-534); null until a compaction set it. */
  readonly deleteHorizonMs: number | null;
}

/** Set by compaction: the base timestamp is the delete horizon. */
const DELETE_HORIZON = 0x40;

/** Why a batch is refused before it is looked at any further. */
export type BatchFault = 'truncated' | 'magic' | 'count';

/** Reads and checks the batch that starts at `at`: bounds, magic and the record count. */
export function readBatchHeader(buffer: Buffer, at: number): BatchHeader | BatchFault {
  if (buffer.length - at < HEADER_BYTES) return 'truncated';
  const bytes = buffer.readInt32BE(at + LENGTH) + LENGTH_PREFIX_BYTES;
  if (bytes < HEADER_BYTES || bytes > buffer.length - at) return 'truncated';
  if (buffer.readInt8(at + MAGIC) !== 2) return 'magic';
  const count = buffer.readInt32BE(at + COUNT);
  const lastOffsetDelta = buffer.readInt32BE(at + LAST_OFFSET_DELTA);
  if (count < 1 || lastOffsetDelta !== count - 1) return 'count';
  return fieldsOf(buffer, at, bytes);
}

function fieldsOf(buffer: Buffer, at: number, bytes: number): BatchHeader {
  const attributes = buffer.readInt16BE(at + ATTRIBUTES);
  const firstTimestamp = readInt64(buffer, at + BASE_TIMESTAMP);
  return {
    bytes,
    attributes,
    deleteHorizonMs: (attributes & DELETE_HORIZON) === 0 ? null : firstTimestamp,
    compression: attributes & COMPRESSION_MASK,
    kind: (attributes & CONTROL) === 0 ? 'data' : 'control',
    transactional: (attributes & TRANSACTIONAL) !== 0,
    lastOffsetDelta: buffer.readInt32BE(at + LAST_OFFSET_DELTA),
    firstTimestamp,
    maxTimestamp: readInt64(buffer, at + MAX_TIMESTAMP),
    producerId: readInt64(buffer, at + PRODUCER_ID),
    producerEpoch: buffer.readInt16BE(at + PRODUCER_EPOCH),
    baseSequence: buffer.readInt32BE(at + BASE_SEQUENCE),
    count: buffer.readInt32BE(at + COUNT),
  };
}

/** Whether the bytes of a batch are those that its producer sealed. */
export function crcFits(batch: Buffer, header: BatchHeader): boolean {
  return crc32c(batch, ATTRIBUTES, header.bytes) === batch.readUInt32BE(CRC);
}

/** Places a batch in the log: the only two fields outside the CRC that a broker owns. */
export function placeBatch(batch: Buffer, baseOffset: number, leaderEpoch: number): void {
  writeInt64(batch, 0, baseOffset);
  batch.writeInt32BE(leaderEpoch, LEADER_EPOCH);
}

/** What a compaction changes in a batch. */
export interface Rewrite {
  /** Encoded, not compressed. */
  readonly records: Buffer;
  readonly count: number;
  readonly baseTimestamp: number;
  readonly maxTimestamp: number;
  readonly deleteHorizon: 'set' | 'none';
}

/**
 * The batch with other records: base offset, last offset, identity and sequence stay (KIP-98), so
 * that offsets and producers go on as if nothing had been removed. Without compression, which a
 * broker may choose.
 */
export function rewriteBatch(batch: Buffer, rewrite: Rewrite): [Buffer, BatchHeader] {
  const bytes = Buffer.concat([batch.subarray(0, HEADER_BYTES), rewrite.records]);
  bytes.writeInt32BE(bytes.length - LENGTH_PREFIX_BYTES, LENGTH);
  const kept = batch.readInt16BE(ATTRIBUTES) & ~(COMPRESSION_MASK | DELETE_HORIZON);
  bytes.writeInt16BE(rewrite.deleteHorizon === 'set' ? kept | DELETE_HORIZON : kept, ATTRIBUTES);
  writeInt64(bytes, BASE_TIMESTAMP, rewrite.baseTimestamp);
  writeInt64(bytes, MAX_TIMESTAMP, rewrite.maxTimestamp);
  bytes.writeInt32BE(rewrite.count, COUNT);
  bytes.writeUInt32BE(crc32c(bytes, ATTRIBUTES, bytes.length), CRC);
  return [bytes, fieldsOf(bytes, 0, bytes.length)];
}

export interface Marker {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly result: TransactionResult;
  /** Of the coordinator that sends it; a participant refuses those of earlier ones (rule 17). */
  readonly coordinatorEpoch: number;
  /** By which the transaction was ended; not in the batch, the leader's check depends on it. */
  readonly rules: 'v1' | 'v2';
}

export type TransactionResult = 'commit' | 'abort';

const MARKER_KEY_BYTES = 4;
const MARKER_VALUE_BYTES = 6;
/** Length, attributes, timestamp delta, offset delta, key, value and header count of the marker. */
const MARKER_RECORD_BYTES = 1 + 1 + 1 + 1 + 1 + MARKER_KEY_BYTES + 1 + MARKER_VALUE_BYTES + 1;

/** A control batch with one end-of-transaction record, base offset 0 until it is placed. */
export function markerBatch(marker: Marker, timestamp: number): Buffer {
  const batch = Buffer.alloc(HEADER_BYTES + MARKER_RECORD_BYTES);
  batch.writeInt32BE(batch.length - LENGTH_PREFIX_BYTES, LENGTH);
  batch.writeInt8(2, MAGIC);
  batch.writeInt16BE(TRANSACTIONAL | CONTROL, ATTRIBUTES);
  writeInt64(batch, BASE_TIMESTAMP, timestamp);
  writeInt64(batch, MAX_TIMESTAMP, timestamp);
  writeInt64(batch, PRODUCER_ID, marker.producerId);
  batch.writeInt16BE(marker.producerEpoch, PRODUCER_EPOCH);
  batch.writeInt32BE(-1, BASE_SEQUENCE);
  batch.writeInt32BE(1, COUNT);
  let at = HEADER_BYTES;
  // Varints are zigzag: a length n is the byte 2n.
  at = batch.writeUInt8((MARKER_RECORD_BYTES - 1) * 2, at);
  at += 3;
  at = batch.writeUInt8(MARKER_KEY_BYTES * 2, at);
  at = batch.writeInt16BE(0, at);
  at = batch.writeInt16BE(marker.result === 'commit' ? 1 : 0, at);
  at = batch.writeUInt8(MARKER_VALUE_BYTES * 2, at);
  at = batch.writeInt16BE(0, at);
  at = batch.writeInt32BE(marker.coordinatorEpoch, at);
  batch.writeUInt8(0, at);
  batch.writeUInt32BE(crc32c(batch, ATTRIBUTES, batch.length), CRC);
  return batch;
}
