import fc from 'fast-check';
import { expect, test } from 'vitest';
import { aggregate, string, to, topology } from '../../src/index.ts';
import { encodedBytes } from '../../src/serde/encode-buffer.ts';
import { json } from '../../src/serde/json.ts';
import { TestDriver } from '../../src/testing/test-driver.ts';

const serde = json<unknown>();

function decoded(text: string | Buffer): unknown {
  const bytes = Buffer.from(text as string);
  const around = Buffer.concat([Buffer.from('{'), bytes, Buffer.from('}')]);
  return serde.decode(around, 1, 1 + bytes.length);
}

function failure(run: () => unknown): string {
  let message = '';
  expect(() => {
    try {
      run();
    } catch (error) {
      message = (error as Error).message;
      throw error;
    }
  }).toThrow(expect.objectContaining({ code: 'SERDE_FAILED', decision: 'record' }));
  return message;
}

test('every JSON value but null is read as it was written, as the text of JSON.stringify', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
      fc.pre(value !== null);
      const bytes = encodedBytes(serde, value);
      expect(bytes.toString()).toBe(JSON.stringify(value));
      expect(decoded(bytes)).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
  expect(decoded(encodedBytes(serde, 'x'.repeat(200_000)))).toHaveLength(200_000);
  expect(decoded(encodedBytes(serde, '\ud800'))).toBe('\ud800');
});

test('a value without JSON is refused', () => {
  const circle: unknown[] = [];
  circle.push(circle);
  const values = [
    undefined,
    () => 1,
    Symbol('s'),
    Number.NaN,
    Number.POSITIVE_INFINITY,
    5n,
    circle,
  ];
  for (const value of [...values, { deep: [1n] }, new Date(Number.NaN)]) {
    expect(failure(() => encodedBytes(serde, value))).toMatch(
      /^json\(\)(: the value| got .*, which) has no JSON/,
    );
  }
  expect(failure(() => encodedBytes(serde, undefined))).toBe(
    'json() got undefined, which has no JSON',
  );
  expect(failure(() => encodedBytes(serde, Number.NaN))).toContain('NaN');
  expect(failure(() => encodedBytes(serde, Promise.resolve(1)))).toContain('got a Promise');
});

test('what is not JSON is refused, and no word of the record is repeated', () => {
  for (const text of [
    '',
    '{',
    '{"a":secret}',
    "'secret'",
    '\ufeff{}',
    '{}secret',
    'null',
    'secret',
  ]) {
    expect(failure(() => decoded(text))).not.toContain('secret');
  }
  expect(failure(() => decoded('[1, secret]'))).toMatch(/^json\(\): 11 bytes are not JSON/);
  expect(failure(() => decoded(Buffer.from([0x22, 0xff, 0x22])))).toContain('UTF-8');
});

test('input, state and output of a topology may be JSON, each of its own type', async () => {
  interface Click {
    readonly page: string;
  }
  const clicks = { key: string(), value: json<Click>() };
  const pages = { key: string(), value: json<readonly string[]>() };
  const driver = await TestDriver.start({
    topology: () => {
      const app = topology('pages');
      app.stream('clicks', clicks).pipe(
        aggregate({
          name: 'pages',
          init: (): readonly string[] => [],
          add: (seen, { page }) => [...seen, page],
          ...pages,
        }),
        to('pages', pages),
      );
      return app;
    },
  });
  const input = driver.input('clicks', clicks);
  for (const page of ['/', 'x'.repeat(200_000)]) input.pipe('ada', { page });
  const [, last] = driver.output('pages', pages).readValues();
  expect(last).toEqual(['/', 'x'.repeat(200_000)]);
  expect(driver.keyValueStore('pages', pages).get('ada')).toEqual(last);
  await driver.close();
});
