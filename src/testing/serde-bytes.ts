/** Values as a test writes and reads them, through serdes that may need a registry. */
import { EscapementError } from '../errors.ts';
import { murmur2, partitionOf } from '../kafka/records/murmur2.ts';
import { encodedBytes } from '../serde/encode-buffer.ts';
import type { Serde } from '../serde/serde.ts';

export interface TopicSerdes<K, V> {
  readonly key: Serde<K>;
  readonly value: Serde<V>;
}

/** Throws `OPTION_INVALID` for what is not two serdes; `where` needs them. */
export function checkTopicSerdes(where: string, given: unknown): void {
  const serdes = (given ?? {}) as Partial<Record<'key' | 'value', Partial<Serde<unknown>> | null>>;
  const lacking = (['key', 'value'] as const).filter((part) => {
    const { encode, decode } = serdes[part] ?? {};
    return typeof encode !== 'function' || typeof decode !== 'function';
  });
  if (lacking.length === 0) return;
  const text = `${where}: it needs a serde as ${lacking.join(' and ')}, such as string().`;
  throw new EscapementError('OPTION_INVALID', text);
}

export function encoded<T>(serde: Serde<T>, value: T | null): Buffer | null {
  return value === null ? null : encodedBytes(serde, value);
}

/** The partition that producers choose for an encoded key; 0 for none. */
export function partitionOfKey(
  { partitionTrailerBytes = 0 }: Pick<Serde<unknown>, 'partitionTrailerBytes'>,
  key: Buffer | null,
  partitions: number,
): number {
  if (key === null) return 0;
  return partitionOf(murmur2(key, 0, key.length - partitionTrailerBytes), partitions);
}

/** Throws `TEST_DRIVER_BUSY` when the schema of the bytes has not been asked for. */
export function decoded<T>(serde: Serde<T>, bytes: Buffer | null): T | null {
  if (bytes === null) return null;
  const id = serde.schemas?.idOf(bytes, 0, bytes.length) ?? -1;
  if (id >= 0 && !serde.schemas!.isReady(id)) {
    throw new EscapementError(
      'TEST_DRIVER_BUSY',
      `${serde.name}: schema ${id} was not asked for: await driver.idle() before reading.`,
    );
  }
  return serde.decode(bytes, 0, bytes.length);
}

/**
 * What is read of a value that was written: for a property test that it is the same. Serdes with a
 * registry need `await serde.schemas.start()` before. Null never meets a serde: it is Kafka's null.
 * Throws `SERDE_FAILED`.
 */
export function roundTrip<T>(serde: Serde<T>, value: T): T {
  const bytes = encoded(serde, value);
  return bytes === null ? value : serde.decode(bytes, 0, bytes.length);
}

/** Makes the schemas of all these bytes ready. */
export async function prepared(
  { key, value }: TopicSerdes<unknown, unknown>,
  rows: Iterable<{ readonly key: Buffer | null; readonly value: Buffer | null }>,
): Promise<void> {
  if (key.schemas === undefined && value.schemas === undefined) return;
  const all = [...rows];
  const keys = all.map((row) => row.key);
  const values = all.map((row) => row.value);
  await Promise.all([ready(key, keys), ready(value, values)]);
}

async function ready(serde: Serde<unknown>, all: readonly (Buffer | null)[]): Promise<void> {
  const { schemas } = serde;
  if (schemas === undefined) return;
  const ids = all.map((bytes) => (bytes === null ? -1 : schemas.idOf(bytes, 0, bytes.length)));
  await schemas.prepare([...new Set(ids)].filter((id) => id >= 0 && !schemas.isReady(id)));
}
