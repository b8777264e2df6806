/** Windowed aggregation against a slow model of the rules of Kafka Streams, whatever is committed when. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  long,
  mapAsync,
  string,
  to,
  topology,
  tumbling,
  windowedAggregate,
  windowedSerde,
} from '../../src/index.ts';
import { brokerError, KafkaErrorCode } from '../../src/kafka/protocol/error-codes.ts';
import { systemPorts } from '../../src/ports.ts';
import { Bench, type Written, written } from './bench.ts';

const text = string();

interface Shape {
  readonly sizeMs: number;
  readonly advanceMs: number;
  readonly graceMs: number;
  readonly emit: 'update' | 'final';
  readonly stage: 'first' | 'second';
}

function counting({ sizeMs, advanceMs, graceMs, emit, stage }: Shape) {
  const app = topology('windows');
  const source = app.stream('in', { key: text, value: text });
  const stream = stage === 'first' ? source : source.pipe(mapAsync(async (value) => value));
  stream.pipe(
    windowedAggregate({
      name: 'windows',
      window: { sizeMs, advanceMs, graceMs },
      init: () => 0,
      add: (n) => n + 1,
      key: text,
      value: long(),
      emit,
      late: (late) => late.pipe(to('late', { key: text, value: text })),
    }),
    to('out', { key: windowedSerde(text, sizeMs), value: long() }),
  );
  return app;
}

interface Event {
  readonly key: string;
  readonly at: number;
}

/** `key@start=count` in the order of emission, and the late ones as `key@time`. */
function modelOf(events: readonly Event[], shape: Shape): { out: string[]; late: string[] } {
  const { sizeMs, advanceMs, graceMs, emit } = shape;
  const out: string[] = [];
  const late: string[] = [];
  const rows = new Map<number, Map<string, { count: number; emitted: boolean }>>();
  let streamTime = -1;
  for (const { key, at } of events) {
    streamTime = Math.max(streamTime, at);
    let accepted = false;
    for (let start = 0; start <= at; start += advanceMs) {
      if (at >= start + sizeMs || start + sizeMs + graceMs <= streamTime) continue;
      accepted = true;
      const window = rows.get(start) ?? new Map();
      rows.set(start, window);
      const row = window.get(key) ?? { count: 0, emitted: false };
      window.set(key, row);
      row.count += 1;
      if (emit === 'update') out.push(`${key}@${start}=${row.count}`);
    }
    if (!accepted) late.push(`${key}@${at}`);
    if (emit === 'update') continue;
    for (const start of [...rows.keys()].sort((a, b) => a - b)) {
      if (start + sizeMs + graceMs > streamTime) continue;
      const window = rows.get(start)!;
      for (const name of [...window.keys()].sort()) {
        const row = window.get(name)!;
        if (!row.emitted) out.push(`${name}@${start}=${row.count}`);
        row.emitted = true;
      }
    }
  }
  return { out, late };
}

function shown({ key, value }: Written): string {
  const start = key!.readBigInt64BE(key!.length - 8);
  return `${key!.subarray(0, -8)}@${start}=${value!.readBigInt64BE()}`;
}

const shape = fc
  .record({
    advanceMs: fc.constantFrom(5, 10),
    more: fc.nat({ max: 2 }),
    graceMs: fc.nat({ max: 15 }),
    emit: fc.constantFrom<Shape['emit'][]>('update', 'final'),
    stage: fc.constantFrom<Shape['stage'][]>('first', 'second'),
  })
  .map(({ more, ...rest }) => ({ ...rest, sizeMs: rest.advanceMs * (1 + more) }));

const event = fc.record({
  key: fc.constantFrom('a', 'b', 'c'),
  at: fc.nat({ max: 90 }),
  next: fc.constantFrom<('go on' | 'commit' | 'abort')[]>('go on', 'go on', 'commit', 'abort'),
});

