import { EscapementError } from '../errors.ts';
import { kindOf } from './kind-of.ts';
import { readLong, writeLong } from './long.ts';
import type { Serde } from './serde.ts';

/** A key within one window; `end` is exclusive. What operators call `Windowed`. */
export interface WindowedKey<K> {
  readonly key: K;
  /** Epoch milliseconds. */
  readonly start: number;
  readonly end: number;
}

const START_BYTES = 8;

/**
 * A key and its window's start: the inner key's bytes, then the start as 8 bytes big-endian.
 *
 * The bytes of Kafka Streams' `WindowedSerdes.timeWindowedSerdeFrom`. The end is not written: it
 * follows from `sizeMs`, the size of the windows in milliseconds. The start takes no part in
 * partitioning, so all windows of a key stay in the key's partition.
 */
export function windowedSerde<K>(inner: Serde<K>, sizeMs: number): Serde<WindowedKey<K>> {
  if (!Number.isSafeInteger(sizeMs) || sizeMs <= 0) {
    throw new EscapementError(
      'OPTION_INVALID',
      `windowedSerde: sizeMs is ${sizeMs}, it must be a whole number of milliseconds above 0`,
    );
  }
  return {
    name: `windowed(${inner.name}, ${sizeMs} ms)`,
    partitionTrailerBytes: START_BYTES,
    ...(inner.schemas === undefined ? {} : { schemas: inner.schemas }),
    decode(buffer, start, end) {
      const keyEnd = end - START_BYTES;
      if (keyEnd < start) {
        throw new EscapementError(
          'SERDE_FAILED',
          `a windowed key has at least 8 bytes for its start, this one has ${end - start}`,
        );
      }
      const windowStart = readLong(buffer, keyEnd);
      return {
        key: inner.decode(buffer, start, keyEnd),
        start: windowStart,
        end: windowStart + sizeMs,
      };
    },
    encode(value, buffer, at) {
      if (!Number.isSafeInteger(value.start)) {
        throw new EscapementError(
          'SERDE_FAILED',
          value.start === undefined
            ? `windowedSerde() got ${kindOf(value)}, it writes keys of windows`
            : `windowedSerde(): the start of a window is epoch milliseconds, it is ${String(value.start)}`,
        );
      }
      const keyEnd = inner.encode(value.key, buffer, at);
      if (keyEnd < 0) return keyEnd - START_BYTES;
      const room = buffer.length - keyEnd;
      if (room < START_BYTES) return room - START_BYTES;
      writeLong(value.start, buffer, keyEnd);
      return keyEnd + START_BYTES;
    },
  };
}
