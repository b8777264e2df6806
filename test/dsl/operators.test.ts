import { expect, test } from 'vitest';
import { aggregate } from '../../src/dsl/aggregate.ts';
import { count } from '../../src/dsl/count.ts';
import { filter } from '../../src/dsl/filter.ts';
import { flatMapValues } from '../../src/dsl/flat-map-values.ts';
import type { KStream } from '../../src/dsl/k-stream.ts';
import { mapAsync } from '../../src/dsl/map-async.ts';
import { mapValues } from '../../src/dsl/map-values.ts';
import { merge } from '../../src/dsl/merge.ts';
import { OPERATOR } from '../../src/dsl/operator.ts';
import { peek } from '../../src/dsl/peek.ts';
import { deadLetter, fail, retry, skip } from '../../src/dsl/policy.ts';
import { repartition } from '../../src/dsl/repartition.ts';
import { selectKey } from '../../src/dsl/select-key.ts';
import { to } from '../../src/dsl/to.ts';
import { topology } from '../../src/dsl/topology.ts';
import { tumbling } from '../../src/dsl/window.ts';
import { windowedAggregate } from '../../src/dsl/windowed-aggregate.ts';
import { long } from '../../src/serde/long.ts';
import { string } from '../../src/serde/string.ts';
import type { TopologyNode } from '../../src/topology/node.ts';
import { type Keyed, Origin, Rec } from '../../src/topology/record.ts';

type Of<Kind> = Extract<TopologyNode, { kind: Kind }>;

/** The nodes that `draw` adds below a stream of strings. */
function drawn(draw: (lines: KStream<string, string, Keyed>) => unknown): readonly TopologyNode[] {
  const t = topology('t');
  draw(t.stream('lines', { key: string(), value: string() }));
  return t.build().nodes.slice(1);
}

function only<Kind extends TopologyNode['kind']>(
  kind: Kind,
  draw: (lines: KStream<string, string, Keyed>) => unknown,
): Of<Kind> {
  const nodes = drawn(draw);
  expect(nodes.map((node) => node.kind)).toEqual([kind]);
  expect(nodes[0]!.parents).toEqual(['source-0']);
  return nodes[0] as Of<Kind>;
}

const record = Rec.of<string, string, Keyed>(new Origin('lines', 0, 7, 100, null), 100, 'k', 'v');

test('stream lowers to a source with its defaults', () => {
  const t = topology('t');
  t.stream('lines', { key: string(), value: long() });
  expect(t.build()).toEqual({
    name: 't',
    nodes: [
      {
        kind: 'source',
        id: 'source-0',
        parents: [],
        topic: 'lines',
        key: string(),
        value: long(),
        timestamp: null,
        onError: { kind: 'fail' },
        nulls: 'drop',
        repartition: null,
      },
    ],
  });
});

test('stream keeps what it is given', () => {
  const t = topology('t');
  const timestamp = (): number => 5;
  const onError = retry(3, deadLetter('dead'));
  t.stream('lines', {
    key: string(),
    value: string(),
    timestamp,
    onError,
    nulls: 'keep',
    subTopology: 'reading',
  });
  expect(t.build().nodes[0]).toMatchObject({
    timestamp,
    onError: {
      kind: 'retry',
      attempts: 3,
      // biome-ignore lint/suspicious/noThenProperty: `then` is what a policy does afterwards.
      then: { kind: 'dead-letter', topic: 'dead' },
    },
    nulls: 'keep',
    subTopology: 'reading',
  });
});

test('a timestamp extractor never sees a null that will be dropped', () => {
  const t = topology('t');
  const timestamp = (r: Rec<string, string, Keyed>): number => r.value.length;
  t.stream('lines', { key: string(), value: string(), timestamp });
  const source = t.build().nodes[0] as Of<'source'>;
  const bytes = Buffer.from('kvalue');
  const at = (valueStart: number): Rec<string, string, Keyed> =>
    Rec.fromBytes(record.meta, { key: string(), value: string() }, bytes, 0, 1, valueStart, 6);
  expect(source.timestamp!(at(1))).toBe(5);
  expect(source.timestamp!(at(-1))).toBe(100);
});

test('the policies are plain data', () => {
  expect([fail(), skip()]).toEqual([{ kind: 'fail' }, { kind: 'skip' }]);
  // biome-ignore lint/suspicious/noThenProperty: `then` is what a policy does afterwards.
  expect(retry(1)).toEqual({ kind: 'retry', attempts: 1, then: { kind: 'fail' } });
});

test('filter keeps its test', () => {
  const accepts = (): boolean => true;
  expect(only('filter', (s) => s.pipe(filter(accepts))).test).toBe(accepts);
});

test('mapValues gives its function the value and the record', () => {
  const node = only('mapValues', (s) =>
    s.pipe(mapValues((value, r) => `${r.key}=${value}@${r.timestamp}`)),
  );
  expect(node.map(record)).toBe('k=v@100');
});

test('flatMapValues gives its function the value and the record', () => {
  const node = only('flatMapValues', (s) => s.pipe(flatMapValues((value, r) => [r.key, value])));
  expect(node.map(record)).toEqual(['k', 'v']);
});

test('selectKey keeps its function', () => {
  const node = only('selectKey', (s) => s.pipe(selectKey((r) => r.value)));
  expect(node.select(record)).toBe('v');
});

test('peek looks at the record', () => {
  const seen: unknown[] = [];
  const node = only('peek', (s) => s.pipe(peek((r) => seen.push(r))));
  node.look(record);
  expect(seen).toEqual([record]);
});

test('merge has both streams as parents', () => {
  const nodes = drawn((s) => {
    const upper = s.pipe(mapValues((value) => value.toUpperCase()));
    return s.pipe(merge(upper));
  });
  expect(nodes[1]).toEqual({ kind: 'merge', id: 'merge-2', parents: ['source-0', 'mapValues-1'] });
});

