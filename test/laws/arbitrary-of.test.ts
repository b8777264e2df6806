/** Arbitraries from schemas: what they draw is written, read and of the schema's ranges. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { avro, memoryRegistry } from '../../src/index.ts';
import { type ArbitraryOptions, arbitraryOf } from '../../src/laws/arbitrary-of.ts';
import { roundTrip } from '../../src/testing/serde-bytes.ts';

const SUBJECT = 'topic-value';
type Long = 'number' | 'bigint';

async function serdeOf(schema: unknown, long: Long = 'number') {
  const registry = memoryRegistry();
  await registry.register(SUBJECT, JSON.stringify(schema));
  const serde = avro({ subject: SUBJECT, schema: JSON.stringify(schema), registry, long });
  await serde.schemas.start();
  return serde;
}

/** Values that were drawn, each read back as it was. */
async function drawn(schema: unknown, long: Long = 'number', options: ArbitraryOptions = {}) {
  const serde = await serdeOf(schema, long);
  const seen: unknown[] = [];
  const law = fc.property(arbitraryOf(serde, options), (value) => {
    seen.push(value);
    expect(roundTrip(serde, value)).toEqual(value);
  });
  fc.assert(law, { numRuns: 300, seed: 7 });
  return seen;
}

const record = (name: string, fields: Record<string, unknown>) => ({
  type: 'record',
  name,
  fields: Object.entries(fields).map(([field, type]) => ({ name: field, type })),
});

test.each<[string, unknown]>([
  ['null', 'null'],
  ['boolean', 'boolean'],
  ['int', 'int'],
  ['long', 'long'],
  ['float', 'float'],
  ['double', 'double'],
  ['bytes', 'bytes'],
  ['string', { type: 'string' }],
  ['a quoted primitive', { type: { type: 'long' } }],
  ['fixed', { type: 'fixed', name: 'Md5', size: 16 }],
  ['a fixed of nothing', { type: 'fixed', name: 'None', size: 0 }],
  ['enum', { type: 'enum', name: 'Suit', symbols: ['HEARTS', 'SPADES', 'CLUBS'] }],
  ['array', { type: 'array', items: 'int' }],
  ['arrays of arrays', { type: 'array', items: { type: 'array', items: 'string' } }],
  ['map', { type: 'map', values: 'long' }],
  ['a nullable', ['null', 'string']],
  ['a union in values of its own', ['int', 'string', 'null', 'boolean', 'bytes']],
  ['a union with tags', ['null', 'int', 'double', record('a.b.One', { n: 'int' })]],
  ['a union of records', [record('One', { n: 'int' }), record('Two', { n: 'int' })]],
  ['a union of a record and a map', [record('One', { n: 'int' }), { type: 'map', values: 'int' }]],
  ['a union of an enum and text', [{ type: 'enum', name: 'E', symbols: ['A'] }, 'string']],
  ['record', record('Point', { x: 'double', y: 'double', names: { type: 'map', values: 'int' } })],
  ['a record without fields', record('Empty', {})],
  ['a name used twice', record('ns.Pair', { a: record('Inner', { n: 'int' }), b: 'ns.Inner' })],
  [
    'a record with a prototype in its names',
    record('Odd', { constructor: 'int', toString: 'int' }),
  ],
  ['a list', record('Node', { value: 'int', next: ['null', 'Node'] })],
  ['a list whose end is the second branch', record('Node', { next: ['Node', 'null'] })],
  ['a tree', record('Tree', { children: { type: 'array', items: 'Tree' } })],
  ['a map of itself', record('Dir', { entries: { type: 'map', values: 'Dir' } })],
  ['two that hold one another', record('A', { b: ['null', record('B', { a: ['null', 'A'] })] })],
])('%s: what is drawn is read as it was written', async (_name, schema) => {
  for (const long of ['number', 'bigint'] as const) {
    expect((await drawn(schema, long)).length).toBe(300);
  }
});

const logical = (type: string, logicalType: string, more = {}) => ({ type, logicalType, ...more });
const year = (ms: number) => new Date(ms).getUTCFullYear();
const signed = (bytes: unknown) => {
  const hex = (bytes as Buffer).toString('hex');
  return BigInt.asIntN(4 * hex.length, BigInt(`0x${hex}`));
};
const isYear = (ms: number) => year(ms) >= 1 && year(ms) <= 9999;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

