/** The bytes of a record's value; a value that came as bytes under the same serde passes through. */
import { EncodeBuffer } from '../../serde/encode-buffer.ts';
import type { Serde } from '../../serde/serde.ts';
import type { AnyRec } from '../../topology/node.ts';

export class EncodedValue {
  readonly #serde: Serde<unknown>;
  readonly #scratch = new EncodeBuffer();
  /** Null for Kafka's null: a tombstone. */
  buffer: Buffer | null = null;
  start = -1;
  end = -1;

  constructor(serde: Serde<unknown>) {
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
    this.end = this.#scratch.encode(this.#serde, value);
    this.start = 0;
    this.buffer = this.#scratch.buffer;
  }
}
