import { expect, test } from 'vitest';
import { serde } from '../../src/serde/custom.ts';
import { encodedBytes } from '../../src/serde/encode-buffer.ts';

const numbers = serde<readonly number[]>({
  name: 'numbers',
  encode: (value) => Uint8Array.from(value),
  decode: (bytes) => [...bytes],
});

const failed = (message: RegExp) =>
  expect.objectContaining({
    code: 'SERDE_FAILED',
    decision: 'record',
    message: expect.stringMatching(message),
  });

test('two functions over whole byte arrays make a serde, for values of any size', () => {
  for (const length of [0, 1, 508, 509, 511, 512, 513, 200_000]) {
    const value = Array.from({ length }, (_, at) => at % 256);
    const bytes = encodedBytes(numbers, value);
    expect(bytes.equals(Buffer.from(value))).toBe(true);
    const around = Buffer.concat([Buffer.from('ab'), bytes, Buffer.from('c')]);
    expect(numbers.decode(around, 2, 2 + length)).toEqual(value);
  }
  expect(numbers.name).toBe('numbers');
});

test('a value may keep the bytes that it was read from', () => {
  const kept = serde<Buffer>({ name: 'kept', encode: (value) => value, decode: (bytes) => bytes });
  const chunk = Buffer.from('xabcx');
  const value = kept.decode(chunk, 1, 4);
  chunk.fill(0);
  expect(value.toString()).toBe('abc');
  value.fill(1);
  expect(chunk.every((byte) => byte === 0)).toBe(true);
});

test('what the functions throw is a record error, and so is what is no value', () => {
  const given = (encode: () => unknown, decode: () => unknown) =>
    serde<string>({
      name: 'mine',
      encode: encode as () => Uint8Array,
      decode: decode as () => string,
    });
  const throwing = given(
    () => {
      throw new Error('too sad');
    },
    () => JSON.parse('{'),
  );
  expect(() => encodedBytes(throwing, 'a')).toThrow(failed(/^mine: encode threw: too sad/));
  expect(() => throwing.decode(Buffer.alloc(1), 0, 1)).toThrow(failed(/^mine: decode threw: /));
  for (const [value, said] of [
    ['text', /a string, .*Buffer\.from\(text\)/],
    [undefined, /undefined/],
    [Promise.resolve(Buffer.alloc(1)), /a Promise/],
    [[1, 2], /an array/],
  ] as const) {
    expect(() =>
      encodedBytes(
        given(() => value, String),
        'a',
      ),
    ).toThrow(failed(said));
  }
  for (const value of [null, undefined, Promise.resolve('a')]) {
    const serde = given(
      () => Buffer.alloc(0),
      () => value,
    );
    expect(() => serde.decode(Buffer.alloc(1), 0, 1)).toThrow(failed(/decode returned/));
  }
});

test('a part that is missing is refused with all that is missing', () => {
  for (const options of [{}, undefined, { name: '', encode: 1, decode: 'x' }]) {
    expect(() => serde(options as never)).toThrow(
      expect.objectContaining({
        code: 'OPTION_INVALID',
        message: expect.stringMatching(/name .*encode .*decode/),
      }),
    );
  }
});
