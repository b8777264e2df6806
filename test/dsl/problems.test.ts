import { expect, test } from 'vitest';
import { aggregate } from '../../src/dsl/aggregate.ts';
import { count } from '../../src/dsl/count.ts';
import { filter } from '../../src/dsl/filter.ts';
import { flatMapValues } from '../../src/dsl/flat-map-values.ts';
import type { KStream } from '../../src/dsl/k-stream.ts';
import { mapAsync } from '../../src/dsl/map-async.ts';
import { mapValues } from '../../src/dsl/map-values.ts';
import { merge } from '../../src/dsl/merge.ts';
import { peek } from '../../src/dsl/peek.ts';
import { deadLetter, retry } from '../../src/dsl/policy.ts';
import { repartition } from '../../src/dsl/repartition.ts';
import { selectKey } from '../../src/dsl/select-key.ts';
import { to } from '../../src/dsl/to.ts';
import { type TopologyBuilder, topology } from '../../src/dsl/topology.ts';
import { windowedAggregate } from '../../src/dsl/windowed-aggregate.ts';
import { EscapementError } from '../../src/errors.ts';
import { long } from '../../src/serde/long.ts';
import { string } from '../../src/serde/string.ts';
import type { Keyed } from '../../src/topology/record.ts';

/** A stream as plain JavaScript sees it. */
interface Loose {
  pipe(...operators: unknown[]): Loose;
}
type Lines = KStream<string, string, Keyed> & Loose;

const strings = { key: string(), value: string() };

function problems(draw: (lines: Lines, t: TopologyBuilder) => unknown): string {
  const t = topology('t');
  draw(t.stream('lines', strings) as Lines, t);
  try {
    t.build();
  } catch (cause) {
    expect(cause).toBeInstanceOf(EscapementError);
    expect((cause as EscapementError).code).toBe('TOPOLOGY_INVALID');
    return (cause as EscapementError).message;
  }
  return expect.fail('the topology was built');
}

test('state after a key change is refused when the topology is built', () => {
  const rekeyed = (s: Loose): Loose => s.pipe(selectKey((r) => r.key));
  const windowed = windowedAggregate({
    name: 'w',
    window: { sizeMs: 1, graceMs: 0 },
    init: () => 0,
    add: (n: number) => n,
    key: string(),
    value: long(),
  });
  const sum = aggregate({
    name: 'a',
    init: () => 0,
    add: (n: number) => n,
    key: string(),
    value: long(),
  });
  const found = problems((s) => {
    rekeyed(s).pipe(count({ name: 'c', key: string() }));
    rekeyed(s).pipe(
      mapValues((v) => v),
      sum,
    );
    rekeyed(s).pipe(windowed);
    s.pipe(merge(rekeyed(s) as unknown as Lines), count({ name: 'm', key: string() }));
  });
  for (const operator of ["count('c')", "aggregate('a')", "windowedAggregate('w')", "count('m')"]) {
    expect(found).toContain(`${operator}: the key changed above`);
  }
  expect(found).toContain('put repartition({ name, key, value }) before it');
});

test('a repartition makes a stream keyed again', () => {
  const t = topology('t');
  t.stream('lines', strings).pipe(
    selectKey((r) => r.value),
    repartition({ name: 'r', ...strings }),
    count({ name: 'c', key: string() }),
  );
  expect(t.build().nodes).toHaveLength(5);
});

test('several problems are reported together', () => {
  const found = problems((s, t) => {
    t.stream('no good', strings);
    s.pipe(count({ name: '', key: string() }));
    s.pipe(mapAsync((v) => v, { concurrency: 0, timeoutMs: 1.5 }));
    s.pipe(to('x'.repeat(250), strings));
  });
  expect(found.split('\n  - ').slice(1)).toEqual([
    'mapAsync-3: concurrency must be a whole number from 1 to 10000, not 0',
    'mapAsync-3: timeoutMs must be a whole number from 1 to 900000, not 1.5',
    `stream('no good'): the name 'no good' may only hold [a-zA-Z0-9._-] and not be '.' or '..'`,
    `count(''): needs a name of 1 to 249 of [a-zA-Z0-9._-], got ''`,
    `to('${'x'.repeat(250)}'): the name '${'x'.repeat(250)}' has 250 characters, at most 249`,
  ]);
});

test('names are mandatory in plain JavaScript, too', () => {
  const nameless = {} as { name: string };
  const found = problems((s) => {
    s.pipe(count({ ...nameless, key: string() }));
    s.pipe(repartition({ ...nameless, ...strings }));
    s.pipe(to(undefined as unknown as string, strings));
  });
  expect(found.match(/needs a name of 1 to 249 .* got undefined/g)).toHaveLength(3);
});

test('serdes are mandatory in plain JavaScript, too', () => {
  const found = problems((s, t) => {
    t.stream('other', { key: string() } as unknown as typeof strings);
    s.pipe(to('out', { value: 'string' } as unknown as typeof strings));
  });
  expect(found).toContain("stream('other'): needs a serde as `value`");
  expect(found).toContain("to('out'): needs a serde as `key`");
  expect(found).toContain("to('out'): needs a serde as `value`");
});

test('an operator without its options says what it needs', () => {
  const found = problems((s) => s.pipe(to('out', undefined as unknown as typeof strings)));
  expect(found).toContain("to('out'): needs a serde as `key`");
});

