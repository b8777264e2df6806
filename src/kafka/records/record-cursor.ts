/**
 * Decodes the records of fetched batches one after the other: the hottest loop of the library.
 *
 * One cursor is reused per partition. It hands out positions in `buffer`, never objects; who keeps
 * bytes copies them, for `buffer` is the fetch response.
 *
 * I1. `next` allocates nothing and has one shape of everything it touches.
 * I2. Positions it hands out lie inside the record, and the record inside its batch.
 * I3. A record below the fetch offset is passed over: batches are sent whole.
 */
import { EscapementError } from '../../errors.ts';
import { type FetchedBatch, type FetchedRecords, located, type Source } from './parse-fetched.ts';

const NONE: Buffer = Buffer.alloc(0);
/** A position behind every buffer, still a small integer. */
const PAST_EVERY_END = 0x3fff_ffff;
const NO_BATCHES: readonly FetchedBatch[] = [];

export class RecordCursor {
  offset = -1;
  timestamp = -1;
  buffer = NONE;
  /** -1 for a null key. */
  keyStart = -1;
  keyEnd = -1;
  /** -1 for a null value. */
  valueStart = -1;
  valueEnd = -1;
  /** For `readHeaders`. */
  headersStart = -1;
  headerCount = 0;

  #source: Source | undefined = undefined;
  #batches = NO_BATCHES;
  #batch = 0;
  #fetchOffset = 0;
  /** Records of the open batch that are left. */
  #left = 0;
  #at = 0;
  #end = 0;
  #baseOffset = 0;
  #lastOffsetDelta = 0;
  #baseTimestamp = 0;
  #logAppendTime = -1;

  /** Goes before the first record. */
  load(fetched: FetchedRecords): void {
    this.#source = fetched.source;
    this.#batches = fetched.batches;
    this.#fetchOffset = fetched.fetchOffset;
    this.#batch = 0;
    this.#left = 0;
  }

  /** Goes to the next record; false at the end. Throws `BATCH_CORRUPT` on malformed records. */
  next(): boolean {
    for (;;) {
      if (this.#left === 0) {
        if (!this.#open()) return false;
        continue;
      }
      this.#left -= 1;
      this.#decode();
      if (this.offset >= this.#fetchOffset) return true;
    }
  }

  /** Makes the next batch the open one. Lets go of the response at the end. */
  #open(): boolean {
    const batch = this.#batches[this.#batch];
    if (batch === undefined) {
      this.#batches = NO_BATCHES;
      this.buffer = NONE;
      return false;
    }
    this.#batch += 1;
    this.buffer = batch.buffer;
    this.#left = batch.count;
    this.#at = batch.start;
    this.#end = batch.end;
    this.#baseOffset = batch.baseOffset;
    this.#lastOffsetDelta = batch.lastOffsetDelta;
    this.#baseTimestamp = batch.baseTimestamp;
    this.#logAppendTime = batch.logAppendTime;
    return true;
  }

  /**
   * Reading past the buffer yields undefined, which ends every varint, so a record is checked once,
   * at its end.
   */
  #decode(): void {
    const length = this.#varint();
    const end = this.#at + length;
    if (length < 0 || end > this.#end) throw this.#corrupt(end);
    // Attributes of a record: none are defined.
    this.#at += 1;
    const timestampDelta = this.#varlong();
    const offsetDelta = this.#varint();
    const keyBytes = this.#varint();
    const keyStart = this.#at;
    if (keyBytes > 0) this.#at += keyBytes;
    const valueBytes = this.#varint();
    const valueStart = this.#at;
    if (valueBytes > 0) this.#at += valueBytes;
    const headerCount = this.#varint();
    const at = this.#at;
    if (
      at > end ||
      (headerCount === 0 ? at !== end : headerCount < 0) ||
      offsetDelta < 0 ||
      offsetDelta > this.#lastOffsetDelta
    ) {
      throw this.#corrupt(at);
    }
    this.offset = this.#baseOffset + offsetDelta;
    this.timestamp =
      this.#logAppendTime < 0 ? this.#baseTimestamp + timestampDelta : this.#logAppendTime;
    this.keyStart = keyBytes < 0 ? -1 : keyStart;
    this.keyEnd = keyBytes < 0 ? -1 : keyStart + keyBytes;
    this.valueStart = valueBytes < 0 ? -1 : valueStart;
    this.valueEnd = valueBytes < 0 ? -1 : valueStart + valueBytes;
    this.headersStart = at;
    this.headerCount = headerCount;
    this.#at = end;
  }

  /** A zigzag varint of 32 bits. A longer one goes past every end, so that its record is refused. */
  #varint(): number {
    const buffer = this.buffer;
    let at = this.#at;
    let byte = buffer[at++]!;
    let raw = byte & 0x7f;
    for (let shift = 7; byte >= 0x80; shift += 7) {
      if (shift > 28) {
        this.#at = PAST_EVERY_END;
        return 0;
      }
      byte = buffer[at++]!;
      raw |= (byte & 0x7f) << shift;
    }
    this.#at = at;
    return (raw >>> 1) ^ -(raw & 1);
  }

  /** A zigzag varint of 64 bits: exact to 2^53, rounded beyond. */
  #varlong(): number {
    const buffer = this.buffer;
    let at = this.#at;
    let byte = buffer[at++]!;
    let raw = byte & 0x7f;
    for (let shift = 7; byte >= 0x80; shift += 7) {
      if (shift > 21) return this.#longDelta();
      byte = buffer[at++]!;
      raw |= (byte & 0x7f) << shift;
    }
    this.#at = at;
    return (raw >>> 1) ^ -(raw & 1);
  }

  /** A timestamp far from its batch's first; out of line, since most are near. */
  #longDelta(): number {
    let at = this.#at;
    let low = 0;
    let high = 0;
    for (let count = 0; ; count++) {
      if (count === 10) {
        this.#at = PAST_EVERY_END;
        return 0;
      }
      const byte = this.buffer[at++]!;
      if (count < 4) low |= (byte & 0x7f) << (7 * count);
      else high += (byte & 0x7f) * 2 ** (7 * (count - 4));
      if (!(byte >= 0x80)) break;
    }
    this.#at = at;
    const magnitude = high * 2 ** 27 + (low >>> 1);
    return (low & 1) === 0 ? magnitude : -magnitude - 1;
  }

  #corrupt(at: number): EscapementError {
    // A cursor that failed stays at its end: what follows in the batch has no known start.
    this.#left = 0;
    this.#batches = NO_BATCHES;
    const error = new EscapementError(
      'BATCH_CORRUPT',
      `A record of the batch at offset ${this.#baseOffset} runs past its bounds near byte ${at} ` +
        `of ${this.#end}. Check the producer of the topic and the disk of the broker.`,
      { at: { offset: this.#baseOffset } },
    );
    return this.#source === undefined ? error : located(error, this.#source, this.#baseOffset);
  }
}
