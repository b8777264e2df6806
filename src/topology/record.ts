/**
 * The record that operators see.
 *
 * Key and value are decoded when first looked at, once; until then a record only points into the
 * fetch response. A derived record (`withValue`, `withKey`) shares everything that did not change,
 * bytes included, so what passes through unchanged is never encoded again.
 *
 * I1. `keyBuffer`/`valueBuffer` with their bounds are the encoded form under `keySerde`/`valueSerde`;
 *     a start of -1 is Kafka's null; a buffer of `null` means "has no encoded form".
 * I2. Nothing here is kept beyond the record's slot: stores copy what they keep.
 */

import { EscapementError, messageOf } from '../errors.ts';

/** What reads bytes; every serde is one. */
export interface Decoder<T> {
  decode(buffer: Buffer, start: number, end: number): T;
}

/** The key is the one the record was partitioned by: stateful operators accept it. */
export type Keyed = 'keyed';
/** The key changed after partitioning: stateful operators refuse it at compile time. */
export type Rekeyed = 'key changed: repartition() first';
export type Partitioning = Keyed | Rekeyed;

export interface Header {
  readonly key: string;
  readonly value: Buffer | null;
}

/** Where a record came from. Shared by every record derived from one input record. */
export class Origin {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Event time in epoch milliseconds: the record's, or what the source's extractor made of it. */
  readonly timestamp: number;
  #headers: readonly Header[] | (() => readonly Header[]);

  constructor(
    topic: string,
    partition: number,
    offset: number,
    timestamp: number,
    readHeaders: (() => readonly Header[]) | null,
  ) {
    this.topic = topic;
    this.partition = partition;
    this.offset = offset;
    this.timestamp = timestamp;
    this.#headers = readHeaders ?? NO_HEADERS;
  }

  /** Headers in wire order, duplicates kept. */
  get headers(): readonly Header[] {
    const headers = this.#headers;
    if (typeof headers !== 'function') return headers;
    const read = headers();
    this.#headers = read;
    return read;
  }
}

const NO_HEADERS: readonly Header[] = Object.freeze([]);
const PENDING: unique symbol = Symbol('pending');
/** What of a record is still that of the input record, and so has its bytes. */
const KEY_FORM = 1;
const VALUE_FORM = 2;

/** What decodes key and value of an input record; every source node is one. */
export interface Decoders<K, V> {
  readonly key: Decoder<K>;
  readonly value: Decoder<V>;
}

/** The bytes of an input record, shared by the records derived from it. A start of -1 is null. */
class Encoded {
  readonly decoders: Decoders<unknown, unknown>;
  readonly buffer: Buffer;
  readonly keyStart: number;
  readonly keyEnd: number;
  readonly valueStart: number;
  readonly valueEnd: number;
  keyHash: number;
  key: unknown = PENDING;

  constructor(
    decoders: Decoders<unknown, unknown>,
    buffer: Buffer,
    keyStart: number,
    keyEnd: number,
    valueStart: number,
    valueEnd: number,
    keyHash: number,
  ) {
    this.decoders = decoders;
    this.buffer = buffer;
    this.keyStart = keyStart;
    this.keyEnd = keyEnd;
    this.valueStart = valueStart;
    this.valueEnd = valueEnd;
    this.keyHash = keyHash;
  }

  decodeKey(): unknown {
    if (this.key === PENDING) {
      this.key =
        this.keyStart < 0
          ? null
          : decoded('key', this.decoders.key, this.buffer, this.keyStart, this.keyEnd);
    }
    return this.key;
  }

  decodeValue(): unknown {
    if (this.valueStart < 0) return null;
    return decoded('value', this.decoders.value, this.buffer, this.valueStart, this.valueEnd);
  }
}

/**
 * Whoever looks at a record calls this, user code as well: what is thrown has to say that it is the
 * record that came in which is at fault, not what was made of it.
 */
function decoded(
  part: 'key' | 'value',
  decoder: Decoder<unknown>,
  buffer: Buffer,
  start: number,
  end: number,
): unknown {
  try {
    return decoder.decode(buffer, start, end);
  } catch (cause) {
    if (cause instanceof EscapementError && cause.decision === 'stop') throw cause;
    const reason = messageOf(cause);
    const text = `the ${part} cannot be decoded: ${reason}`;
    throw new EscapementError('RECORD_UNDECODABLE', text, { cause });
  }
}

/**
 * One record in a pipeline. Immutable for its users.
 *
 * Small on purpose, as one is made per operator: what derived records share is in `Encoded` and
 * `Origin`, and a time that is the origin's is not stored again (a stored one is a heap object).
 *
 * @typeParam P whether the key is still the one the record is partitioned by.
 */
export class Rec<K, V, P extends Partitioning = Partitioning> {
  /** Carries `P` in the type only. */
  declare readonly partitioning: P;
  readonly meta: Origin;
  /** Null: the origin's. */
  readonly #time: number | null;
  readonly #encoded: Encoded | null;
  readonly #forms: number;
  /** Pending: `#encoded` has it. */
  readonly #key: K | typeof PENDING;
  #value: V | typeof PENDING;
  readonly #headers: readonly Header[] | null;

  private constructor(
    meta: Origin,
    time: number | null,
    encoded: Encoded | null,
    forms: number,
    key: K | typeof PENDING,
    value: V | typeof PENDING,
    headers: readonly Header[] | null,
  ) {
    this.meta = meta;
    this.#time = time;
    this.#encoded = encoded;
    this.#forms = forms;
    this.#key = key;
    this.#value = value;
    this.#headers = headers;
  }

