/**
 * The record that operators see.
 *
 * Key and value are decoded when first looked at, once; until then a record only points into the
 * fetch response. A derived record (`withValue`, `withKey`) shares everything that did not change,
 * bytes included, so what passes through unchanged is never encoded again.
 *
 * I1. `keyBuffer`/`valueBuffer` with their bounds are the encoded form under `keySerde`/`valueSerde`;
 *     a start of -1 is Kafka's null; a buffer of `null` means "not encoded yet".
 * I2. Nothing here is kept beyond the record's slot: stores copy what they keep.
 */

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
  readonly #readHeaders: (() => readonly Header[]) | null;
  #headers: readonly Header[] | null = null;

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
    this.#readHeaders = readHeaders;
  }

  /** Headers in wire order, duplicates kept. */
  get headers(): readonly Header[] {
    this.#headers ??= this.#readHeaders === null ? [] : this.#readHeaders();
    return this.#headers;
  }
}

const PENDING: unique symbol = Symbol('pending');

/**
 * One record in a pipeline. Immutable for its users.
 *
 * @typeParam P whether the key is still the one the record is partitioned by.
 */
export class Rec<K, V, P extends Partitioning = Partitioning> {
  /** Carries `P` in the type only. */
  declare readonly partitioning: P;
  readonly meta: Origin;
  /** Event time of this record in epoch milliseconds; of an aggregate: the latest that went in. */
  readonly timestamp: number;

  #key: K | typeof PENDING;
  readonly keySerde: Decoder<K> | null;
  readonly keyBuffer: Buffer | null;
  readonly keyStart: number;
  readonly keyEnd: number;
  /** murmur2 of the key bytes once computed (unsigned), else -1; shared by partitioning and stores. */
  keyHash = -1;

  #value: V | typeof PENDING;
  readonly valueSerde: Decoder<V> | null;
  readonly valueBuffer: Buffer | null;
  readonly valueStart: number;
  readonly valueEnd: number;

  readonly #headers: readonly Header[] | null;

  private constructor(
    meta: Origin,
    timestamp: number,
    key: K | typeof PENDING,
    keySerde: Decoder<K> | null,
    keyBuffer: Buffer | null,
    keyStart: number,
    keyEnd: number,
    value: V | typeof PENDING,
    valueSerde: Decoder<V> | null,
    valueBuffer: Buffer | null,
    valueStart: number,
    valueEnd: number,
    headers: readonly Header[] | null,
  ) {
    this.meta = meta;
    this.timestamp = timestamp;
    this.#key = key;
    this.keySerde = keySerde;
    this.keyBuffer = keyBuffer;
    this.keyStart = keyStart;
    this.keyEnd = keyEnd;
    this.#value = value;
    this.valueSerde = valueSerde;
    this.valueBuffer = valueBuffer;
    this.valueStart = valueStart;
    this.valueEnd = valueEnd;
    this.#headers = headers;
  }

  /** A record over the bytes of a fetch response; nothing is decoded yet. */
  static fromBytes<K, V>(
    meta: Origin,
    keySerde: Decoder<K>,
    keyBuffer: Buffer,
    keyStart: number,
    keyEnd: number,
    valueSerde: Decoder<V>,
    valueBuffer: Buffer,
    valueStart: number,
    valueEnd: number,
  ): Rec<K, V, Keyed> {
    return new Rec<K, V, Keyed>(
      meta,
      meta.timestamp,
      PENDING,
      keySerde,
      keyBuffer,
      keyStart,
      keyEnd,
      PENDING,
      valueSerde,
      valueBuffer,
      valueStart,
      valueEnd,
      null,
    );
  }

  /** The decoded key; `null` for Kafka's null. Throws what the serde throws. */
  get key(): K {
    if (this.#key === PENDING) {
      this.#key =
        this.keyStart < 0
          ? (null as K)
          : this.keySerde!.decode(this.keyBuffer!, this.keyStart, this.keyEnd);
    }
    return this.#key as K;
  }

  /** The decoded value; `null` for Kafka's null (a tombstone). Throws what the serde throws. */
  get value(): V {
    if (this.#value === PENDING) {
      this.#value =
        this.valueStart < 0
          ? (null as V)
          : this.valueSerde!.decode(this.valueBuffer!, this.valueStart, this.valueEnd);
    }
    return this.#value as V;
  }

  get headers(): readonly Header[] {
    return this.#headers ?? this.meta.headers;
  }

  /** The same key, time and headers with another value. */
  withValue<W>(value: W): Rec<K, W, P> {
    return this.withValueAt(value, this.timestamp);
  }

  /** As `withValue`, with another event time (an aggregate's is the latest of its inputs). */
  withValueAt<W>(value: W, timestamp: number): Rec<K, W, P> {
    const next = new Rec<K, W, P>(
      this.meta,
      timestamp,
      this.#key,
      this.keySerde,
      this.keyBuffer,
      this.keyStart,
      this.keyEnd,
      value,
      null,
      null,
      0,
      0,
      this.#headers,
    );
    next.keyHash = this.keyHash;
    return next;
  }

  /** The same value under another key: needs `repartition` before a stateful operator. */
  withKey<K2>(key: K2): Rec<K2, V, Rekeyed> {
    return new Rec<K2, V, Rekeyed>(
      this.meta,
      this.timestamp,
      key,
      null,
      null,
      0,
      0,
      this.#value,
      this.valueSerde,
      this.valueBuffer,
      this.valueStart,
      this.valueEnd,
      this.#headers,
    );
  }

  /** Another key and value: needs `repartition` before a stateful operator. */
  with<K2, W>(key: K2, value: W): Rec<K2, W, Rekeyed> {
    return Rec.of<K2, W, Rekeyed>(this.meta, this.timestamp, key, value, this.#headers);
  }

  withHeaders(headers: readonly Header[]): Rec<K, V, P> {
    const next = new Rec<K, V, P>(
      this.meta,
      this.timestamp,
      this.#key,
      this.keySerde,
      this.keyBuffer,
      this.keyStart,
      this.keyEnd,
      this.#value,
      this.valueSerde,
      this.valueBuffer,
      this.valueStart,
      this.valueEnd,
      headers,
    );
    next.keyHash = this.keyHash;
    return next;
  }

  /** A record made by the framework from decoded parts. */
  static of<K, V, P extends Partitioning>(
    meta: Origin,
    timestamp: number,
    key: K,
    value: V,
    headers: readonly Header[] | null = null,
  ): Rec<K, V, P> {
    return new Rec<K, V, P>(
      meta,
      timestamp,
      key,
      null,
      null,
      0,
      0,
      value,
      null,
      null,
      0,
      0,
      headers,
    );
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
