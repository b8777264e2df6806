import {
  catchError,
  concatMap,
  concatWith,
  count,
  debounceTime,
  defaultIfEmpty,
  delay,
  EMPTY,
  endWith,
  filter,
  first,
  from,
  groupBy,
  ignoreElements,
  interval,
  last,
  map,
  mergeMap,
  mergeWith,
  NEVER,
  of,
  pairwise,
  reduce,
  repeat,
  retry,
  scan,
  startWith,
  switchMap,
  take,
  throwIfEmpty,
  timer,
  toArray,
} from 'rxjs';
import { expect, test } from 'vitest';
import type { Step } from '../../src/dsl/operator.ts';
import { probeOnEmpty } from '../../src/dsl/probe.ts';
import { topology } from '../../src/dsl/topology.ts';
import { values } from '../../src/dsl/values.ts';
import { string } from '../../src/serde/string.ts';

const never = (): Promise<never> => new Promise(() => {});

const silent: readonly [string, Step][] = [
  ['map', map((x) => x)],
  ['filter', filter(() => true)],
  ['scan', scan((sum: unknown) => sum)],
  ['take', take(1)],
  ['pairwise', pairwise()],
  ['delay', delay(1_000)],
  ['debounceTime', debounceTime(1_000)],
  ['mergeMap to a stream that never ends', mergeMap(() => NEVER)],
  ['concatMap to a promise', concatMap(never)],
  ['switchMap', switchMap(() => interval(1))],
  ['groupBy', groupBy((x) => x)],
  ['retry', retry()],
  ['catchError', catchError(() => of(1))],
  ['repeat(3)', repeat(3)],
  ['ignoreElements', ignoreElements()],
  ['reduce without a seed', reduce((a: unknown) => a)],
  ['concatWith(EMPTY)', concatWith(EMPTY)],
  ['concatWith a timer that is ignored', (s) => s.pipe(concatWith(timer(10)), ignoreElements())],
];

const speaking: readonly [string, Step][] = [
  ['toArray', toArray()],
  ['count', count()],
  ['defaultIfEmpty', defaultIfEmpty(0 as unknown)],
  ['startWith', startWith(0 as unknown)],
  ['endWith', endWith(0 as unknown)],
  ['concatWith(of)', concatWith(of(1))],
  ['concatWith(timer)', concatWith(timer(4_999))],
  ['reduce with a seed', reduce((a: number) => a, 0)],
  ['first', first()],
  ['last', last()],
  ['throwIfEmpty', throwIfEmpty()],
];

const endless: readonly [string, Step][] = [
  ['repeat()', repeat()],
  ['repeat() caught by retry()', (s) => s.pipe(repeat(), retry())],
  ['repeat with a delay', repeat({ delay: 10 })],
  ['concatWith(NEVER)', concatWith(NEVER)],
  ['mergeWith(interval)', mergeWith(interval(10))],
  ['concatWith a timer past the time limit', concatWith(timer(5_001))],
  ['a promise that stays open', concatWith(from(never()))],
];

test.each(silent)('%s is silent on an empty input', (_, step) => {
  expect(probeOnEmpty('segment-1', [step], 5_000)).toBe('silent');
});

test.each(speaking)('%s speaks on an empty input, so it runs for every record', (_, step) => {
  expect(probeOnEmpty('segment-1', [step], 5_000)).toBe('speaks');
});

test.each(endless)('%s is refused, as no record would ever be finished', (_, step) => {
  expect(() => probeOnEmpty('segment-1', [step], 5_000)).toThrow(/segment-1: .*do not complete/);
});

test('a segment is probed as a whole', () => {
  expect(probeOnEmpty('s', [toArray(), ignoreElements()], 100)).toBe('silent');
  expect(probeOnEmpty('s', [repeat(), take(0)], 100)).toBe('silent');
});

test('real time does not pass while probing', () => {
  expect(probeOnEmpty('s', [concatWith(timer(600_000))], 900_000)).toBe('speaks');
});

test('building a topology refuses an endless segment and says which', () => {
  const t = topology('t');
  t.stream('lines', { key: string(), value: string() }).pipe(
    map((r) => r),
    repeat(),
  );
  expect(() => t.build()).toThrow(
    /- map\(\), repeat\(\) of RxJS: its stock operators do not complete/,
  );
});

test('building a topology probes the operators inside values', () => {
  const t = topology('t');
  t.stream('lines', { key: string(), value: string() }).pipe(values(repeat()));
  expect(() => t.build()).toThrow(/- values\(\): its stock operators do not complete/);
});

test('values is silent on an empty input even when its operators speak', () => {
  const t = topology('t');
  t.stream('lines', { key: string(), value: string() }).pipe(values(toArray()));
  expect(t.build().nodes[1]).toMatchObject({ kind: 'segment', speaksOnEmpty: false });
});
