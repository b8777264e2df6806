/** Which record runs next, when a task waits, and what is made ready before a chunk is used. */
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import {
  avro,
  deadLetter,
  EscapementError,
  fail,
  mapValues,
  memoryRegistry,
  merge,
  retry,
  type Serde,
  skip,
  string,
  to,
  topology,
} from '../../src/index.ts';
import { systemPorts } from '../../src/ports.ts';
import type { RecordPolicy } from '../../src/topology/node.ts';
import { asText, Bench, written } from './bench.ts';

const text = string();

/** A task over the topics `a`, `b` and `c`, or the first of them. */
function merging(count: 1 | 2 | 3, value: Serde<string> = text, onError: RecordPolicy = fail()) {
  const app = topology('merging');
  const [first, ...rest] = ['a', 'b', 'c']
    .slice(0, count)
    .map((topic) => app.stream(topic, { key: text, value, onError }));
  rest
    .reduce((all, stream) => all.pipe(merge(stream)), first!)
    .pipe(to('out', { key: text, value: text }));
  return app;
}

function rowsOf(topic: string, times: readonly number[]) {
  return times.map((at) => ({ key: topic, value: String(at), at }));
}

/** What has run and is not committed. */
function ran(bench: Bench): string[] {
  const asked = bench.seal();
  return asked === null ? [] : written(asked.step, 'out').map(asText);
}

test('the lowest time among the heads runs first, each input in its own order', () => {
  const inputs = fc.tuple(
    fc.array(fc.nat({ max: 9 })),
    fc.array(fc.nat({ max: 9 })),
    fc.array(fc.nat({ max: 9 })),
  );
  fc.assert(
    fc.property(inputs, (times) => {
      const bench = new Bench(merging(3));
      const left = ['a', 'b', 'c'].map((topic, i) => {
        if (times[i]!.length > 0) bench.put(topic, rowsOf(topic, times[i]!));
        else bench.heard(topic);
        return times[i]!.map((at) => ({ topic, at }));
      });
      const expected: string[] = [];
      for (;;) {
        const heads = left.flatMap((rows) => rows.slice(0, 1));
        if (heads.length === 0) break;
        const lowest = heads.reduce((low, each) => (each.at < low.at ? each : low));
        left.find((rows) => rows[0] === lowest)!.shift();
        expected.push(`${lowest.topic}=${lowest.at}`);
      }
      expect(ran(bench.work())).toEqual(expected);
    }),
    { numRuns: 100 },
  );
});

test('more is at hand until a chunk was seen to its end', () => {
  const { queue } = new Bench(merging(1)).put('a', rowsOf('a', [1, 2])).run;
  const seen = [queue.hasMore];
  while (queue.next() !== null) seen.push(queue.hasMore);
  expect([...seen, queue.hasMore]).toEqual([true, true, true, false]);
});

test('a task waits for an input that it has heard nothing of', () => {
  const bench = new Bench(merging(2)).put('a', rowsOf('a', [1])).work();
  expect(ran(bench)).toEqual([]);
  bench.heard('b').work();
  expect(ran(bench)).toEqual(['a=1']);
});

test('a task waits for an input of which the broker holds more than was fetched', () => {
  const bench = new Bench(merging(2)).put('a', rowsOf('a', [1, 5]));
  bench.feed('b').lastStableOffset = 1;
  bench.work();
  expect(ran(bench)).toEqual([]);
  bench.put('b', rowsOf('b', [3])).work();
  expect(ran(bench)).toEqual(['a=1', 'b=3', 'a=5']);
});

test('one input alone never waits', () => {
  const bench = new Bench(merging(1)).put('a', rowsOf('a', [2]));
  bench.feed('a').lastStableOffset = 100;
  expect(ran(bench.work())).toEqual(['a=2']);
});

test('an input whose chunks hold no record is passed, and its position committed', () => {
  const bench = new Bench(merging(2))
    .put('a', [], 3)
    .put('b', rowsOf('b', [1]), 1)
    .work();
  const { offsets } = bench.seal()!.step;
  expect(offsets.partitions.map(({ topic, offset }) => `${topic}@${offset}`)).toEqual([
    'a@3',
    'b@2',
  ]);
});

