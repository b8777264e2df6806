/** What aggregates and sinks write: changelog, tombstones, times, partitions, headers. */
import { expect, test } from 'vitest';
import {
  aggregate,
  bytes,
  count,
  deadLetter,
  long,
  mapValues,
  peek,
  repartition,
  type Serde,
  selectKey,
  string,
  to,
  topology,
  tumbling,
  windowedAggregate,
  windowedSerde,
} from '../../src/index.ts';
import { murmur2, partitionOf } from '../../src/kafka/records/murmur2.ts';
import { asCount, asText, Bench, written } from './bench.ts';

const text = string();

/** Keeps the last value; `-` deletes. */
function latest() {
  const app = topology('latest');
  app.stream('in', { key: text, value: text, onError: deadLetter('dead') }).pipe(
    aggregate({
      name: 'latest',
      init: (): string | null => null,
      add: (_, value) => (value === '-' ? null : value),
      key: text,
      value: text as Serde<string | null>,
    }),
    to('out', { key: text, value: text }),
  );
  return app;
}

function rowsOf(...rows: readonly (readonly [string, string, number?])[]) {
  return rows.map(([key, value, at = 1_000]) => ({ key, value, at }));
}

test('every update is written to the changelog and emitted, with the latest time that went in', () => {
  const bench = new Bench(latest()).put('in', rowsOf(['a', '1', 5], ['a', '2', 3], ['b', '3', 4]));
  const { step } = bench.work().seal()!;
  const seen = (topic: string) => written(step, topic).map((row) => `${asText(row)}@${row.at}`);
  expect(seen('out')).toEqual(['a=1@5', 'a=2@5', 'b=3@4']);
  expect(seen('latest-changelog')).toEqual(['a=1@5', 'a=2@5', 'b=3@4']);
});

test('a null aggregate deletes the row and is a tombstone everywhere; the next one begins anew', () => {
  const bench = new Bench(latest()).put(
    'in',
    rowsOf(['a', '1', 9], ['a', '-', 5], ['a', '2', 3], ['b', '-', 1]),
  );
  const { step } = bench.work().seal()!;
  const seen = (topic: string) => written(step, topic).map((row) => `${asText(row)}@${row.at}`);
  const rows = ['a=1@9', 'a=null@9', 'a=2@3', 'b=null@1'];
  expect(seen('out')).toEqual(rows);
  expect(seen('latest-changelog')).toEqual(rows);
  expect(bench.stores.keyValue.get('latest')!.size).toBe(1);
});

test('a deleted row comes back when its step is undone', async () => {
  const bench = new Bench(latest());
  bench.put('in', rowsOf(['a', '1']));
  await bench.step('out');
  const before = bench.task.committed;
  bench
    .put('in', rowsOf(['a', '-']))
    .work()
    .seal();
  expect(bench.stores.keyValue.get('latest')!.size).toBe(0);
  await bench.task.resolve(async () => before);
  expect(bench.stores.keyValue.get('latest')!.size).toBe(1);
});

test('a record without a key at an aggregation is a record error', () => {
  const bench = new Bench(latest()).put('in', [
    { key: null, value: '1' },
    { key: 'a', value: '2' },
  ]);
  const { step } = bench.work().seal()!;
  expect(written(step, 'out').map(asText)).toEqual(['a=2']);
  const [dead] = written(step, 'dead');
  expect(asText(dead!)).toBe('null=1');
  expect(String(dead!.headers[1]?.value)).toContain('needs a key');
});

test('an empty key is a key', () => {
  const bench = new Bench(latest()).put('in', rowsOf(['', '1'], ['', '2']));
  const { step } = bench.work().seal()!;
  expect(written(step, 'out').map(asText)).toEqual(['=1', '=2']);
  expect(bench.stores.keyValue.get('latest')!.size).toBe(1);
});

test('the changelog is written to the partition of the task, whatever the key hashes to', () => {
  const bench = new Bench(latest(), { partition: 4 });
  const { step } = bench
    .put('in', rowsOf(['a', '1'], ['b', '1'], ['c', '1']))
    .work()
    .seal()!;
  expect(written(step, 'latest-changelog').map(({ partition }) => partition)).toEqual([4, 4, 4]);
});

