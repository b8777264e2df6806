/** The shadow run: every stock operator that wants memory is named, with what takes its place. */
import * as rxjs from 'rxjs';
import { describe, expect, test } from 'vitest';
import { natureOf } from '../../src/dsl/stock-operators.ts';
import {
  aggregate,
  filter,
  flatMapValues,
  long,
  mapValues,
  string,
  to,
  topology,
  values,
} from '../../src/index.ts';
import type { TestDriverOptions } from '../../src/testing/driven.ts';
import { TestDriver } from '../../src/testing/test-driver.ts';

const text = string();
const numbers = { key: text, value: long() };
type Op = rxjs.OperatorFunction<number, unknown>;

/** What a test of four records says at its end about an operator on their values; null: nothing. */
async function said(op: Op, options: Partial<TestDriverOptions> = {}): Promise<string | null> {
  const driver = await TestDriver.start({
    topology: () => {
      const app = topology('shadowed');
      app.stream('in', numbers).pipe(
        values(op),
        mapValues((value) => JSON.stringify(value) ?? 'undefined'),
        to('out', { key: text, value: text }),
      );
      return app;
    },
    replays: 0,
    ...options,
  });
  const input = driver.input('in', numbers);
  for (const n of [5, 5, 7, 5]) input.pipe('k', n);
  await driver.idle();
  return driver.close().then(
    () => null,
    (error: Error) => error.message,
  );
}

const r = rxjs;
const NEVER_NOW = r.timer(10);

/** An operator with memory as it is used, by its name. */
const MEMORY: Readonly<Record<string, Op>> = {
  combineLatestAll: (s) =>
    s.pipe(
      r.map((v) => r.of(v)),
      r.combineLatestAll(),
    ),
  zipAll: (s) =>
    s.pipe(
      r.map((v) => r.of(v)),
      r.zipAll(),
    ),
  audit: r.audit(() => NEVER_NOW),
  auditTime: r.auditTime(10),
  buffer: r.buffer(r.timer(100_000)),
  bufferCount: r.bufferCount(2),
  bufferTime: r.bufferTime(10),
  bufferToggle: r.bufferToggle(r.of(1), () => NEVER_NOW),
  bufferWhen: r.bufferWhen(() => NEVER_NOW),
  count: r.count(),
  debounce: r.debounce(() => NEVER_NOW),
  debounceTime: r.debounceTime(10),
  distinct: r.distinct(),
  distinctUntilChanged: r.distinctUntilChanged(),
  distinctUntilKeyChanged: (s) =>
    s.pipe(
      r.map((v) => ({ v })),
      r.distinctUntilKeyChanged('v'),
    ),
  elementAt: r.elementAt(0),
  every: r.every((v) => v === 5),
  exhaustMap: r.exhaustMap((v) => r.of(v).pipe(r.delay(5))),
  find: r.find((v) => v === 5),
  findIndex: r.findIndex((v) => v > 4),
  first: r.first(),
  groupBy: r.groupBy((v) => v),
  isEmpty: r.isEmpty(),
  last: r.last(),
  max: r.max(),
  mergeScan: r.mergeScan((sum, v) => r.of(sum + v), 0),
  min: r.min(),
  pairwise: r.pairwise(),
  reduce: r.reduce((sum: number, v: number) => sum + v),
  sample: r.sample(r.timer(100_000)),
  sampleTime: r.sampleTime(10),
  scan: r.scan((sum, v) => sum + v, 0),
  sequenceEqual: r.sequenceEqual(r.of(5)),
  single: r.single(),
  skip: r.skip(1),
  skipLast: r.skipLast(1),
  skipUntil: r.skipUntil(r.timer(100_000)),
  skipWhile: r.skipWhile((v) => v === 5),
  startWith: r.startWith(0),
  switchMap: r.switchMap((v) => r.of(v).pipe(r.delay(5))),
  switchScan: r.switchScan((sum: number, v: number) => r.of(sum + v), 0) as Op,
  take: r.take(1),
  takeLast: r.takeLast(1),
  takeUntil: r.takeUntil(r.timer(100_000)),
  takeWhile: r.takeWhile((v) => v === 5),
  throttle: r.throttle(() => NEVER_NOW),
  throttleTime: r.throttleTime(10),
  timeInterval: (s) =>
    s.pipe(
      r.timeInterval(),
      r.map(({ interval }) => interval),
    ),
  toArray: r.toArray(),
  window: r.window(r.timer(100_000)),
  windowCount: r.windowCount(2),
  windowTime: r.windowTime(10),
  windowToggle: r.windowToggle(r.of(1), () => NEVER_NOW),
  windowWhen: r.windowWhen(() => NEVER_NOW),
};

