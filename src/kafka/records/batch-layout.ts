/**
 * Where the fields of a record batch of format 2 (magic 2) lie.
 *
 * The length counts from `LEADER_EPOCH` on; the checksum covers everything from `ATTRIBUTES` on, so
 * base offset and leader epoch may be set by the broker without a new one.
 */
export const BASE_OFFSET = 0;
export const LENGTH = 8;
export const LEADER_EPOCH = 12;
export const MAGIC = 16;
export const CRC = 17;
export const ATTRIBUTES = 21;
export const LAST_OFFSET_DELTA = 23;
export const BASE_TIMESTAMP = 27;
export const MAX_TIMESTAMP = 35;
export const PRODUCER_ID = 43;
export const PRODUCER_EPOCH = 51;
export const BASE_SEQUENCE = 53;
export const COUNT = 57;
/** Bytes before the first record. */
export const HEADER_BYTES = 61;
/** Base offset and length, which the length does not count. */
export const LENGTH_PREFIX_BYTES = 12;

export const COMPRESSION_MASK = 0x07;
/** The records' time is the broker's: the batch's largest timestamp. */
export const LOG_APPEND_TIME = 0x08;
export const TRANSACTIONAL = 0x10;
export const CONTROL = 0x20;

const TWO_TO_32 = 4_294_967_296;
const TWO_TO_63 = 2 ** 63;

/** An int64 as a double: exact to 2^53, rounded beyond (only timestamps go there). */
export function readInt64(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at) * TWO_TO_32 + buffer.readUInt32BE(at + 4);
}

/** Values at or beyond the ends of int64 become its ends. */
export function writeInt64(buffer: Buffer, at: number, value: number): void {
  if (value >= TWO_TO_63) {
    buffer.writeInt32BE(0x7fff_ffff, at);
    buffer.writeUInt32BE(0xffff_ffff, at + 4);
    return;
  }
  const high = Math.floor(Math.max(value, -TWO_TO_63) / TWO_TO_32);
  buffer.writeInt32BE(high, at);
  buffer.writeUInt32BE(Math.max(value, -TWO_TO_63) - high * TWO_TO_32, at + 4);
}
