/**
 * How keys and values become bytes: the contract that every serde keeps. `serde()` of `custom.ts`
 * makes one of two functions over whole byte arrays; this is the way in place, without a copy.
 *
 * `prepare` may be asynchronous and runs before a batch; `decode` and `encode` are synchronous and
 * run per record.
 */
import type { EscapementError } from '../errors.ts';

export interface Serde<T> {
  /** Shown in descriptions and errors. */
  readonly name: string;
  /** Reads the value in `buffer[start, end)`. Throws `SERDE_FAILED`; keeps no view of the buffer. */
  decode(buffer: Buffer, start: number, end: number): T;
  /**
   * Writes the value at `at` and returns the position after it, or minus the number of missing
   * bytes when it does not fit (nothing is to be relied on then; it is called again with more room).
   * `Buffer.write` is no help: it cuts off what does not fit. Throws `SERDE_FAILED`.
   */
  encode(value: T, buffer: Buffer, at: number): number;
  /** Present when values carry a schema id: what must be prepared before a batch is decoded. */
  readonly schemas?: SchemaPreparation;
  /** Trailing bytes of an encoded key that take no part in partitioning (a window's start). */
  readonly partitionTrailerBytes?: number;
}

export interface SchemaPreparation {
  /** The schema id of encoded bytes, or -1 when they carry none (they will fail to decode). */
  idOf(buffer: Buffer, start: number, end: number): number;
  /** True when records with this id can be decoded synchronously. */
  isReady(id: number): boolean;
  /**
   * Makes ids ready; an id whose schema is unknown or cannot be used becomes a record error in
   * `decode`. Rejects with `REGISTRY_UNAVAILABLE` (try again later) or a configuration error.
   */
  prepare(ids: readonly number[]): Promise<void>;
  /** Looks up what writing needs, once at start; only for serdes that write. */
  start(): Promise<void>;
  /** The subject and the schema id that are written, or `null` before `start`: told to the group. */
  writes?(): { readonly subject: string; readonly schemaId: number } | null;
  /** Why records of a prepared id cannot be decoded, or `null`: asked after a restore. */
  problemOf?(id: number): EscapementError | null;
}