  /**
   * A record over the bytes of a fetch response; nothing is decoded yet. `keyHash`: murmur2 of the
   * key when it is known, else -1.
   */
  static fromBytes<K, V>(
    meta: Origin,
    decoders: Decoders<K, V>,
    buffer: Buffer,
    keyStart: number,
    keyEnd: number,
    valueStart: number,
    valueEnd: number,
    keyHash = -1,
  ): Rec<K, V, Keyed> {
    const encoded = new Encoded(decoders, buffer, keyStart, keyEnd, valueStart, valueEnd, keyHash);
    return new Rec<K, V, Keyed>(meta, null, encoded, KEY_FORM | VALUE_FORM, PENDING, PENDING, null);
  }

  /** Event time of this record in epoch milliseconds; of an aggregate: the latest that went in. */
  get timestamp(): number {
    return this.#time === null ? this.meta.timestamp : this.#time;
  }

  /** The decoded key; `null` for Kafka's null. Throws what the serde throws. */
  get key(): K {
    return this.#key === PENDING ? (this.#encoded!.decodeKey() as K) : this.#key;
  }

  /** The decoded value; `null` for Kafka's null (a tombstone). Throws what the serde throws. */
  get value(): V {
    if (this.#value === PENDING) this.#value = this.#encoded!.decodeValue() as V;
    return this.#value as V;
  }

  get headers(): readonly Header[] {
    return this.#headers ?? this.meta.headers;
  }

  /** I1. Null when the key has no encoded form, also for `keySerde`. */
  get keyBuffer(): Buffer | null {
    return (this.#forms & KEY_FORM) === 0 ? null : this.#encoded!.buffer;
  }

  get keySerde(): Decoder<unknown> | null {
    return (this.#forms & KEY_FORM) === 0 ? null : this.#encoded!.decoders.key;
  }

  get keyStart(): number {
    return (this.#forms & KEY_FORM) === 0 ? 0 : this.#encoded!.keyStart;
  }

  get keyEnd(): number {
    return (this.#forms & KEY_FORM) === 0 ? 0 : this.#encoded!.keyEnd;
  }

  /** murmur2 of the key bytes once computed (unsigned), else -1; shared by partitioning and stores. */
  get keyHash(): number {
    return (this.#forms & KEY_FORM) === 0 ? -1 : this.#encoded!.keyHash;
  }

  set keyHash(hash: number) {
    if ((this.#forms & KEY_FORM) !== 0) this.#encoded!.keyHash = hash;
  }

  /** I1. Null when the value has no encoded form, also for `valueSerde`. */
  get valueBuffer(): Buffer | null {
    return (this.#forms & VALUE_FORM) === 0 ? null : this.#encoded!.buffer;
  }

  get valueSerde(): Decoder<unknown> | null {
    return (this.#forms & VALUE_FORM) === 0 ? null : this.#encoded!.decoders.value;
  }

  get valueStart(): number {
    return (this.#forms & VALUE_FORM) === 0 ? 0 : this.#encoded!.valueStart;
  }

  get valueEnd(): number {
    return (this.#forms & VALUE_FORM) === 0 ? 0 : this.#encoded!.valueEnd;
  }

  /** The same key, time and headers with another value. */
  withValue<W>(value: W): Rec<K, W, P> {
    return new Rec<K, W, P>(
      this.meta,
      this.#time,
      this.#encoded,
      this.#forms & KEY_FORM,
      this.#key,
      value,
      this.#headers,
    );
  }

  /** As `withValue`, with another event time (an aggregate's is the latest of its inputs). */
  withValueAt<W>(value: W, timestamp: number): Rec<K, W, P> {
    return new Rec<K, W, P>(
      this.meta,
      timestamp === this.meta.timestamp ? null : timestamp,
      this.#encoded,
      this.#forms & KEY_FORM,
      this.#key,
      value,
      this.#headers,
    );
  }

  /** The same value under another key: needs `repartition` before a stateful operator. */
  withKey<K2>(key: K2): Rec<K2, V, Rekeyed> {
    return new Rec<K2, V, Rekeyed>(
      this.meta,
      this.#time,
      this.#encoded,
      this.#forms & VALUE_FORM,
      key,
      this.#value,
      this.#headers,
    );
  }

  /** Another key and value: needs `repartition` before a stateful operator. */
  with<K2, W>(key: K2, value: W): Rec<K2, W, Rekeyed> {
    return new Rec<K2, W, Rekeyed>(this.meta, this.#time, null, 0, key, value, this.#headers);
  }

  withHeaders(headers: readonly Header[]): Rec<K, V, P> {
    return new Rec<K, V, P>(
      this.meta,
      this.#time,
      this.#encoded,
      this.#forms,
      this.#key,
      this.#value,
      headers,
    );
  }

  /** A record made by the framework from decoded parts. */
  static of<K, V, P extends Partitioning>(
    meta: Origin,
    timestamp: number,
    key: K,
    value: V,
    headers: readonly Header[] | null = null,
  ): Rec<K, V, P> {
    const time = timestamp === meta.timestamp ? null : timestamp;
    return new Rec<K, V, P>(meta, time, null, 0, key, value, headers);
  }
}

/** A key within one window; `end` is exclusive. */
export class Windowed<K> {
  readonly key: K;
  /** Epoch milliseconds, inclusive. */
  readonly start: number;
  /** Epoch milliseconds, exclusive. */
  readonly end: number;

  constructor(key: K, start: number, end: number) {
    this.key = key;
    this.start = start;
    this.end = end;
  }
}
