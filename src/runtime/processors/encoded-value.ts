/** The bytes of a record's value; a value that came as bytes under the same serde passes through. */
import { EncodeBuffer } from '../../serde/encode-buffer.ts';
import type { Serde } from '../../serde/serde.ts';
import type { AnyRec } from '../../topology/node.ts';
import { type Part, unwritable } from '../operator-error.ts';
import type { Encoding } from './encoded-key.ts';

export class EncodedValue {
  readonly #serde: Serde<unknown>;
  readonly #part: Part;
  readonly #scratch = new EncodeBuffer();
  /** Null for Kafka's null: a tombstone. */
  buffer: Buffer | null = null;
  start = -1;
  end = -1;

  constructor(of: Encoding) {
    const serde: Serde<unknown> = of.node.value;
    this.#part = { part: 'value', serde, ...of };
    this.#serde = serde;
  }

  of(record: AnyRec): void {
    if (record.valueBuffer !== null && record.valueSerde === this.#serde) {
      this.start = record.valueStart;
      this.end = record.valueEnd;
      this.buffer = record.valueStart < 0 ? null : record.valueBuffer;
      return;
    }
    this.ofValue(record.value);
  }

  ofValue(value: unknown): void {
    if (value === null || value === undefined) {
      this.buffer = null;
      this.start = -1;
      this.end = -1;
      return;
    }
    try {
      this.end = this.#scratch.encode(this.#serde, value);
    } catch (cause) {
      throw unwritable(this.#part, value, cause);
    }
    this.start = 0;
    this.buffer = this.#scratch.buffer;
  }
}