test.each<[string, unknown, (value: never) => boolean]>([
  ['date', logical('int', 'date'), (n: number) => isYear(n * 86_400_000)],
  ['time-millis', logical('int', 'time-millis'), (n: number) => n >= 0 && n < 86_400_000],
  ['time-micros', logical('long', 'time-micros'), (n: number) => n >= 0 && n < 86_400_000_000],
  ['timestamp-millis', logical('long', 'timestamp-millis'), isYear],
  ['timestamp-micros', logical('long', 'timestamp-micros'), (n: number) => isYear(n / 1_000)],
  ['local-timestamp-millis', logical('long', 'local-timestamp-millis'), isYear],
  ['uuid', logical('string', 'uuid'), (text: string) => UUID.test(text)],
  [
    'decimal in bytes',
    logical('bytes', 'decimal', { precision: 4, scale: 2 }),
    (bytes: Buffer) => signed(bytes) > -10_000n && signed(bytes) < 10_000n && bytes.length <= 2,
  ],
  [
    'decimal in fixed',
    logical('fixed', 'decimal', { precision: 5, name: 'Money', size: 8 }),
    (bytes: Buffer) => signed(bytes) > -100_000n && signed(bytes) < 100_000n && bytes.length === 8,
  ],
  [
    'duration',
    logical('fixed', 'duration', { name: 'D', size: 12 }),
    (b: Buffer) => b.length === 12,
  ],
  ['a logical type that nobody knows', logical('int', 'roman'), Number.isInteger],
])('%s: what is drawn is within the logical type', async (_name, schema, holds) => {
  const values = await drawn({ ...record('R', { v: schema }) });
  for (const each of values) expect(holds((each as { v: never }).v)).toBe(true);
  expect(new Set(values.map((value) => JSON.stringify(value))).size).toBeGreaterThan(50);
});

test('longs go to the ends of what their representation holds', async () => {
  const numbers = (await drawn('long')) as number[];
  expect(Math.max(...numbers)).toBeGreaterThan(2 ** 52);
  const bigints = (await drawn('long', 'bigint')) as bigint[];
  expect(bigints.some((n) => n > 2n ** 60n) && bigints.some((n) => n < -(2n ** 60n))).toBe(true);
});

test('defaults are among the values, in the form in which they are read', async () => {
  const symbols = { type: 'enum', name: 'E', symbols: ['A', 'B'] };
  const inner = record('Inner', { n: 'long' });
  const fields = [
    { name: 'l', type: 'long', default: 41 },
    { name: 'b', type: 'bytes', default: 'ÿ\u0000' },
    { name: 'u', type: ['null', 'string'], default: null },
    { name: 't', type: ['int', 'double'], default: 3 },
    { name: 'e', type: symbols, default: 'B' },
    { name: 'a', type: { type: 'array', items: 'long' }, default: [1, 2, 3, 4, 5, 6, 7] },
    { name: 'm', type: { type: 'map', values: 'boolean' }, default: { yes: true } },
    { name: 'r', type: inner, default: { n: 12 } },
  ];
  const values = (await drawn({ type: 'record', name: 'D', fields }, 'bigint')) as {
    [field: string]: unknown;
  }[];
  const has = (field: string, value: unknown) =>
    expect(values.map((each) => each[field])).toContainEqual(value);
  has('l', 41n);
  has('b', Buffer.from([255, 0]));
  has('u', null);
  has('t', { int: 3 });
  has('e', 'B');
  has('a', [1n, 2n, 3n, 4n, 5n, 6n, 7n]);
  has('m', { yes: true });
  has('r', { n: 12n });
});

test('fields are drawn by what is given for them, by name or by record and name', async () => {
  const schema = record('x.Pair', { a: 'int', b: record('Inner', { a: 'int', s: 'string' }) });
  const fields = {
    'Inner.a': fc.constant(5),
    s: fc.constantFrom('x', 'y'),
    'x.Pair.a': fc.constant(1),
  };
  for (const value of await drawn(schema, 'number', { fields })) {
    expect(value).toMatchObject({ a: 1, b: { a: 5, s: expect.stringMatching(/^[xy]$/) } });
  }
});

test('nothing is deeper or longer than it may be', async () => {
  const tree = record('Tree', { children: { type: 'array', items: 'Tree' } });
  type Tree = { readonly children: readonly Tree[] };
  const depth = ({ children }: Tree): number => 1 + Math.max(0, ...children.map(depth));
  const trees = (await drawn(tree, 'number', { depthMax: 2, itemsMax: 3 })) as Tree[];
  expect(Math.max(...trees.map(depth))).toBe(2);
  expect(Math.max(...trees.map(({ children }) => children.length))).toBe(3);
});

test('values shrink to the least that fails', () => {
  const schema = record('R', {
    tags: { type: 'array', items: 'string' },
    next: ['null', 'R'],
    n: 'int',
  });
  type R = { readonly next: R | null; readonly n: number };
  const law = fc.property(arbitraryOf<R>(schema), ({ n }) => n < 100);
  const { counterexample } = fc.check(law, { seed: 3, numRuns: 1_000 });
  expect(counterexample).toEqual([{ tags: [], next: null, n: 100 }]);
});

test('values shrink to the branch that ends them, wherever it stands', () => {
  const law = fc.property(arbitraryOf(record('Node', { next: ['Node', 'null'] })), () => false);
  for (const seed of [1, 2, 3, 4]) {
    expect(fc.check(law, { seed }).counterexample).toEqual([{ next: null }]);
  }
});

test.each<[string, unknown, ArbitraryOptions, RegExp]>([
  ['is not valid', { type: 'recrod' }, {}, /not valid/],
  ['has no end', record('A', { a: 'A' }), {}, /record A would have to hold another one/],
  ['lacks a field', record('A', { a: 'int' }), { fields: { b: fc.nat() } }, /no field b/],
])('a schema that %s is refused', (_what, schema, options, message) => {
  expect(() => arbitraryOf(JSON.stringify(schema), options)).toThrow(
    expect.objectContaining({ code: 'OPTION_INVALID', message: expect.stringMatching(message) }),
  );
});