test('repartition lowers to a write side, and a read side without parents', () => {
  const nodes = drawn((s) =>
    s.pipe(
      selectKey((r) => r.value),
      repartition({ name: 'by-word', key: string(), value: string(), partitions: 6 }),
    ),
  );
  expect(nodes.slice(1)).toEqual([
    {
      kind: 'repartition',
      id: 'repartition-2',
      parents: ['selectKey-1'],
      name: 'by-word',
      key: string(),
      value: string(),
      partitions: 6,
    },
    {
      kind: 'source',
      id: 'source-3',
      parents: [],
      topic: 'by-word',
      key: string(),
      value: string(),
      timestamp: null,
      onError: { kind: 'fail' },
      nulls: 'keep',
      repartition: 'by-word',
    },
  ]);
});

test('repartition leaves the partition count open by default', () => {
  const [node] = drawn((s) => s.pipe(repartition({ name: 'r', key: string(), value: string() })));
  expect(node).toMatchObject({ kind: 'repartition', partitions: null });
});

test('aggregate adds the decoded value and the record', () => {
  const node = only('aggregate', (s) =>
    s.pipe(
      aggregate({
        name: 'sizes',
        init: () => 10,
        add: (sum, value, r) => sum + value.length + r.key.length,
        key: string(),
        value: long(),
      }),
    ),
  );
  expect(node).toMatchObject({ store: 'sizes', key: string(), value: long() });
  expect(node.add(node.init(), record)).toBe(12);
});

test('count is an aggregate of longs that never looks at the value', () => {
  const node = only('aggregate', (s) => s.pipe(count({ name: 'counts', key: string() })));
  const undecodable = { decode: () => expect.fail('the value was decoded') };
  const bytes = Buffer.from('kv');
  const decoders = { key: string(), value: undecodable };
  const raw = Rec.fromBytes(record.meta, decoders, bytes, 0, 1, 1, 2);
  expect(node.value).toBe(long());
  expect(node.add(node.add(node.init(), raw), raw)).toBe(2);
});

const hourly = {
  name: 'hourly',
  init: () => 0,
  add: (sum: number, value: string) => sum + value.length,
  key: string(),
  value: long(),
};

test('windowedAggregate advances by its size and emits updates by default', () => {
  const node = only('windowedAggregate', (s) =>
    s.pipe(windowedAggregate({ ...hourly, window: tumbling({ sizeMs: 60, graceMs: 5 }) })),
  );
  expect(node).toMatchObject({
    store: 'hourly',
    sizeMs: 60,
    advanceMs: 60,
    graceMs: 5,
    emit: 'update',
    late: null,
  });
  expect(node.add(node.init(), record)).toBe(1);
});

test('windowedAggregate takes hopping windows and final results', () => {
  const window = { sizeMs: 60, advanceMs: 10, graceMs: 0 };
  const node = only('windowedAggregate', (s) =>
    s.pipe(windowedAggregate({ ...hourly, window, emit: 'final' })),
  );
  expect(node).toMatchObject({ sizeMs: 60, advanceMs: 10, graceMs: 0, emit: 'final' });
});

test('late draws a pipeline of its own below the aggregation', () => {
  const nodes = drawn((s) =>
    s.pipe(
      windowedAggregate({
        ...hourly,
        window: tumbling({ sizeMs: 60, graceMs: 5 }),
        late: (late) => late.pipe(to('late', { key: string(), value: string() })),
      }),
      mapValues((sum) => sum + 1),
    ),
  );
  expect(nodes.map(({ id, parents }) => [id, ...parents])).toEqual([
    ['windowedAggregate-1', 'source-0'],
    ['late-2', 'windowedAggregate-1'],
    ['sink-3', 'late-2'],
    ['mapValues-4', 'windowedAggregate-1'],
  ]);
  expect(nodes[0]).toMatchObject({ late: 'late-2' });
});

test('to lowers to a sink and ends the stream', () => {
  let end: unknown = 'not called';
  const node = only('sink', (s) => {
    end = s.pipe(to('out', { key: string(), value: string() }));
  });
  expect(node).toMatchObject({ topic: 'out', key: string(), value: string() });
  expect(end).toBeUndefined();
});

test('mapAsync has bounds by default and takes its name as id', async () => {
  const node = only('mapAsync', (s) =>
    s.pipe(mapAsync(async (value, r, signal) => [value, r.key, signal.aborted], { name: 'score' })),
  );
  expect(node).toMatchObject({ id: 'score', concurrency: 64, order: 'key', timeoutMs: 5_000 });
  expect(await node.map(record, new AbortController().signal)).toEqual(['v', 'k', false]);
});

test('mapAsync keeps the bounds it is given', () => {
  const bounds = { concurrency: 2, order: 'partition', timeoutMs: 50 } as const;
  expect(only('mapAsync', (s) => s.pipe(mapAsync((value) => value, bounds)))).toMatchObject(bounds);
});

test('an operator of the framework is a function that carries its name', () => {
  expect(count({ name: 'counts', key: string() })[OPERATOR]).toBe("count('counts')");
});

test('a stream used twice has two branches below one node', () => {
  const nodes = drawn((s) => {
    const upper = s.pipe(mapValues((value) => value.toUpperCase()));
    upper.pipe(to('a', { key: string(), value: string() }));
    upper.pipe(to('b', { key: string(), value: string() }));
  });
  expect(nodes.map(({ id, parents }) => [id, ...parents])).toEqual([
    ['mapValues-1', 'source-0'],
    ['sink-2', 'mapValues-1'],
    ['sink-3', 'mapValues-1'],
  ]);
});
