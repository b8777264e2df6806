/** What a test reads of a store: its committed rows, of all partitions. */
import { murmur2 } from '../kafka/records/murmur2.ts';
import type { TaskStores } from '../runtime/task-stores.ts';
import { decoded, encoded, type TopicSerdes } from './serde-bytes.ts';

/** The stores of the tasks that have one of that name, partition after partition. */
export type StoresOf = () => readonly TaskStores[];

/** A window's row: `startMs` is the beginning of the window, epoch milliseconds. */
export interface WindowEntry<K, V> {
  readonly key: K;
  readonly startMs: number;
  readonly value: V;
}

/** Rows of `count` and `aggregate`. Java: `ReadOnlyKeyValueStore`. */
export class TestKeyValueStore<K, V> {
  readonly #name: string;
  readonly #serdes: TopicSerdes<K, V>;
  readonly #stores: StoresOf;

  constructor(name: string, serdes: TopicSerdes<K, V>, stores: StoresOf) {
    this.#name = name;
    this.#serdes = serdes;
    this.#stores = stores;
  }

  /** The committed value, or null when there is none. */
  get(key: K): V | null {
    const { bytes, hash } = hashed(this.#serdes, key);
    for (const { keyValue } of this.#stores()) {
      const store = keyValue.get(this.#name)!;
      if (!store.findCommitted(bytes, 0, bytes.length, hash)) continue;
      return found(this.#serdes, store);
    }
    return null;
  }

  /** All rows, partition after partition, in the order of the keys' bytes. */
  all(): readonly (readonly [K, V])[] {
    const { key, value } = this.#serdes;
    return this.#stores().flatMap(({ keyValue }) =>
      [...keyValue.get(this.#name)!.entries('committed')].map(
        (row) => [decoded(key, row.key)!, decoded(value, row.value)!] as const,
      ),
    );
  }
}

/** Rows of `windowedAggregate`. Java: `ReadOnlyWindowStore`. */
export class TestWindowStore<K, V> {
  readonly #name: string;
  readonly #serdes: TopicSerdes<K, V>;
  readonly #stores: StoresOf;

  constructor(name: string, serdes: TopicSerdes<K, V>, stores: StoresOf) {
    this.#name = name;
    this.#serdes = serdes;
    this.#stores = stores;
  }

  /** The committed value of the window that begins at `startMs`, or null. */
  get(key: K, startMs: number): V | null {
    const { bytes, hash } = hashed(this.#serdes, key);
    for (const { window } of this.#stores()) {
      const store = window.get(this.#name)!;
      if (!store.findCommitted(startMs, bytes, 0, bytes.length, hash)) continue;
      return found(this.#serdes, store);
    }
    return null;
  }

  /** All rows of windows that can still change, by partition, start, then the bytes of the key. */
  all(): readonly WindowEntry<K, V>[] {
    const { key, value } = this.#serdes;
    return this.#stores().flatMap(({ window }) =>
      [...window.get(this.#name)!.entries('committed')].map((row) => ({
        key: decoded(key, row.key)!,
        startMs: row.windowStart,
        value: decoded(value, row.value)!,
      })),
    );
  }
}

interface Found {
  readonly valueBuffer: Buffer;
  readonly valueStart: number;
  readonly valueEnd: number;
}

function found<K, V>({ value }: TopicSerdes<K, V>, store: Found): V | null {
  return decoded(value, store.valueBuffer.subarray(store.valueStart, store.valueEnd));
}

function hashed<K>({ key: serde }: TopicSerdes<K, unknown>, key: K) {
  const bytes = encoded(serde, key)!;
  return { bytes, hash: murmur2(bytes, 0, bytes.length - (serde.partitionTrailerBytes ?? 0)) };
}