test('results and late records are those of the model, through commits and aborts', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 40 }), shape, async (events, shaped) => {
      const bench = new Bench(counting(shaped));
      const out: string[] = [];
      const late: string[] = [];
      let committed = 0;
      const put = async (from: number, end: number): Promise<void> => {
        const rows = events.slice(from, end).map(({ key, at }) => ({ key, value: 'x', at }));
        if (rows.length > 0) bench.put('in', rows);
        bench.work();
        if (shaped.stage === 'second') await systemPorts.timers.turn();
      };
      const commit = async (): Promise<void> => {
        const asked = bench.seal();
        if (asked === null) return;
        asked.confirm();
        await bench.task.settled();
        out.push(...written(asked.step, 'out').map(shown));
        late.push(...written(asked.step, 'late').map(({ key, at }) => `${key}@${at}`));
        committed = asked.step.offsets.partitions[0]!.offset;
      };
      for (let i = 0; i < events.length; i += 1) {
        await put(i, i + 1);
        const { next } = events[i]!;
        if (next === 'commit') await commit();
        if (next !== 'abort') continue;
        const before = bench.task.committed;
        bench.seal()!.refuse(brokerError(KafkaErrorCode.ILLEGAL_GENERATION, 'TxnOffsetCommit'));
        await bench.task.settled();
        expect(await bench.task.resolve(async () => before)).toBe('undone');
        await put(committed, i + 1);
      }
      await commit();
      expect({ out, late }).toEqual(modelOf(events, shaped));
    }),
    { numRuns: 200 },
  );
});

const HOUR: Shape = { sizeMs: 60, advanceMs: 60, graceMs: 10, emit: 'final', stage: 'first' };

async function outOf(bench: Bench, ...events: readonly (readonly [string, number])[]) {
  bench.put(
    'in',
    events.map(([key, at]) => ({ key, value: 'x', at })),
  );
  const asked = bench.work().seal()!;
  asked.confirm();
  await bench.task.settled();
  return {
    out: written(asked.step, 'out').map(shown),
    late: written(asked.step, 'late').map(({ key }) => String(key)),
  };
}

test('a window takes a record one millisecond before its end plus grace, and closes at it', async () => {
  const bench = new Bench(counting(HOUR));
  await outOf(bench, ['a', 0], ['b', 69]);
  expect(await outOf(bench, ['a', 59])).toEqual({ out: [], late: [] });
  expect(await outOf(bench, ['b', 70])).toEqual({ out: ['a@0=2'], late: [] });
  expect(await outOf(bench, ['a', 59])).toEqual({ out: [], late: ['a'] });
});

test('the record that closes a window takes part in its own one alone', async () => {
  const bench = new Bench(counting({ ...HOUR, graceMs: 0 }));
  await outOf(bench, ['a', 30]);
  expect(await outOf(bench, ['a', 60])).toEqual({ out: ['a@0=1'], late: [] });
});

test('one record closes many windows, by start, then by the bytes of the key', async () => {
  const bench = new Bench(counting(HOUR));
  await outOf(bench, ['b', 61], ['ä', 1], ['a', 62], ['z', 2], ['B', 3]);
  const { out } = await outOf(bench, ['x', 1_000]);
  expect(out).toEqual(['B@0=1', 'z@0=1', 'ä@0=1', 'a@60=1', 'b@60=1']);
});

test('a null value closes windows and does no more', async () => {
  const bench = new Bench(counting(HOUR));
  await outOf(bench, ['a', 0]);
  bench.put('in', [{ key: 'b', value: null, at: 500 }]);
  const { step } = bench.work().seal()!;
  expect(written(step, 'out').map(shown)).toEqual(['a@0=1']);
  expect(step.offsets.partitions[0]?.metadata).toMatch(/;500$/);
});

test('a result carries the latest time that went in, an emitted window its own', async () => {
  const bench = new Bench(counting(HOUR));
  bench.put('in', [
    { key: 'a', value: 'x', at: 40 },
    { key: 'a', value: 'x', at: 20 },
    { key: 'b', value: 'x', at: 300 },
  ]);
  const { step } = bench.work().seal()!;
  expect(written(step, 'out').map(({ at }) => at)).toEqual([40]);
  expect(written(step, 'windows-changelog').map(({ at }) => at)).toEqual([40, 40, 300]);
});

test('windows that closed before the committed time are dropped from memory', async () => {
  const bench = new Bench(counting(HOUR));
  const store = bench.stores.window.get('windows')!;
  await outOf(bench, ['a', 0], ['a', 70], ['a', 129]);
  expect([...store.entries('committed')].map(({ windowStart }) => windowStart)).toEqual([60, 120]);
});

test('a late record without a pipeline of its own is dropped, and only moves the offset', async () => {
  const app = topology('late');
  app.stream('in', { key: text, value: text }).pipe(
    windowedAggregate({
      name: 'windows',
      window: tumbling({ sizeMs: 10, graceMs: 0 }),
      init: () => 0,
      add: (n) => n + 1,
      key: text,
      value: long(),
    }),
    to('out', { key: windowedSerde(text, 10), value: long() }),
  );
  const bench = new Bench(app);
  expect((await outOf(bench, ['a', 50], ['a', 5])).out).toEqual(['a@50=1']);
  expect(bench.task.committed.offsets).toEqual([2]);
});
