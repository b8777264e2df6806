/** Values as a test writes and reads them, through the serdes of the topology. */
import type { Serde } from '../serde/serde.ts';

export interface TopicSerdes<K, V> {
  readonly key: Serde<K>;
  readonly value: Serde<V>;
}

const FIRST_BYTES = 256;

export function encoded<T>(serde: Serde<T>, value: T | null): Buffer | null {
  if (value === null) return null;
  let buffer = Buffer.alloc(FIRST_BYTES);
  for (;;) {
    const end = serde.encode(value, buffer, 0);
    if (end >= 0) return Buffer.from(buffer.subarray(0, end));
    buffer = Buffer.alloc(Math.max(buffer.length * 2, buffer.length - end));
  }
}

export function decoded<T>(serde: Serde<T>, bytes: Buffer | null): T | null {
  return bytes === null ? null : serde.decode(bytes, 0, bytes.length);
}
