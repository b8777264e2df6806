/** What is said about a record that fails: the operator in its user's words, the part, the kind of value. */
import { map, mergeMap, Observable, throwError } from 'rxjs';
import { expect, test } from 'vitest';
import {
  aggregate,
  count,
  deadLetter,
  filter,
  flatMapValues,
  json,
  type Keyed,
  type KStream,
  long,
  mapAsync,
  mapValues,
  peek,
  repartition,
  type Serde,
  selectKey,
  string,
  to,
  topology,
  tumbling,
  values,
  windowedAggregate,
} from '../../src/index.ts';
import { systemPorts } from '../../src/ports.ts';
import { Bench, type BenchOptions, type Given, written } from './bench.ts';

const text = string();
const texts = { key: text, value: text };
/** What plain JavaScript may pass. */
const wrong = (value: unknown) => value as never;
const boom = (): never => {
  throw new Error('boom');
};

type Draw = (stream: KStream<string, string, Keyed>) => unknown;

/** Reason and code of the dead letter that the record becomes. */
async function said(draw: Draw, given: Given = {}, options: BenchOptions = {}): Promise<string> {
  const app = topology('t');
  draw(app.stream('in', { ...texts, onError: deadLetter('dead') }));
  const bench = new Bench(app, options).put('in', [{ key: 'k', value: 'v', ...given }]).work();
  for (let turn = 0; turn < 3; turn += 1) {
    await systemPorts.timers.turn();
    bench.work();
  }
  if (bench.task.failure !== null) throw bench.task.failure;
  const [dead] = written(bench.seal()!.step, 'dead');
  const header = (name: string) =>
    String(dead!.headers.find(({ key }) => key === `escapement.error.${name}`)?.value);
  return `${header('code')} ${header('reason')}`;
}

const out = to('out', texts);

test.each<[string, Draw, string]>([
  ['filter', (s) => s.pipe(filter(boom), out), 'filter-1 threw: boom'],
  [
    'mapValues',
    (s) =>
      s.pipe(
        mapValues(boom),
        peek(() => {}),
        out,
      ),
    'mapValues-1 threw: boom',
  ],
  ['mapValues before to', (s) => s.pipe(mapValues(boom), out), 'mapValues-1 threw: boom'],
  ['flatMapValues', (s) => s.pipe(flatMapValues(boom), out), 'flatMapValues-1 threw: boom'],
  ['selectKey', (s) => s.pipe(selectKey(boom), out), 'selectKey-1 threw: boom'],
  ['peek', (s) => s.pipe(peek(boom), out), 'peek-1 threw: boom'],
  ['mapAsync', (s) => s.pipe(mapAsync(boom), out), 'mapAsync-1 threw: boom'],
  [
    'a rejection',
    (s) =>
      s.pipe(
        mapAsync(async () => boom()),
        out,
      ),
    'mapAsync-1 threw: boom',
  ],
  ['a named one', (s) => s.pipe(mapAsync(boom, { name: 'ask' }), out), 'ask threw: boom'],
  ['a stock operator', (s) => s.pipe(map(boom), out), 'map() of RxJS threw: boom'],
  [
    'stock operators',
    (s) =>
      s.pipe(
        map((r) => r),
        mergeMap(() => throwError(() => new Error('boom')), 1),
        out,
      ),
    'map(), mergeMap() or concatMap() of RxJS threw: boom',
  ],
  ['stock operators on values', (s) => s.pipe(values(map(boom)), out), 'values() threw: boom'],
  ['an operator by hand', (s) => s.pipe(byHand, out), 'byHand() threw: boom'],
  [
    'a generator',
    (s) =>
      s.pipe(
        flatMapValues(function* (value) {
          yield value;
          boom();
        }),
        out,
      ),
    'flatMapValues-1 threw: boom',
  ],
  [
    'the one below a generator',
    (s) =>
      s.pipe(
        flatMapValues((value) => [value]),
        mapValues(boom),
        out,
      ),
    'mapValues-2 threw: boom',
  ],
  [
    'add',
    (s) => s.pipe(aggregate({ name: 'a', init: () => '', add: boom, ...texts }), out),
    "aggregate('a') threw: boom",
  ],
  [
    'init',
    (s) => s.pipe(aggregate({ name: 'a', init: boom, add: (a: string) => a, ...texts }), out),
    "aggregate('a') threw: boom",
  ],
  [
    'add of windows',
    (s) =>
      s.pipe(
        windowedAggregate({
          name: 'w',
          window: tumbling({ sizeMs: 10, graceMs: 0 }),
          init: () => '',
          add: boom,
          ...texts,
        }),
        to('out', { key: json(), value: text }),
      ),
    "windowedAggregate('w') threw: boom",
  ],
])('what user code throws names its operator: %s', async (_, draw, what) => {
  expect(await said(draw)).toBe(`RECORD_FAILED in-0@0: ${what}`);
});

