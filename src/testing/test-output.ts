/** What a test reads of an output topic: committed records, each once. */
import type { Header } from '../kafka/records/headers.ts';
import type { TimedRecord } from './marbles.ts';
import { decoded, type TopicSerdes } from './serde-bytes.ts';
import type { LoggedRecord } from './topic-logs.ts';

export interface OutputRecord<K, V> {
  readonly key: K | null;
  readonly value: V | null;
  readonly partition: number;
  readonly timestampMs: number;
  readonly headers: readonly Header[];
}

export class TestOutput<K, V> {
  readonly #serdes: TopicSerdes<K, V>;
  readonly #records: () => readonly LoggedRecord[];
  #read = 0;

  constructor(serdes: TopicSerdes<K, V>, records: () => readonly LoggedRecord[]) {
    this.#serdes = serdes;
    this.#records = records;
  }

  /** Records that were not read yet, in the order in which they were committed. */
  read(): readonly OutputRecord<K, V>[] {
    const fresh = this.#records().slice(this.#read);
    this.#read += fresh.length;
    const { key, value } = this.#serdes;
    return fresh.map(({ partition, timestampMs, headers, ...bytes }) => ({
      key: decoded(key, bytes.key),
      value: decoded(value, bytes.value),
      partition,
      timestampMs,
      headers,
    }));
  }

  /** As `read`, with event times: to be compared with `marbles`. */
  readTimed(): readonly TimedRecord<K, V>[] {
    return this.read().map(({ key, value, timestampMs }) => ({ key, value, timestampMs }));
  }

  /** As `read`, keys and values alone. */
  readKeyValues(): readonly (readonly [K | null, V | null])[] {
    return this.read().map(({ key, value }) => [key, value] as const);
  }

  /** As `read`, values alone. */
  readValues(): readonly (V | null)[] {
    return this.read().map(({ value }) => value);
  }
}
