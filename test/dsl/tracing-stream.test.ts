import {
  concatMap,
  connect,
  delay,
  EMPTY,
  map,
  merge as mergeOfRxjs,
  mergeWith,
  Observable,
  of,
  partition,
  pipe,
  share,
  take,
  toArray,
} from 'rxjs';
import { expect, test, vi } from 'vitest';
import { filter } from '../../src/dsl/filter.ts';
import type { KStream } from '../../src/dsl/k-stream.ts';
import { mapValues } from '../../src/dsl/map-values.ts';
import { merge } from '../../src/dsl/merge.ts';
import { to } from '../../src/dsl/to.ts';
import { topology } from '../../src/dsl/topology.ts';
import { values } from '../../src/dsl/values.ts';
import { string } from '../../src/serde/string.ts';
import type { AnyRec, SegmentNode, TopologyNode } from '../../src/topology/node.ts';
import { type Keyed, Origin, Rec } from '../../src/topology/record.ts';

type Lines = KStream<string, string, Keyed>;

function drawn(draw: (lines: Lines) => unknown): readonly TopologyNode[] {
  const t = topology('t');
  draw(t.stream('lines', { key: string(), value: string() }));
  return t.build().nodes.slice(1);
}

function shape(draw: (lines: Lines) => unknown): readonly (readonly string[])[] {
  return drawn(draw).map(({ id, parents }) => [id, ...parents]);
}

function segment(draw: (lines: Lines) => unknown): SegmentNode {
  const nodes = drawn(draw);
  expect(nodes.map(({ kind }) => kind)).toEqual(['segment']);
  return nodes[0] as SegmentNode;
}

function record(value: string): AnyRec {
  return Rec.of(new Origin('lines', 0, 0, 1, null), 1, 'k', value);
}

interface Ran {
  readonly values: unknown[];
  error: unknown;
  end: 'open' | 'completed' | 'failed';
}

function run(node: SegmentNode, ...given: readonly string[]): Ran {
  const ran: Ran = { values: [], error: null, end: 'open' };
  node.subscribe(given.map(record), {
    next: (each) => ran.values.push(each instanceof Rec ? each.value : each),
    error: (cause) => {
      ran.error = cause;
      ran.end = 'failed';
    },
    complete: () => {
      ran.end = 'completed';
    },
  });
  return ran;
}

const upper = map((r: Rec<string, string, Keyed>) => r.withValue(r.value.toUpperCase()));
const exclaim = map((r: Rec<string, string, Keyed>) => r.withValue(`${r.value}!`));
const sink = () => to('out', { key: string(), value: string() });

test('a stock operator becomes a segment with default bounds', () => {
  const node = segment((s) => s.pipe(upper));
  expect(node).toMatchObject({
    concurrency: 64,
    order: 'key',
    timeoutMs: 5_000,
    speaksOnEmpty: false,
  });
  expect(run(node, 'a', 'b')).toEqual({ values: ['A', 'B'], error: null, end: 'completed' });
});

test('consecutive stock operators become one segment, over several pipes, too', () => {
  const node = segment((s) => s.pipe(upper, exclaim).pipe(exclaim));
  expect(run(node, 'a').values).toEqual(['A!!']);
});

test('a framework operator in between keeps segments apart', () => {
  expect(
    shape((s) =>
      s.pipe(
        upper,
        mapValues((v) => v),
        exclaim,
        sink(),
      ),
    ),
  ).toEqual([
    ['segment-1', 'source-0'],
    ['mapValues-2', 'segment-1'],
    ['segment-3', 'mapValues-2'],
    ['sink-4', 'segment-3'],
  ]);
});

test('a segment with two branches runs once for both', () => {
  const nodes = drawn((s) => {
    const shared = s.pipe(upper);
    shared.pipe(exclaim, sink());
    shared.pipe(sink());
  });
  expect(nodes.map(({ id, parents }) => [id, ...parents])).toEqual([
    ['segment-1', 'source-0'],
    ['segment-2', 'segment-1'],
    ['sink-3', 'segment-2'],
    ['sink-4', 'segment-1'],
  ]);
  expect(run(nodes[0] as SegmentNode, 'a').values).toEqual(['A']);
  expect(run(nodes[1] as SegmentNode, 'a').values).toEqual(['a!']);
});

