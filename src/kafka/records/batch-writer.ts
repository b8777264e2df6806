/**
 * Writes the records of one topic partition into record batches, as they are appended.
 *
 * Called per record by `transaction/scope.ts`. A record is encoded once, straight into the bytes that
 * travel; producer id, epoch, sequence and checksum come last (`sealBatch`).
 *
 * I1. No batch exceeds `batchBytesMax`, unless it holds a single record that does.
 * I2. `rollback` leaves exactly what `mark` found, also when batches were closed in between: closing
 *     keeps the bytes, so the batch that was open at the mark is opened again.
 * I3. `append` allocates nothing but a batch's bytes (and nothing that headers do not ask for).
 */
import { HEADER_BYTES } from './batch-layout.ts';
import { type Compression, codecOf } from './codecs.ts';
import type { Header } from './headers.ts';
import type { PendingBatch } from './seal-batch.ts';
import { VARLONG_MAX, varintBytes, varlongBytes, writeVarint, writeVarlong } from './varint.ts';

export { type PendingBatch, type Sealing, sealBatch } from './seal-batch.ts';

export interface BatchWriterOptions {
  /** Bytes at which a batch is closed and the next begun. Default: 500,000. */
  readonly batchBytesMax?: number;
  /** Of every batch. Default: `none`. */
  readonly compression?: Compression;
}

const BATCH_BYTES_MAX = 500_000;
const FIRST_BYTES = 1_024;
/** `copy` costs more than a loop below this many bytes. */
const COPY_BYTES_MIN = 48;
/** Length, attributes and five varints of at most ten bytes: never more around key and value. */
const OVERHEAD_BYTES = 48;

const NONE: Buffer = Buffer.alloc(0);

export class BatchWriter {
  readonly #batchBytesMax: number;
  readonly #codec: number;
  readonly #closed: PendingBatch[] = [];
  #closedBytes = 0;
  #closedCount = 0;

  /** The open batch; empty until its first record. */
  #buffer = NONE;
  #at = HEADER_BYTES;
  #count = 0;
  #baseTimestamp = 0;
  #maxTimestamp = 0;
  /** Size of the last batch: the next begins with as much. */
  #expectedBytes = FIRST_BYTES;

  #markClosed = 0;
  #markAt = HEADER_BYTES;
  #markCount = 0;
  #markMaxTimestamp = 0;

  constructor(options: BatchWriterOptions = {}) {
    this.#batchBytesMax = options.batchBytesMax ?? BATCH_BYTES_MAX;
    this.#codec = codecOf(options.compression ?? 'none');
  }

  /** Bytes appended and not taken, batch headers included. */
  get bytes(): number {
    return this.#closedBytes + (this.#count === 0 ? 0 : this.#at);
  }

  /** Records appended and not taken. */
  get count(): number {
    return this.#closedCount + this.#count;
  }

