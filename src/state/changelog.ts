/**
 * Changelog topics: their names, settings and record layouts, byte for byte as Kafka Streams.
 *
 *   key-value  key | value, null deletes | timestamp of the value
 *   window     key ‖ int64 start ‖ int32 sequence 0 | value, null deletes | timestamp of the value
 *
 * Integers are big-endian (Kafka Streams: WindowKeySchema, ChangeLoggingTimestampedKeyValueBytesStore).
 */

/** Bytes after the key in the changelog key of a window store: int64 start, int32 sequence. */
export const WINDOW_TRAILER_BYTES = 12;

/** Kafka Streams: windowstore.changelog.additional.retention.ms. */
export const ADDITIONAL_RETENTION_MS = 24 * 60 * 60 * 1000;

const TWO_32 = 2 ** 32;

export type ChangelogSpec =
  | { readonly kind: 'key-value' }
  | {
      readonly kind: 'window';
      readonly sizeMs: number;
      readonly graceMs: number;
      /** How much longer the topic keeps a window than the store; Kafka Streams' default is 24 h. */
      readonly additionalRetentionMs?: number;
    };

/** Topic settings of a changelog. */
export function changelogConfigs(spec: ChangelogSpec): Readonly<Record<string, string>> {
  if (spec.kind === 'key-value') return { 'cleanup.policy': 'compact' };
  const additional = spec.additionalRetentionMs ?? ADDITIONAL_RETENTION_MS;
  return {
    'cleanup.policy': 'compact,delete',
    'retention.ms': String(spec.sizeMs + spec.graceMs + additional),
  };
}

/**
 * Writes the changelog key of a window row at `at` and returns its end; the target must have
 * `WINDOW_TRAILER_BYTES` more than the key.
 */
export function writeWindowKey(
  target: Buffer,
  at: number,
  key: Buffer,
  keyStart: number,
  keyEnd: number,
  windowStart: number,
): number {
  if (keyEnd - keyStart > 48) key.copy(target, at, keyStart, keyEnd);
  else for (let i = keyStart, to = at; i < keyEnd; i += 1, to += 1) target[to] = key[i]!;
  const end = at + (keyEnd - keyStart);
  target.writeInt32BE(Math.floor(windowStart / TWO_32), end);
  target.writeUInt32BE(windowStart >>> 0, end + 4);
  target.writeInt32BE(0, end + 8);
  return end + WINDOW_TRAILER_BYTES;
}

/** The window start in a changelog key that ends at `keyEnd`; not exact above 2^53. */
export function windowStartOf(buffer: Buffer, keyEnd: number): number {
  const at = keyEnd - WINDOW_TRAILER_BYTES;
  return buffer.readInt32BE(at) * TWO_32 + buffer.readUInt32BE(at + 4);
}

/** The sequence number in a changelog key that ends at `keyEnd`; 0 in stores without duplicates. */
export function windowSequenceOf(buffer: Buffer, keyEnd: number): number {
  return buffer.readInt32BE(keyEnd - 4);
}