function partitionOfKey(key: string | Buffer, partitions: number): number {
  const encoded = Buffer.from(key);
  return partitionOf(murmur2(encoded, 0, encoded.length), partitions);
}

test('a sink partitions by the murmur2 of the key bytes, be they read or made', () => {
  const app = topology('sink');
  const stream = app.stream('in', { key: text, value: text });
  stream.pipe(to('same', { key: text, value: text }));
  stream.pipe(
    selectKey(({ value }) => value),
    to('changed', { key: text, value: text }),
  );
  stream.pipe(
    selectKey(({ key }): Buffer => Buffer.from(key)),
    to('bytes', { key: bytes(), value: text }),
  );
  const keys = Array.from({ length: 50 }, (_, i) => `key-${i}`);
  const bench = new Bench(app, { partitions: { same: 7, changed: 7, bytes: 7 } });
  const { step } = bench
    .put('in', rowsOf(...keys.map((key) => [key, `v-${key}`] as const)))
    .work()
    .seal()!;
  for (const topic of ['same', 'changed', 'bytes']) {
    const rows = written(step, topic);
    expect(rows).toHaveLength(50);
    for (const { key, partition } of rows) expect(partition).toBe(partitionOfKey(key!, 7));
  }
});

test('a null key goes to the partition with the number of its input', () => {
  const app = topology('sink');
  app.stream('in', { key: text, value: text }).pipe(to('out', { key: text, value: text }));
  const seen = [0, 1, 5].map((partition) => {
    const bench = new Bench(app, { partition, partitions: { out: 3 } });
    const { step } = bench
      .put('in', [{ key: null, value: 'x' }])
      .work()
      .seal()!;
    return written(step, 'out').map((row) => `${row.partition} ${asText(row)}`);
  });
  expect(seen).toEqual([['0 null=x'], ['1 null=x'], ['2 null=x']]);
});

test('a windowed key is partitioned by the key alone, so that its windows stay together', () => {
  const app = topology('windows');
  app.stream('in', { key: text, value: text }).pipe(
    windowedAggregate({
      name: 'windows',
      window: tumbling({ sizeMs: 10, graceMs: 1_000 }),
      init: () => 0,
      add: (n) => n + 1,
      key: text,
      value: long(),
    }),
    to('out', { key: windowedSerde(text, 10), value: long() }),
  );
  const bench = new Bench(app, { partitions: { out: 5 } });
  const rows = Array.from({ length: 40 }, (_, i) => [`k${i % 4}`, 'x', 7 * i] as const);
  const { step } = bench
    .put('in', rowsOf(...rows))
    .work()
    .seal()!;
  for (const { key, partition } of written(step, 'out')) {
    expect(partition).toBe(partitionOfKey(key!.subarray(0, -8), 5));
  }
});

test('a value that is not changed leaves as it came, though its serde could not write it so', () => {
  const shouting: Serde<string> = {
    ...text,
    encode: (value, buffer, at) => text.encode(value.toUpperCase(), buffer, at),
  };
  const app = topology('pass');
  const stream = app.stream('in', { key: text, value: shouting });
  stream.pipe(to('same', { key: text, value: shouting }));
  stream.pipe(
    mapValues((value) => value),
    to('mapped', { key: text, value: shouting }),
  );
  const { step } = new Bench(app)
    .put('in', rowsOf(['a', 'quiet']))
    .work()
    .seal()!;
  expect(written(step, 'same').map(asText)).toEqual(['a=quiet']);
  expect(written(step, 'mapped').map(asText)).toEqual(['a=QUIET']);
});

test('headers and the time of a record go with it, those of an aggregate’s record too', () => {
  const app = topology('headers');
  const stream = app.stream('in', { key: text, value: text });
  stream.pipe(to('out', { key: text, value: text }));
  stream.pipe(count({ name: 'counts', key: text }), to('counted', { key: text, value: long() }));
  const headers = [
    { key: 'h', value: Buffer.from('1') },
    { key: 'h', value: null },
  ];
  const bench = new Bench(app).put('in', [{ key: 'a', value: 'x', at: 77, headers }]);
  const { step } = bench.work().seal()!;
  for (const topic of ['out', 'counted']) {
    expect(written(step, topic)).toMatchObject([{ at: 77, headers }]);
  }
  expect(written(step, 'counts-changelog')).toMatchObject([{ at: 77, headers: [] }]);
});