/** An operator without memory, or about one record alone, as it is used. */
const ALONE: Readonly<Record<string, Op>> = {
  catchError: (s) =>
    s.pipe(
      r.map((v) => {
        if (v === 7) throw new Error('seven');
        return v;
      }),
      r.catchError(() => r.of(0)),
    ),
  combineLatestWith: r.combineLatestWith(r.of(1)),
  concatAll: (s) =>
    s.pipe(
      r.map((v) => r.of(v, v)),
      r.concatAll(),
    ),
  concatMap: r.concatMap((v) => r.of(v, v)),
  concatMapTo: r.concatMapTo(r.of(1)),
  concatWith: r.concatWith(r.of(1)),
  defaultIfEmpty: (s) =>
    s.pipe(
      r.filter((v) => v === 5),
      r.defaultIfEmpty(0),
    ),
  delay: r.delay(5),
  delayWhen: r.delayWhen(() => NEVER_NOW),
  dematerialize: (s) => s.pipe(r.materialize(), r.dematerialize()),
  endWith: r.endWith(0),
  exhaustAll: (s) =>
    s.pipe(
      r.map((v) => r.of(v)),
      r.exhaustAll(),
    ),
  expand: r.expand((v) => (v < 20 ? r.of(v * 2) : r.EMPTY)),
  filter: r.filter((v) => v === 5),
  finalize: r.finalize(() => {}),
  ignoreElements: r.ignoreElements(),
  map: r.map((v) => v + 1),
  mapTo: r.mapTo(1),
  materialize: r.materialize(),
  mergeAll: (s) =>
    s.pipe(
      r.map((v) => r.of(v, v)),
      r.mergeAll(),
    ),
  mergeMap: r.mergeMap((v) => r.of(v, v)),
  mergeMapTo: r.mergeMapTo(r.of(1)),
  observeOn: r.observeOn(r.queueScheduler),
  onErrorResumeNextWith: r.onErrorResumeNextWith(r.of(1)),
  pluck: (s) =>
    s.pipe(
      r.map((v) => ({ v })),
      r.pluck('v'),
    ),
  repeat: r.repeat(2),
  retry: r.retry(2),
  subscribeOn: r.subscribeOn(r.queueScheduler),
  switchAll: (s) =>
    s.pipe(
      r.map((v) => r.of(v)),
      r.switchAll(),
    ),
  tap: r.tap(() => {}),
  throwIfEmpty: r.throwIfEmpty(),
  timeout: r.timeout(1_000),
  withLatestFrom: r.withLatestFrom(r.of(1)),
  zipWith: r.zipWith(r.of(1)),
};

/** They join streams of a topology, are refused where they are drawn, or are old names. */
const ELSEWHERE = [
  ...['connect', 'share', 'shareReplay', 'partition', 'mergeWith', 'raceWith'],
  ...['audit', 'combineAll', 'exhaust', 'flatMap', 'multicast', 'publish', 'publishBehavior'],
  ...['publishLast', 'publishReplay', 'refCount', 'repeatWhen', 'retryWhen', 'switchMapTo'],
  ...['timeoutWith', 'timestamp', 'combineLatest', 'concat', 'merge', 'race', 'zip'],
  ...['onErrorResumeNext', 'forkJoin'],
];

test('the tables hold every operator that RxJS exports', async () => {
  const operators = Object.keys(await import('rxjs/operators')).filter(
    (name) => name !== 'default',
  );
  const known = new Set([...Object.keys(MEMORY), ...Object.keys(ALONE), ...ELSEWHERE]);
  expect(operators.length).toBeGreaterThan(100);
  expect(operators.filter((name) => !known.has(name) && name !== '__esModule')).toEqual([]);
  const missing = operators.filter((name) => natureOf(name) === null && name !== '__esModule');
  expect(missing).toEqual([]);
});