test('a segment joins those above it even when other nodes were drawn in between', () => {
  const nodes = drawn((s) => {
    const one = s.pipe(upper);
    s.pipe(sink());
    one.pipe(exclaim, sink());
  });
  expect(nodes.map(({ id, parents }) => [id, ...parents])).toEqual([
    ['segment-3', 'source-0'],
    ['sink-2', 'source-0'],
    ['sink-4', 'segment-3'],
  ]);
  expect(run(nodes[0] as SegmentNode, 'a').values).toEqual(['A!']);
});

test('a composition of stock and framework operators draws itself', () => {
  const composed = pipe(
    upper,
    mapValues((value: string) => value),
    exclaim,
  );
  expect(shape((s) => s.pipe(composed, sink()))).toEqual([
    ['segment-1', 'source-0'],
    ['mapValues-2', 'segment-1'],
    ['segment-3', 'mapValues-2'],
    ['sink-4', 'segment-3'],
  ]);
});

test('a function that pipes its source draws itself', () => {
  const nodes = drawn((s) =>
    s.pipe((source: Lines) =>
      source.pipe(
        upper,
        filter((r) => r.value !== ''),
      ),
    ),
  );
  expect(nodes.map(({ kind }) => kind)).toEqual(['segment', 'filter']);
});

test('a composition that ends in to() ends the stream', () => {
  expect(shape((s) => s.pipe(pipe(upper, sink())))).toEqual([
    ['segment-1', 'source-0'],
    ['sink-2', 'segment-1'],
  ]);
});

test('a hand-written operator that returns a plain Observable is kept whole', () => {
  const doubled = (source: Observable<Rec<string, string, Keyed>>) =>
    new Observable<Rec<string, string, Keyed>>((subscriber) =>
      source.subscribe({
        next: (each) => {
          subscriber.next(each);
          subscriber.next(each);
        },
        error: (cause) => subscriber.error(cause),
        complete: () => subscriber.complete(),
      }),
    );
  const node = segment((s) => s.pipe(doubled));
  expect(run(node, 'a').values).toEqual(['a', 'a']);
});

test('a hand-written operator that merges stock branches is kept whole', () => {
  const both = (source: Observable<Rec<string, string, Keyed>>) =>
    mergeOfRxjs(source.pipe(upper), source.pipe(exclaim));
  expect(
    run(
      segment((s) => s.pipe(both)),
      'a',
    ).values,
  ).toEqual(['A', 'a!']);
});

test('a hand-written operator that loses operators of the framework is refused', () => {
  const lost = (source: Lines) =>
    mergeOfRxjs(source.pipe(mapValues((v) => v)), source.pipe(exclaim));
  expect(() => drawn((s) => s.pipe(lost))).toThrow(/lost: .*plain Observable/);
});

test('what an operator keeps is not shared among records that run at the same time', () => {
  vi.useFakeTimers();
  try {
    const node = segment((s) => s.pipe(delay(5), share(), upper));
    const first = run(node, 'a');
    const second = run(node, 'b');
    vi.advanceTimersByTime(5);
    expect([first.values, second.values]).toEqual([['A'], ['B']]);
  } finally {
    vi.useRealTimers();
  }
});

test('partition and share of RxJS are drawn', () => {
  const nodes = drawn((s) => {
    const [short, long] = partition(s.pipe(share()), (r) => r.value.length < 3);
    (short as Lines).pipe(sink());
    (long as Lines).pipe(sink());
  });
  expect(nodes.map(({ id, parents }) => [id, ...parents])).toEqual([
    ['segment-1', 'source-0'],
    ['segment-2', 'segment-1'],
    ['segment-3', 'segment-1'],
    ['sink-4', 'segment-2'],
    ['sink-5', 'segment-3'],
  ]);
  expect(run(nodes[1] as SegmentNode, 'ab', 'abc').values).toEqual(['ab']);
  expect(run(nodes[2] as SegmentNode, 'ab', 'abc').values).toEqual(['abc']);
});

test('connect of RxJS is opaque', () => {
  const node = segment((s) =>
    s.pipe(connect((shared) => mergeOfRxjs(shared.pipe(upper), shared.pipe(exclaim)))),
  );
  expect(run(node, 'a').values).toEqual(['A', 'a!']);
});

test('subscribing while drawing is refused with the name of the stream', () => {
  const t = topology('enrich');
  const lines = t.stream('lines', { key: string(), value: string() });
  expect(() => lines.subscribe()).toThrow(/source-0.*'enrich' was subscribed/);
});

test('a second stream inside a stock operator is refused', () => {
  expect(() => drawn((s) => s.pipe(mergeWith(s)))).toThrow(/was subscribed/);
});

