/**
 * Completes a batch: the header with the producer's identity, and the checksum over all of it.
 *
 * Epoch and sequence are known only when the transaction is, so they are written last; the records
 * are not touched, and the same batch may be sealed again for another producer id.
 */
import {
  ATTRIBUTES,
  BASE_OFFSET,
  BASE_SEQUENCE,
  BASE_TIMESTAMP,
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
  TRANSACTIONAL,
  writeInt64,
} from './batch-layout.ts';
import { compress, NO_COMPRESSION } from './codecs.ts';
import { crc32c } from './crc32c.ts';

/** Encoded records behind room for a header. */
export interface PendingBatch {
  /** At least `bytes` long; belongs to the batch. */
  readonly buffer: Buffer;
  /** Header included. */
  readonly bytes: number;
  readonly records: number;
  readonly baseTimestamp: number;
  readonly maxTimestamp: number;
  /** Number of the codec that the records travel in; 0: as they are. */
  readonly codec: number;
}

export interface Sealing {
  readonly producerId: number;
  readonly producerEpoch: number;
  /** Sequence of the first record, below 2^31. */
  readonly baseSequence: number;
  /** `plain` batches carry no identity, whatever the other fields say. */
  readonly transactional: 'transactional' | 'idempotent' | 'plain';
}

/** The bytes to send. Without compression a view into the batch, valid until it is sealed again. */
export function sealBatch(batch: PendingBatch, sealing: Sealing): Buffer {
  const { codec } = batch;
  const sealed =
    codec === NO_COMPRESSION ? batch.buffer.subarray(0, batch.bytes) : compressed(batch);
  const plain = sealing.transactional === 'plain';
  writeInt64(sealed, BASE_OFFSET, 0);
  sealed.writeInt32BE(sealed.length - LENGTH_PREFIX_BYTES, LENGTH);
  sealed.writeInt32BE(-1, LEADER_EPOCH);
  sealed.writeInt8(2, MAGIC);
  sealed.writeInt16BE(
    (sealing.transactional === 'transactional' ? TRANSACTIONAL : 0) | codec,
    ATTRIBUTES,
  );
  sealed.writeInt32BE(batch.records - 1, LAST_OFFSET_DELTA);
  writeInt64(sealed, BASE_TIMESTAMP, batch.baseTimestamp);
  writeInt64(sealed, MAX_TIMESTAMP, batch.maxTimestamp);
  writeInt64(sealed, PRODUCER_ID, plain ? -1 : sealing.producerId);
  sealed.writeInt16BE(plain ? -1 : sealing.producerEpoch, PRODUCER_EPOCH);
  sealed.writeInt32BE(plain ? -1 : sealing.baseSequence, BASE_SEQUENCE);
  sealed.writeInt32BE(batch.records, COUNT);
  sealed.writeUInt32BE(crc32c(sealed, ATTRIBUTES, sealed.length), CRC);
  return sealed;
}

function compressed({ codec, buffer, bytes }: PendingBatch): Buffer {
  const content = compress(codec, buffer.subarray(HEADER_BYTES, bytes));
  return Buffer.concat([Buffer.alloc(HEADER_BYTES), content]);
}