/** Fails at the first record. */
function byHand<T>(source: Observable<T>): Observable<T> {
  return new Observable((subscriber) =>
    source.subscribe({
      next: () => subscriber.error(new Error('boom')),
      complete: () => subscriber.complete(),
    }),
  );
}

test.each<[string, Draw]>([
  [
    "count('k')",
    (s) => s.pipe(count({ name: 'k', key: text }), to('out', { key: text, value: long() })),
  ],
  ["repartition('r')", (s) => s.pipe(repartition({ name: 'r', ...texts }), out)],
])('an operator that needs a key is named as it was written: %s', async (name, draw) => {
  expect(await said(draw, { key: null })).toMatch(`RECORD_FAILED in-0@0: ${name} needs a key`);
});

test('a timestamp function is that of its stream', () => {
  const app = topology('t');
  app.stream('in', { ...texts, timestamp: boom }).pipe(out);
  const bench = new Bench(app).put('in', [{ key: 'k', value: 'v' }]);
  expect(() => bench.work()).toThrow(/^in-0@0: stream\('in'\), timestamp threw: boom/);
});

const number = (n: unknown) => mapValues((): number => wrong(n));
const longs = { key: text, value: long() };

test.each<[string, Draw]>([
  [
    "to('out'), key: string() got an object",
    (s) =>
      s.pipe(
        selectKey(() => wrong({})),
        out,
      ),
  ],
  [
    "to('out'), value: long() got NaN, it writes integers",
    (s) => s.pipe(number(Number.NaN), to('out', longs)),
  ],
  [
    "to('out'), value: long() got a fraction, it writes integers",
    (s) => s.pipe(number(0.5), to('out', longs)),
  ],
  [
    "to('out'), value: long() got a string, it writes integers",
    (s) => s.pipe(number('1'), to('out', longs)),
  ],
  [
    "to('out'), value: long() got an integer beyond 2^53 - 1: use bigintLong()",
    (s) => s.pipe(number(2 ** 60), to('out', longs)),
  ],
  [
    "repartition('r'), value: string() got an array",
    (s) =>
      s.pipe(
        mapValues((): string => wrong([1])),
        repartition({ name: 'r', ...texts }),
        out,
      ),
  ],
  [
    "aggregate('a'), value: long() got an object, it writes integers",
    (s) =>
      s.pipe(
        aggregate({ name: 'a', init: () => 0, add: () => wrong({}), key: text, value: long() }),
        to('out', longs),
      ),
  ],
  [
    "count('k'), key: long() got a string, it writes integers",
    (s) => s.pipe(count({ name: 'k', key: wrong(long()) }), to('out', longs)),
  ],
  [
    "to('out'), value: mine: cannot",
    (s) =>
      s.pipe(
        to('out', {
          key: text,
          value: wrong({ ...text, name: 'mine', encode: () => boomed('cannot') }),
        }),
      ),
  ],
])('what cannot be encoded names operator, part and kind: %s', async (what, draw) => {
  expect(await said(draw)).toBe(`SERDE_FAILED in-0@0: ${what}`);
});

function boomed(message: string): never {
  throw new Error(message);
}

