/**
 * The bytes and the hash of a record's key, computed once and shared by partitioning, the table and
 * the changelog. A key that came as bytes under the same serde is never encoded again.
 */
import { murmur2 } from '../../kafka/records/murmur2.ts';
import { EncodeBuffer } from '../../serde/encode-buffer.ts';
import type { Serde } from '../../serde/serde.ts';
import type { AnyRec, TopologyNode } from '../../topology/node.ts';
import { type Part, unwritable } from '../operator-error.ts';

/** The operator whose serdes are used, and the one whose results are encoded when that is known. */
export interface Encoding {
  readonly node: Extract<
    TopologyNode,
    { readonly kind: 'sink' | 'repartition' | 'aggregate' | 'windowedAggregate' }
  >;
  readonly maker?: TopologyNode;
}

export class EncodedKey {
  readonly #serde: Serde<unknown>;
  readonly #part: Part;
  readonly #scratch = new EncodeBuffer();
  readonly #trailerBytes: number;
  /** Null for Kafka's null key. */
  buffer: Buffer | null = null;
  start = -1;
  end = -1;
  /** Unsigned murmur2 of the bytes that take part in partitioning. */
  hash = 0;

  constructor(of: Encoding) {
    const serde: Serde<unknown> = of.node.key;
    this.#part = { part: 'key', serde, ...of };
    this.#serde = serde;
    this.#trailerBytes = serde.partitionTrailerBytes ?? 0;
  }

  of(record: AnyRec): void {
    if (record.keyBuffer !== null && record.keySerde === this.#serde) {
      this.start = record.keyStart;
      this.end = record.keyEnd;
      this.buffer = record.keyStart < 0 ? null : record.keyBuffer;
      if (this.buffer === null) return;
      if (record.keyHash < 0) {
        record.keyHash = murmur2(this.buffer, this.start, this.end - this.#trailerBytes);
      }
      this.hash = record.keyHash;
      return;
    }
    const key: unknown = record.key;
    if (key === null || key === undefined) {
      this.buffer = null;
      this.start = -1;
      this.end = -1;
      return;
    }
    try {
      this.end = this.#scratch.encode(this.#serde, key);
    } catch (cause) {
      throw unwritable(this.#part, key, cause);
    }
    this.start = 0;
    this.buffer = this.#scratch.buffer;
    this.hash = murmur2(this.buffer, 0, this.end - this.#trailerBytes);
  }
}