test('functions are mandatory in plain JavaScript, too', () => {
  const none = undefined as unknown as () => number;
  const state = { name: 'a', init: none, add: none, key: string(), value: long() };
  const found = problems((s) => {
    s.pipe(mapValues(none));
    s.pipe(flatMapValues(none as unknown as () => number[]));
    s.pipe(filter('x' as unknown as () => boolean));
    s.pipe(peek(none));
    s.pipe(selectKey(none));
    s.pipe(mapAsync(none));
    s.pipe(aggregate(state));
    s.pipe(windowedAggregate({ ...state, name: 'w', window: { sizeMs: 1, graceMs: 0 } }));
  });
  expect(found.split('\n  - ').slice(1)).toEqual([
    'mapValues: needs a function',
    'flatMapValues: needs a function',
    'filter: needs a function',
    'peek: needs a function',
    'selectKey: needs a function',
    'mapAsync: needs a function',
    "aggregate('a'): needs a function as `init`",
    "aggregate('a'): needs a function as `add`",
    "windowedAggregate('w'): needs a function as `init`",
    "windowedAggregate('w'): needs a function as `add`",
  ]);
});

test('a topic is read once', () => {
  expect(problems((_, t) => t.stream('lines', strings))).toContain(
    "stream('lines'): the topic is read twice: call stream() once and use it twice",
  );
});

test('names that differ in . and _ only are refused, as a broker refuses them', () => {
  const found = problems((s) => {
    s.pipe(count({ name: 'by.word', key: string() }));
    s.pipe(count({ name: 'by_word', key: string() }));
  });
  expect(found).toContain("count('by_word'): count('by.word') has a store of the same name");
});

test('a repartition topic is not named like an input or another repartition', () => {
  const found = problems((s) => {
    s.pipe(repartition({ name: 'lines', ...strings }));
    s.pipe(repartition({ name: 'r', ...strings }));
    s.pipe(repartition({ name: 'r', ...strings }));
  });
  expect(found).toContain("repartition('lines'): stream('lines') has the same name");
  expect(found).toContain("repartition('r'): repartition('r') has the same name");
});

test('two operators cannot have one name', () => {
  const found = problems((s) => {
    s.pipe(mapAsync((v) => v, { name: 'score' }));
    s.pipe(mapAsync((v) => v, { name: 'score' }));
  });
  expect(found).toContain("score: another operator has the name 'score'");
});

test('policies are checked down to their last step', () => {
  const found = problems((_, t) => {
    t.stream('a', { ...strings, onError: retry(0, deadLetter('no good')) });
    t.stream('b', { ...strings, onError: 'skip' as unknown as ReturnType<typeof retry> });
  });
  expect(found).toContain("stream('a'): retry: attempts must be a whole number from 1, not 0");
  expect(found).toContain("stream('a'): deadLetter: the name 'no good'");
  expect(found).toContain("stream('b'): onError must be fail(), skip()");
});

test.each([
  [undefined, 'needs a window'],
  [{ sizeMs: 0, graceMs: 0 }, 'sizeMs must be a whole number of ms from 1, not 0'],
  [{ sizeMs: 1 }, 'graceMs must be a whole number of ms from 0, not undefined'],
  [{ sizeMs: 1, graceMs: -1 }, 'graceMs must be a whole number of ms from 0, not -1'],
  [{ sizeMs: 5, advanceMs: 6, graceMs: 0 }, 'advanceMs (6) must be at most sizeMs (5)'],
])('the window %j is refused', (window, problem) => {
  const found = problems((s) =>
    s.pipe(
      windowedAggregate({
        name: 'w',
        window: window as { sizeMs: number; graceMs: number },
        init: () => 0,
        add: (n: number) => n,
        key: string(),
        value: long(),
      }),
    ),
  );
  expect(found).toContain(`windowedAggregate('w'): ${problem}`);
});

test('emit, nulls and partitions are checked', () => {
  const found = problems((s, t) => {
    t.stream('a', {
      ...strings,
      nulls: 'maybe' as 'drop',
      onOffsetOutOfRange: 'ask' as 'fail',
    });
    s.pipe(repartition({ name: 'r', ...strings, partitions: 0 }));
    s.pipe(
      windowedAggregate({
        name: 'w',
        window: { sizeMs: 1, graceMs: 0 },
        init: () => 0,
        add: (n: number) => n,
        key: string(),
        value: long(),
        emit: 'close' as 'final',
      }),
    );
  });
  expect(found).toContain("stream('a'): nulls must be 'drop' or 'keep', not maybe");
  expect(found).toContain(
    "stream('a'): onOffsetOutOfRange must be 'fail', 'earliest' or 'latest', not ask",
  );
  expect(found).toContain("repartition('r'): partitions must be a whole number from 1, not 0");
  expect(found).toContain("windowedAggregate('w'): emit must be 'update' or 'final', not close");
});

test('a topology without a name, or without a stream, is refused', () => {
  expect(() => topology('a b').build()).toThrow(
    /topology\('a b'\): the name.*\n.*it reads no topic: begin with stream\(\)/,
  );
});

test('streams that meet have one name for their sub-topology', () => {
  const found = problems((_, t) => {
    const a = t.stream('a', { ...strings, subTopology: 'x' });
    a.pipe(merge(t.stream('b', { ...strings, subTopology: 'y' })));
  });
  expect(found).toContain('One sub-topology has the names x and y');
});