  /** A start of -1 or a buffer of null is Kafka's null. `timestamp` is any integer of int64. */
  append(
    timestamp: number,
    key: Buffer | null,
    keyStart: number,
    keyEnd: number,
    value: Buffer | null,
    valueStart: number,
    valueEnd: number,
    headers: readonly Header[] | null,
  ): void {
    const keyBytes = key === null || keyStart < 0 ? -1 : keyEnd - keyStart;
    const valueBytes = value === null || valueStart < 0 ? -1 : valueEnd - valueStart;
    const headerBytes = headers === null ? 1 : sizeOfHeaders(headers);
    let timestampDelta = this.#count === 0 ? 0 : timestamp - this.#baseTimestamp;
    let bytes = sizeOfRecord(timestampDelta, this.#count, keyBytes, valueBytes, headerBytes);
    if (this.#mustClose(timestampDelta, bytes)) {
      this.#close();
      timestampDelta = 0;
      bytes = sizeOfRecord(0, 0, keyBytes, valueBytes, headerBytes);
    }
    if (this.#count === 0) this.#begin(timestamp);
    else if (timestamp > this.#maxTimestamp) this.#maxTimestamp = timestamp;
    if (this.#at + bytes + 5 > this.#buffer.length) this.#grow(bytes + 5);

    const buffer = this.#buffer;
    let at = writeVarint(buffer, this.#at, bytes);
    buffer[at++] = 0;
    at = writeVarlong(buffer, at, timestampDelta);
    at = writeVarint(buffer, at, this.#count);
    at = writeVarint(buffer, at, keyBytes);
    if (keyBytes > 0) at = copyBytes(buffer, at, key!, keyStart, keyEnd);
    at = writeVarint(buffer, at, valueBytes);
    if (valueBytes > 0) at = copyBytes(buffer, at, value!, valueStart, valueEnd);
    if (headers === null) buffer[at++] = 0;
    else at = writeHeaders(buffer, at, headers);
    this.#at = at;
    this.#count += 1;
  }

  /** Everything appended from here on can be undone at once. */
  mark(): void {
    this.#markClosed = this.#closed.length;
    this.#markAt = this.#at;
    this.#markCount = this.#count;
    this.#markMaxTimestamp = this.#maxTimestamp;
  }

  /** Undoes what was appended since the last mark, or since the last `take`. */
  rollback(): void {
    if (this.#closed.length > this.#markClosed) {
      const open = this.#closed[this.#markClosed]!;
      for (let index = this.#markClosed; index < this.#closed.length; index++) {
        this.#closedBytes -= this.#closed[index]!.bytes;
        this.#closedCount -= this.#closed[index]!.records;
      }
      this.#closed.length = this.#markClosed;
      this.#buffer = open.buffer;
      this.#baseTimestamp = open.baseTimestamp;
    }
    this.#at = this.#markAt;
    this.#count = this.#markCount;
    this.#maxTimestamp = this.#markMaxTimestamp;
  }

  /** Hands over all batches and leaves the writer empty. */
  take(): PendingBatch[] {
    if (this.#count > 0) this.#close();
    const batches = this.#closed.slice();
    this.#closed.length = 0;
    this.#closedBytes = 0;
    this.#closedCount = 0;
    this.mark();
    return batches;
  }

  /** I1; and a delta too large to be exact needs a batch with a base timestamp of its own. */
  #mustClose(timestampDelta: number, bytes: number): boolean {
    if (this.#count === 0) return false;
    if (this.#at + varintBytes(bytes) + bytes > this.#batchBytesMax) return true;
    return timestampDelta > VARLONG_MAX || timestampDelta < -VARLONG_MAX;
  }

  #begin(timestamp: number): void {
    if (this.#buffer.length === 0) this.#buffer = Buffer.allocUnsafe(this.#expectedBytes);
    this.#baseTimestamp = timestamp;
    this.#maxTimestamp = timestamp;
  }

  #close(): void {
    this.#closed.push({
      buffer: this.#buffer,
      bytes: this.#at,
      records: this.#count,
      baseTimestamp: this.#baseTimestamp,
      maxTimestamp: this.#maxTimestamp,
      codec: this.#codec,
    });
    this.#closedBytes += this.#at;
    this.#closedCount += this.#count;
    this.#expectedBytes = Math.max(FIRST_BYTES, this.#at + OVERHEAD_BYTES);
    this.#buffer = NONE;
    this.#at = HEADER_BYTES;
    this.#count = 0;
  }

  #grow(bytes: number): void {
    const grown = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#at + bytes));
    this.#buffer.copy(grown, 0, 0, this.#at);
    this.#buffer = grown;
  }
}

/** Bytes behind the record's length. */
function sizeOfRecord(
  timestampDelta: number,
  offsetDelta: number,
  keyBytes: number,
  valueBytes: number,
  headerBytes: number,
): number {
  return (
    1 +
    varlongBytes(timestampDelta) +
    varintBytes(offsetDelta) +
    varintBytes(keyBytes) +
    (keyBytes > 0 ? keyBytes : 0) +
    varintBytes(valueBytes) +
    (valueBytes > 0 ? valueBytes : 0) +
    headerBytes
  );
}

function copyBytes(to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  if (end - start >= COPY_BYTES_MIN) return at + from.copy(to, at, start, end);
  while (start < end) to[at++] = from[start++]!;
  return at;
}

function sizeOfHeaders(headers: readonly Header[]): number {
  let bytes = varintBytes(headers.length);
  for (const { key, value } of headers) {
    const keyBytes = Buffer.byteLength(key);
    bytes += varintBytes(keyBytes) + keyBytes;
    bytes += value === null ? 1 : varintBytes(value.length) + value.length;
  }
  return bytes;
}

function writeHeaders(buffer: Buffer, at: number, headers: readonly Header[]): number {
  at = writeVarint(buffer, at, headers.length);
  for (const { key, value } of headers) {
    at = writeVarint(buffer, at, Buffer.byteLength(key));
    at += buffer.write(key, at, 'utf8');
    at = writeVarint(buffer, at, value === null ? -1 : value.length);
    if (value !== null) at = copyBytes(buffer, at, value, 0, value.length);
  }
  return at;
}
