/** What errors say of a value: its kind, never what it is. */
import { expect, test } from 'vitest';
import { avro } from '../../src/serde/avro.ts';
import { encodedBytes } from '../../src/serde/encode-buffer.ts';
import { kindOf } from '../../src/serde/kind-of.ts';
import { bigintLong, long } from '../../src/serde/long.ts';
import { memoryRegistry } from '../../src/serde/memory-registry.ts';
import type { Serde } from '../../src/serde/serde.ts';
import { string } from '../../src/serde/string.ts';
import { windowedSerde } from '../../src/serde/windowed.ts';

test.each([
  [undefined, 'undefined'],
  [null, 'null'],
  [Number.NaN, 'NaN'],
  [Number.NEGATIVE_INFINITY, '-Infinity'],
  ['secret', 'a string'],
  [4711, 'a number'],
  [1n, 'a bigint'],
  [true, 'a boolean'],
  [Symbol('s'), 'a symbol'],
  [() => 1, 'a function'],
  [{ secret: 1 }, 'an object'],
  [['secret'], 'an array'],
  [Promise.resolve(1), 'a Promise'],
  // biome-ignore lint/suspicious/noThenProperty: what Promises of other makes are known by.
  [{ then: () => {} }, 'a Promise'],
])('%o is %s', (value, kind) => {
  expect(kindOf(value)).toBe(kind);
});

const refused =
  <T>(serde: Serde<T>, value: unknown) =>
  () =>
    encodedBytes(serde, value as T);

test('a serde says what it got, and names another one where that would take it', () => {
  expect(refused(long(), 2 ** 53)).toThrow(
    /^long\(\) got an integer beyond 2\^53 - 1: use bigintLong\(\)$/,
  );
  expect(refused(long(), 5n)).toThrow(/^long\(\) got a bigint: use bigintLong\(\)$/);
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 0.5, '1', {}]) {
    expect(refused(long(), value)).toThrow(/^long\(\) got .*, it writes integers$/);
  }
  expect(refused(bigintLong(), 2n ** 64n)).toThrow(/got a bigint beyond 64 bits$/);
  expect(refused(bigintLong(), 5)).toThrow(/got a number, it writes bigints/);
  expect(refused(windowedSerde(string(), 5), 'key')).toThrow(
    /^windowedSerde\(\) got a string, it writes keys of windows$/,
  );
});

test.each([
  ['"long"', 'a string$'],
  ['{"type":"enum","name":"E","symbols":["A"]}', 'a string that is no symbol of enum E$'],
  ['"int"', "'f' is a string, the schema has int$"],
])('what does not fit a schema is not quoted: %s', async (type, said) => {
  const schema = `{"type":"record","name":"R","fields":[{"name":"f","type":${type}}]}`;
  for (const representation of ['number', 'bigint'] as const) {
    const registry = memoryRegistry();
    await registry.register('s', schema);
    const serde = avro<unknown>({ subject: 's', schema, registry, long: representation });
    await serde.schemas.start();
    const write = refused(serde, { f: 'secret' });
    expect(write).toThrow(new RegExp(said));
    expect(write).not.toThrow(/secret/);
  }
});