test('a record that cannot be decoded stays one, whoever looks at it', async () => {
  const broken = (draw: Draw) => {
    const draws: Draw = (s) => draw(s);
    return said(draws, { value: Buffer.from([0xff]) });
  };
  const undecodable =
    /^RECORD_UNDECODABLE in-0@0: the value cannot be decoded: 1 bytes are not valid/;
  expect(
    await broken((s) =>
      s.pipe(
        mapValues((v) => v),
        out,
      ),
    ),
  ).toMatch(undecodable);
  expect(await broken((s) => s.pipe(values(map((v) => v)), out))).toMatch(undecodable);
  expect(await broken((s) => s.pipe(to('out', { key: text, value: wrong(json()) })))).toMatch(
    undecodable,
  );
});

test('a row that its store’s serde cannot read is not taken for an undecodable input', async () => {
  const oneWay: Serde<string> = { ...text, name: 'one-way', decode: () => boomed('unreadable') };
  const app = topology('t');
  app
    .stream('in', { ...texts, onError: deadLetter('dead') })
    .pipe(
      aggregate({ name: 'a', init: () => '', add: (_, v) => v, key: text, value: oneWay }),
      out,
    );
  const row = { key: 'k', value: 'v' };
  const { step } = new Bench(app).put('in', [row, row]).work().seal()!;
  const [dead] = written(step, 'dead');
  const reasons = dead!.headers.map(({ value }) => String(value));
  expect(reasons).toContain('SERDE_FAILED');
  expect(reasons).toContain("in-0@1: aggregate('a'), value in its store: one-way: unreadable");
});

const asynchronous = async () => 'v';

test.each<[string, Draw]>([
  [
    'filter-1 returned a Promise: use mapAsync()',
    (s) => s.pipe(filter(wrong(async () => false)), out),
  ],
  [
    'filter-1 must return a boolean, it returned a number',
    (s) => s.pipe(filter(wrong(() => 0)), out),
  ],
  [
    'filter-1 must return a boolean, it returned undefined',
    (s) => s.pipe(filter(wrong(() => {})), out),
  ],
  [
    'flatMapValues-1 returned a Promise: use mapAsync()',
    (s) => s.pipe(flatMapValues(wrong(asynchronous)), out),
  ],
  [
    'flatMapValues-1 must return an array or another iterable, not undefined',
    (s) => s.pipe(flatMapValues(wrong(() => {})), out),
  ],
])('what is neither true nor false, or cannot be walked, is refused: %s', async (what, draw) => {
  expect(await said(draw)).toBe(`RECORD_FAILED in-0@0: ${what}`);
});

test.each<[string, Draw]>([
  ["to('out'), value: mapValues-1", (s) => s.pipe(mapValues(wrong(asynchronous)), out)],
  [
    "to('out'), value: an operator above",
    (s) =>
      s.pipe(
        mapValues(wrong(asynchronous)),
        peek(() => {}),
        out,
      ),
  ],
  [
    "to('out'), value: mapValues-1",
    (s) => s.pipe(mapValues(asynchronous), to('out', { key: text, value: json() })),
  ],
  ["to('out'), key: an operator above", (s) => s.pipe(selectKey(wrong(asynchronous)), out)],
  [
    "aggregate('a'), value: aggregate('a')",
    (s) =>
      s.pipe(aggregate({ name: 'a', init: () => '', add: wrong(asynchronous), ...texts }), out),
  ],
])('a Promise that cannot be encoded says so: %s', async (what, draw) => {
  expect(await said(draw)).toBe(`SERDE_FAILED in-0@0: ${what} returned a Promise: use mapAsync()`);
});

test('a value that is too large stays too large', async () => {
  const huge = 'x'.repeat(2_000);
  const options = { options: { recordBytesMax: 1_024 } };
  expect(
    await said(
      (s) =>
        s.pipe(
          mapValues(() => huge),
          out,
        ),
      {},
      options,
    ),
  ).toMatch(/^RECORD_TOO_LARGE in-0@0: /);
});

test('a stock operator that emits no record is named, with what it emitted', async () => {
  const draw: Draw = (s) =>
    s.pipe(
      map(() => wrong('text')),
      out,
    );
  await expect(said(draw)).rejects.toMatchObject({
    code: 'TOPOLOGY_INVALID',
    message: expect.stringMatching(/^map\(\) of RxJS emitted .* not a record but a string: /),
  });
});
