/** Streams of a topology that RxJS is to join: refused, by name and with what joins them. */
import * as r from 'rxjs';
import { expect, test } from 'vitest';
import { long, mapValues, string, to, topology } from '../../src/index.ts';

// biome-ignore lint/suspicious/noExplicitAny: operators of every type stand in one table.
type Any = any;

const numbers = { key: string(), value: long() };

/** By the name that the refusal must hold; `s` and `o` are streams of one topology. */
const JOINS: readonly (readonly [string, (s: Any, o: Any) => Any])[] = [
  ['combineLatest', (s, o) => s.pipe(r.combineLatestWith(o))],
  ['zip', (s, o) => s.pipe(r.zipWith(o))],
  ['merge', (s, o) => s.pipe(r.mergeWith(o))],
  ['raceWith', (s, o) => s.pipe(r.raceWith(o))],
  ['withLatestFrom', (s, o) => s.pipe(r.withLatestFrom(o))],
  ['combineLatest', (s, o) => r.combineLatest([s, o]).pipe(mapValues((v: Any) => v) as Any)],
  ['zip', (s, o) => r.zip(s, o).pipe(mapValues((v: Any) => v) as Any)],
  ['forkJoin', (s, o) => r.forkJoin([s, o]).pipe(mapValues((v: Any) => v) as Any)],
  ['race', (s, o) => r.race(s, o).pipe(mapValues((v: Any) => v) as Any)],
];

test.each(JOINS)('%s of two streams is refused with what joins them', (name, join) => {
  const build = () => {
    const app = topology('joined');
    const [s, o] = [app.stream('one', numbers), app.stream('other', numbers)];
    const all = join(s, o);
    (all as Any).pipe(to('out', numbers));
    return app.build();
  };
  expect(build).toThrow(
    expect.objectContaining({
      code: 'TOPOLOGY_INVALID',
      message: expect.stringMatching(
        new RegExp(`${name}\\(\\) of RxJS: use merge\\(\\) of the framework, with aggregate\\(\\)`),
      ),
    }),
  );
});

test('merge and concat of two streams are refused with merge() of the framework', () => {
  for (const join of [r.merge, r.concat]) {
    const app = topology('merged');
    const [s, o] = [app.stream('one', numbers), app.stream('other', numbers)];
    expect(() => (join(s, o) as Any).pipe(mapValues((v: Any) => v))).toThrow(
      /graph was lost above: join streams with merge\(\) of the framework/,
    );
  }
});