test('a repartition topic gets the records under their new keys', () => {
  const app = topology('by-value');
  app.stream('in', { key: text, value: text }).pipe(
    selectKey(({ value }) => value),
    repartition({ name: 'by-value', key: text, value: text }),
    count({ name: 'counts', key: text }),
  );
  const bench = new Bench(app, { partitions: { 'by-value': 3 } });
  const { step } = bench
    .put('in', rowsOf(['a', 'x'], ['b', 'x'], ['c', 'y']))
    .work()
    .seal()!;
  const rows = written(step, 'by-value');
  expect(rows.map(asText).sort()).toEqual(['x=x', 'x=x', 'y=y']);
  for (const { key, partition } of rows) expect(partition).toBe(partitionOfKey(key!, 3));
});

test('a record without a key is refused before it is in a repartition topic, where no policy is', () => {
  const app = topology('by-value');
  app.stream('in', { key: text, value: text, onError: deadLetter('dead') }).pipe(
    selectKey(({ value }) => (value === 'none' ? null : value) as string),
    repartition({ name: 'by-value', key: text, value: text }),
    count({ name: 'counts', key: text }),
  );
  const bench = new Bench(app).put('in', rowsOf(['a', 'none'], ['b', 'x']));
  const { step } = bench.work().seal()!;
  expect(written(step, 'by-value').map(asText)).toEqual(['x=x']);
  expect(written(step, 'dead').map(asText)).toEqual(['a=none']);
});

test('a count survives values beyond the scratch buffers and keys of many sizes', () => {
  const app = topology('big');
  app
    .stream('in', { key: text, value: text })
    .pipe(count({ name: 'counts', key: text }), to('out', { key: text, value: long() }));
  const keys = [1, 100, 5_000, 70_000, 1].map((length) => 'k'.repeat(length));
  const bench = new Bench(app).put('in', rowsOf(...keys.map((key) => [key, 'x'] as const)));
  const { step } = bench.work().seal()!;
  expect(
    written(step, 'out').map(({ key, value }) => [key!.length, Number(value!.readBigInt64BE())]),
  ).toEqual([
    [1, 1],
    [100, 1],
    [5_000, 1],
    [70_000, 1],
    [1, 2],
  ]);
  expect(asCount(written(step, 'counts-changelog')[4]!)).toBe('k=2');
});

test('mapValues in front of a sink writes what it writes with an operator in between', () => {
  const built = (between: 'nothing' | 'peek') => {
    const app = topology('mapped');
    const mapped = app
      .stream('in', { key: text, value: text, onError: deadLetter('dead') })
      .pipe(
        mapValues((v, { key }): string | null => (v === '-' ? null : `${key}${v}`.toUpperCase())),
      );
    const sink = to('out', { key: text, value: text as Serde<string | null> });
    if (between === 'peek')
      mapped.pipe(
        peek(() => {}),
        sink,
      );
    else mapped.pipe(sink);
    return app;
  };
  const headers = [{ key: 'h', value: Buffer.from('1') }];
  const rows = [
    { key: 'a', value: 'x', at: 7, headers },
    { key: 'b', value: '-' },
    { key: null, value: 'y' },
    { key: 'd', value: null },
    { key: 'c', value: 'z' },
  ];
  const outcome = (between: 'nothing' | 'peek') => {
    const bench = new Bench(built(between), { partition: 1, partitions: { out: 4 } });
    const { step } = bench.put('in', rows).work().seal()!;
    return [written(step, 'out'), written(step, 'dead')];
  };
  const [out, dead] = outcome('nothing');
  expect([out, dead]).toEqual(outcome('peek'));
  expect(out!.map(asText)).toEqual(expect.arrayContaining(['a=AX', 'b=null', 'c=CZ']));
});