describe('a stock operator that wants memory across records is named with its replacement:', () => {
  test.each(Object.entries(MEMORY))('%s', async (name, op) => {
    const message = await said(op);
    expect(message).toMatch(new RegExp(`segment-1: .*\\b${name}\\(\\).* of RxJS.*: use `));
    expect(message).toMatch(/\b(aggregate|count|windowedAggregate|repartition|merge)\(/);
  });
});

describe('what needs nothing of other records passes:', () => {
  test.each(Object.entries(ALONE))('%s', async (_name, op) => {
    expect(await said(op)).toBeNull();
  });
});

const leak = (name: string): Op => {
  let n = 0;
  return {
    map: r.map((v: number) => {
      n += 1;
      return v + n;
    }),
    index: r.map((v: number, at: number) => v + at),
    hand: (source: rxjs.Observable<number>) =>
      new rxjs.Observable<number>((subscriber) =>
        source.subscribe({
          next: (v) => {
            n += v;
            subscriber.next(n);
          },
          complete: () => subscriber.complete(),
        }),
      ),
  }[name]!;
};

test.each([
  ['map', 'what is given to map() of RxJS keeps something in a variable or counts by its index'],
  ['index', 'what is given to map() of RxJS keeps something in a variable or counts by its index'],
  ['hand', 'an operator written by hand remembers: use aggregate() or count()'],
])('memory that no operator of RxJS has is found: %s', async (name, what) => {
  expect(await said(leak(name))).toContain(what);
});

test('an operator on several items of one record is taken for what it is', async () => {
  const collected: Op = (s) =>
    s.pipe(
      r.mergeMap((v) => [v, v + 1]),
      r.toArray(),
    );
  expect(await said(collected)).toBeNull();
  expect(await said(r.toArray(), { shadow: 'off' })).toBeNull();
  expect(await said(r.toArray(), { replay: 'off' })).toBeNull();
});

/** The message at the end of a test of two records of `in`. */
async function ends(made: TestDriverOptions['topology']): Promise<string | null> {
  const driver = await TestDriver.start({ topology: made, replays: 0 });
  const input = driver.input('in', numbers);
  for (const n of [1, 2]) input.pipe('k', n);
  return driver.close().then(
    () => null,
    ({ code, message }: { code: string; message: string }) => `${code} ${message}`,
  );
}

test('stock operators on the stream itself are seen like those in values', async () => {
  const message = await ends(() => {
    const app = topology('raw');
    app.stream('in', numbers).pipe(
      r.map((record) => record),
      r.take(1),
      to('out', numbers),
    );
    return app;
  });
  expect(message).toMatch(
    /^MEMORY_ACROSS_RECORDS .*\n {2}- segment-2: take\(\) of RxJS: use count\(\)/,
  );
});

test('a function that keeps a variable is named, where the replay finds that records differ', async () => {
  const message = await ends(() => {
    let n = 0;
    const app = topology('counting');
    app.stream('in', numbers).pipe(
      flatMapValues((value) => [value]),
      mapValues((value) => {
        n += value;
        return n;
      }),
      to('out', numbers),
    );
    return app;
  });
  expect(message).toMatch(
    /^REPLAY_DIFFERS .*look for mapValues-2: its function gives something else /s,
  );
  expect(message).toMatch(/use aggregate\(\) or count\(\) in its place \(record in-0@1\)$/);
});

test('an aggregation that changes its aggregate and its records in place passes', async () => {
  const message = await ends(() => {
    const app = topology('in-place');
    const json = {
      name: 'json',
      decode: (buffer: Buffer, start: number, end: number) =>
        JSON.parse(buffer.toString('utf8', start, end)) as { n: number },
      encode: (value: { n: number }, buffer: Buffer, at: number) =>
        at + buffer.write(JSON.stringify(value), at),
    };
    app.stream('in', numbers).pipe(
      mapValues((n) => ({ n })),
      mapValues((value) => {
        value.n += 1;
        return value;
      }),
      aggregate({
        name: 'sums',
        init: () => ({ n: 0 }),
        add: (sum, { n }) => {
          sum.n += n;
          return sum;
        },
        key: text,
        value: json,
      }),
      to('out', { key: text, value: json }),
    );
    return app;
  });
  expect(message).toBeNull();
});

test('what is not read in the test is not decoded for the shadow run', async () => {
  const message = await ends(() => {
    const app = topology('undecoded');
    const refusing = {
      name: 'refusing',
      decode: (): number => {
        throw new Error('decoded');
      },
      encode: () => 0,
    };
    app.stream('in', { key: text, value: refusing }).pipe(
      filter((record) => record.key !== ''),
      to('out', { key: text, value: refusing }),
    );
    return app;
  });
  expect(message).toBeNull();
});