test('a position is not passed before the records in front of it ran', () => {
  const bench = new Bench(merging(2)).put('a', rowsOf('a', [1, 2]), 1).put('b', [], 2);
  bench.feed('b').lastStableOffset = 5;
  bench.work();
  expect(bench.seal()!.step.offsets.partitions.map(({ offset }) => offset)).toEqual([0, 2]);
});

/** A serde with a schema id, the first byte; made ready when the test says so. */
class Framed implements Serde<string> {
  readonly name = 'framed';
  readonly asked: number[][] = [];
  readonly ready = new Set<number>();
  #settle: { resolve(): void; reject(error: Error): void }[] = [];

  decode(buffer: Buffer, start: number, end: number): string {
    const id = buffer[start]!;
    if (!this.ready.has(id)) throw new Error(`id ${id} was not made ready`);
    return buffer.toString('utf8', start + 1, end);
  }

  encode(value: string, buffer: Buffer, at: number): number {
    return text.encode(value, buffer, at);
  }

  readonly schemas = {
    idOf: (buffer: Buffer, start: number) => buffer[start] ?? -1,
    isReady: (id: number) => this.ready.has(id),
    prepare: (ids: readonly number[]) => {
      this.asked.push([...ids]);
      return new Promise<void>((resolve, reject) => {
        this.#settle.push({ resolve, reject });
      }).then(() => {
        for (const id of ids) this.ready.add(id);
      });
    },
    start: async () => {},
  };

  async answer(error?: Error): Promise<void> {
    const { resolve, reject } = this.#settle.shift()!;
    if (error === undefined) resolve();
    else reject(error);
    await systemPorts.timers.turn();
  }
}

function framed(id: number, value: string) {
  return { key: 'k', value: Buffer.concat([Buffer.from([id]), Buffer.from(value)]) };
}

test('the schemas of a chunk are made ready before its first record, each asked for once', async () => {
  const serde = new Framed();
  serde.ready.add(1);
  const bench = new Bench(merging(1, serde));
  bench.put('a', [framed(1, 'x'), framed(2, 'y'), framed(3, 'z'), framed(2, 'w')]);
  bench.put('a', [framed(2, 'v')]).work();
  expect(serde.asked).toEqual([[2, 3]]);
  expect(ran(bench)).toEqual([]);
  const wakes = bench.wakes;
  await serde.answer();
  expect(bench.wakes).toBeGreaterThan(wakes);
  expect(ran(bench.work())).toEqual(['k=x', 'k=y', 'k=z', 'k=w', 'k=v']);
  expect(serde.asked).toHaveLength(1);
});

test('a task waits for an input whose schemas are being made ready', async () => {
  const serde = new Framed();
  const bench = new Bench(merging(2, serde));
  bench
    .put('a', [framed(1, 'x')])
    .heard('b')
    .work();
  serde.ready.add(2);
  bench.put('b', [framed(2, 'y')]).work();
  expect(ran(bench)).toEqual([]);
  await serde.answer();
  expect(ran(bench.work())).toEqual(['k=x', 'k=y']);
});

test('a registry that is away for a while holds the input back and stops nothing', async () => {
  const serde = new Framed();
  let tick = (): void => {};
  const after = (_: number, callback: () => void) => {
    tick = callback;
    return { cancel: () => {} };
  };
  const sleep = () =>
    new Promise<void>((resolve) => {
      tick = resolve;
    });
  const ports = { ...systemPorts, timers: { ...systemPorts.timers, after, sleep } };
  const bench = new Bench(merging(1, serde), { ports }).put('a', [framed(1, 'x')]).work();
  for (let i = 0; i < 3; i += 1) {
    await serde.answer(new EscapementError('REGISTRY_UNAVAILABLE', 'the registry is down'));
    tick();
    await systemPorts.timers.turn();
  }
  expect(bench.failures).toEqual([]);
  await serde.answer();
  expect(ran(bench.work())).toEqual(['k=x']);
});

test('a registry that is configured wrongly stops the instance with its reason', async () => {
  const serde = new Framed();
  const bench = new Bench(merging(1, serde)).put('a', [framed(1, 'x')]).work();
  const error = new EscapementError('OPTION_INVALID', 'no such registry');
  await serde.answer(error);
  expect(bench.failures).toMatchObject([
    { code: 'OPTION_INVALID', cause: error, at: { topic: 'a', partition: 0 } },
  ]);
});