test('an operator of the framework inside an inner stream is refused', () => {
  const inner = connect((shared: Observable<Rec<string, string, Keyed>>) =>
    shared.pipe(mapValues((value) => value)),
  );
  expect(() => drawn((s) => s.pipe(inner))).toThrow(/mapValues: .*the graph was lost/);
});

test('an operator of the framework after a stock merge of streams is refused', () => {
  expect(() => drawn((s) => mergeOfRxjs(s, s).pipe(mapValues((value: string) => value)))).toThrow(
    /mapValues: .*plain Observable.*merge\(\)/,
  );
});

test('merging streams of two topologies is refused', () => {
  const other = topology('other').stream('x', { key: string(), value: string() });
  expect(() => drawn((s) => s.pipe(merge(other)))).toThrow(/'other'.*'t'/);
});

test('nothing can follow to()', () => {
  const loose = { pipe: (..._: unknown[]): unknown => null };
  for (const after of [mapValues((v) => v), upper]) {
    expect(() => drawn((s) => (s as unknown as typeof loose).pipe(sink(), after))).toThrow(
      /nothing can follow to\(\)/,
    );
  }
});

test('an operator that is not a function, or returns nothing, is refused', () => {
  const pipes = (s: Lines, op: unknown): unknown => (s as { pipe(op: unknown): unknown }).pipe(op);
  expect(() => drawn((s) => pipes(s, 'map'))).toThrow(/an operator is map/);
  expect(() => drawn((s) => pipes(s, () => 5))).toThrow(/it returned 5/);
});

test('a segment takes all records that one input record caused', () => {
  const node = segment((s) => s.pipe(toArray() as never));
  expect(run(node, 'a', 'b').values).toHaveLength(1);
  expect(run(node).values).toEqual([[]]);
});

test('an error of a stock operator reaches the observer', () => {
  const node = segment((s) =>
    s.pipe(
      map((r) => {
        throw new Error(`no ${r.value}`);
      }) as typeof upper,
    ),
  );
  expect(run(node, 'a')).toMatchObject({ error: new Error('no a'), end: 'failed' });
});

test('an operator that throws when it is applied reaches the observer, too', () => {
  let applied = 0;
  const node = segment((s) =>
    s.pipe((source: Lines) => {
      applied += 1;
      if (applied > 2) throw new Error('at once');
      return source.pipe(upper);
    }),
  );
  expect(run(node, 'a')).toMatchObject({ error: new Error('at once'), end: 'failed' });
});

test('unsubscribing stops a segment', () => {
  vi.useFakeTimers();
  try {
    const node = segment((s) => s.pipe(delay(5)));
    const seen: unknown[] = [];
    const stop = node.subscribe([record('a')], {
      next: (each) => seen.push(each),
      error: () => {},
      complete: () => seen.push('completed'),
    });
    stop();
    vi.advanceTimersByTime(10);
    expect(seen).toEqual([]);
  } finally {
    vi.useRealTimers();
  }
});

test('values applies stock operators to the value and puts key, time and headers back', () => {
  const node = segment((s) => s.pipe(values(concatMap((v) => of(v, v.length)))));
  const headers = [{ key: 'h', value: null }];
  const seen: AnyRec[] = [];
  node.subscribe([record('abc').withHeaders(headers)], {
    next: (each) => seen.push(each),
    error: () => {},
    complete: () => {},
  });
  expect(seen.map((each) => [each.key, each.value, each.timestamp, each.headers])).toEqual([
    ['k', 'abc', 1, headers],
    ['k', 3, 1, headers],
  ]);
});

test('values handles each record on its own, in order', () => {
  const node = segment((s) => s.pipe(values(take(1), toArray())));
  expect(run(node, 'a', 'b').values).toEqual([['a'], ['b']]);
  expect(run(node).values).toEqual([]);
});

test('values takes bounds and a name as its last argument', () => {
  const bounds = { name: 'score', concurrency: 3, order: 'partition', timeoutMs: 9 } as const;
  const nodes = drawn((s) =>
    s.pipe(
      upper,
      values(
        map((v: string) => v),
        bounds,
      ),
      exclaim,
    ),
  );
  expect(nodes.map(({ id }) => id)).toEqual(['segment-1', 'score', 'segment-3']);
  expect(nodes[1]).toMatchObject({ concurrency: 3, order: 'partition', timeoutMs: 9 });
});

test('values over an empty inner stream emits nothing', () => {
  expect(
    run(
      segment((s) => s.pipe(values(concatMap(() => EMPTY)))),
      'a',
    ),
  ).toEqual({
    values: [],
    error: null,
    end: 'completed',
  });
});