/** Strings in Avro's framing; of the ids 1 and 2 the registry refuses the second. */
async function refusing() {
  const registry = memoryRegistry();
  await registry.register('s', '"string"');
  return avro<string>({
    subject: 's',
    schema: '"string"',
    registry: {
      ...registry,
      schemaById: async (id) => {
        if (id === 1) return registry.schemaById(1);
        throw new EscapementError('SCHEMA_INCOMPATIBLE', 'no use', { decision: 'record' });
      },
    },
  });
}

function avroRow(id: number, value: string) {
  return {
    key: 'k',
    value: Buffer.concat([Buffer.from([0, 0, 0, 0, id, 2 * value.length]), Buffer.from(value)]),
  };
}

const UNUSABLE = [avroRow(1, 'x'), avroRow(2, 'y'), avroRow(1, 'z')];

async function overUnusable(onError: RecordPolicy): Promise<Bench> {
  const app = topology('unusable');
  app.stream('a', { key: text, value: await refusing(), onError }).pipe(
    mapValues((value) => value.toLowerCase()),
    to('out', { key: text, value: text }),
  );
  const bench = new Bench(app, { partitions: { dead: 1 } }).put('a', UNUSABLE).work();
  await vi.waitFor(() => expect(bench.wakes).toBeGreaterThan(0), { timeout: 60_000 });
  return bench;
}

test.each([
  ['skip', skip()],
  ['retry', retry(2, skip())],
  ['dead-letter', deadLetter('dead')],
] as const)(
  'a schema that cannot be used fails the records that name it, by their policy (%s)',
  async (kind, policy) => {
    const bench = (await overUnusable(policy)).work();
    const { step } = bench.seal()!;
    expect(written(step, 'out').map(asText)).toEqual(['k=x', 'k=z']);
    expect(step.offsets.partitions).toMatchObject([{ topic: 'a', offset: 3 }]);
    const dead = written(step, 'dead');
    expect(dead.map(({ value }) => value)).toEqual(
      kind === 'dead-letter' ? [UNUSABLE[1]!.value] : [],
    );
    if (kind === 'dead-letter') {
      const headers = dead[0]!.headers.map(({ key, value }) => [key, String(value)]);
      expect(headers).toContainEqual(['escapement.error.code', 'RECORD_UNDECODABLE']);
    }
    expect(bench.failures).toEqual([]);
  },
);

test('a schema that cannot be used stops under fail, with the coordinates of the record', async () => {
  const bench = await overUnusable(fail());
  expect(() => bench.work()).toThrowError(
    expect.objectContaining({
      code: 'RECORD_UNDECODABLE',
      at: { task: 'a_0', topic: 'a', partition: 0, offset: 1 },
    }),
  );
});

test('a serde that refuses one id is asked for each by itself, and the records decide', async () => {
  const serde = new Framed();
  const bench = new Bench(merging(1, serde, skip()))
    .put('a', [framed(1, 'x'), framed(2, 'y'), framed(1, 'z')])
    .work();
  const refusal = new EscapementError('SCHEMA_UNKNOWN', 'one of them');
  await serde.answer(refusal);
  await serde.answer();
  await serde.answer(refusal);
  expect(serde.asked).toEqual([[1, 2], [1], [2]]);
  expect(bench.failures).toEqual([]);
  expect(ran(bench.work())).toEqual(['k=x', 'k=z']);
});

test('a registry that answers after the task has ended stops nothing', async () => {
  const serde = new Framed();
  const bench = new Bench(merging(1, serde)).put('a', [framed(1, 'x')]).work();
  bench.task.release();
  await serde.answer(new EscapementError('OPTION_INVALID', 'no such registry'));
  expect(bench.failures).toEqual([]);
});

test('the error of an input stops the task with its reason', () => {
  const bench = new Bench(merging(1));
  const error = new EscapementError('OFFSET_OUT_OF_RANGE', 'gone', { decision: 'stop' });
  bench.put('a', rowsOf('a', [1]));
  bench.feed('a').error = error;
  expect(() => bench.work()).toThrowError(error);
});
