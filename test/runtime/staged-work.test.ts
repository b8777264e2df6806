/** Asynchronous work of a task: what is begun, in which order its results go on, how it ends. */
import { first } from 'rxjs';
import { expect, test } from 'vitest';
import {
  flatMapValues,
  mapAsync,
  merge,
  type Serde,
  selectKey,
  skip,
  string,
  to,
  topology,
} from '../../src/index.ts';
import { systemPorts } from '../../src/ports.ts';
import { asText, Bench, written } from './bench.ts';

const text = string();

/** Calls that the test settles. */
class Calls {
  readonly begun: string[] = [];
  readonly #settle = new Map<string, { resolve(value: string): void; reject(e: Error): void }>();

  readonly call = (value: string): Promise<string> => {
    this.begun.push(value);
    return new Promise((resolve, reject) => this.#settle.set(value, { resolve, reject }));
  };

  async end(value: string, how: 'resolve' | 'reject' = 'resolve'): Promise<void> {
    const { resolve, reject } = this.#settle.get(value)!;
    if (how === 'resolve') resolve(value);
    else reject(new Error(`${value} failed`));
    await systemPorts.timers.turn();
  }
}

function rowsOf(...values: readonly string[]) {
  return values.map((value) => ({ key: 'k', value }));
}

test('a failure does not begin the waiting calls of the records it undoes', async () => {
  const calls = new Calls();
  const app = topology('calls');
  app
    .stream('in', { key: text, value: text, onError: skip() })
    .pipe(
      mapAsync(calls.call, { concurrency: 2, order: 'partition' }),
      to('out', { key: text, value: text }),
    );
  const bench = new Bench(app).put('in', rowsOf('1', '2', '3', '4', '5', '6', '7', '8')).work();
  expect(calls.begun).toEqual(['1', '2']);
  await calls.end('1', 'reject');
  expect(calls.begun).toEqual(['1', '2']);
  bench.work();
  expect(calls.begun).toEqual(['1', '2', '2', '3']);
});

test('a cancelled task begins no call', async () => {
  const calls = new Calls();
  const app = topology('calls');
  app
    .stream('in', { key: text, value: text })
    .pipe(mapAsync(calls.call, { concurrency: 1 }), to('out', { key: text, value: text }));
  const bench = new Bench(app).put('in', rowsOf('1', '2', '3')).work();
  bench.run.execution.cancel();
  await calls.end('1');
  expect(calls.begun).toEqual(['1']);
});

test('a record whose first call throws at once begins no further ones', () => {
  const begun: string[] = [];
  const app = topology('calls');
  app.stream('in', { key: text, value: text, onError: skip() }).pipe(
    flatMapValues((value) => value.split(' ')),
    mapAsync(
      (value) => {
        begun.push(value);
        if (value === 'bad') throw new Error('no');
        return value;
      },
      { order: 'partition' },
    ),
    to('out', { key: text, value: text }),
  );
  new Bench(app).put('in', rowsOf('bad good better')).work();
  expect(begun).toEqual(['bad']);
});

test.each([
  ['left first', ['left', 'right']],
  ['right first', ['right', 'left']],
])('results of two branches are in the order of the topology: %s', async (_, ends) => {
  const calls = new Calls();
  const app = topology('branches');
  const stream = app.stream('in', { key: text, value: text });
  const out = { key: text, value: text };
  stream.pipe(
    mapAsync(() => calls.call('left')),
    to('out', out),
  );
  stream.pipe(
    mapAsync(() => calls.call('right')),
    to('out', out),
  );
  const bench = new Bench(app).put('in', rowsOf('1')).work();
  for (const end of ends) await calls.end(end);
  const { step } = bench.seal()!;
  expect(written(step, 'out').map(asText)).toEqual(['k=left', 'k=right']);
});

test('a key of any shape has a lane', async () => {
  const calls = new Calls();
  const key: Serde<{ id: bigint }> = { name: 'ids', decode: never, encode: () => 0 };
  const app = topology('lanes');
  app.stream('in', { key: text, value: text }).pipe(
    selectKey(({ value }) => ({ id: BigInt(value.length) })),
    mapAsync(calls.call),
    to('out', { key, value: text }),
  );
  const bench = new Bench(app).put('in', rowsOf('a', 'b', 'cc')).work();
  expect(calls.begun).toEqual(['a', 'cc']);
  await calls.end('a');
  expect(calls.begun).toEqual(['a', 'cc', 'b']);
  expect(bench.task.failure).toBeNull();
});

function never(): never {
  throw new Error('never decoded');
}

test('a segment that must have a record is not run for records of another stream', () => {
  const app = topology('two');
  const left = app.stream('left', { key: text, value: text }).pipe(first());
  const right = app.stream('right', { key: text, value: text });
  right.pipe(merge(left as typeof right), to('out', { key: text, value: text }));
  const bench = new Bench(app).put('right', rowsOf('r')).heard('left').work();
  expect(bench.task.failure).toBeNull();
  expect(written(bench.seal()!.step, 'out').map(asText)).toEqual(['k=r']);
});

test('a null value that is dropped reaches no segment, not even one that must have a record', () => {
  const app = topology('nulls');
  app.stream('in', { key: text, value: text }).pipe(first(), to('out', { key: text, value: text }));
  const bench = new Bench(app).put('in', [{ key: 'k', value: null }, ...rowsOf('a')]).work();
  expect(bench.task.failure).toBeNull();
  expect(written(bench.seal()!.step, 'out').map(asText)).toEqual(['k=a']);
});

test('what fails while results are taken over ends the task, whoever called', async () => {
  const calls = new Calls();
  const app = topology('calls');
  app
    .stream('in', { key: text, value: text })
    .pipe(mapAsync(calls.call), to('out', { key: text, value: text }));
  const bench = new Bench(app).put('in', rowsOf('1')).work();
  bench.run.scope.append = () => {
    throw new Error('out of memory');
  };
  await calls.end('1');
  expect(bench.task.failure).toMatchObject({ code: 'INVARIANT_VIOLATED', decision: 'stop' });
  expect(bench.wakes).toBeGreaterThan(0);
});

test('a position behind the last record is committed once the records before it are released', async () => {
  const calls = new Calls();
  const app = topology('calls');
  app
    .stream('in', { key: text, value: text })
    .pipe(mapAsync(calls.call), to('out', { key: text, value: text }));
  const bench = new Bench(app).put('in', rowsOf('1'), 1).work();
  expect(bench.seal()).toBeNull();
  await calls.end('1');
  const asked = bench.work().seal()!;
  expect(asked.step.offsets.partitions[0]?.offset).toBe(2);
});

test('waiting calls of one key that end at once do not pile up on the stack', async () => {
  const calls = new Calls();
  const app = topology('calls');
  app.stream('in', { key: text, value: text }).pipe(
    flatMapValues(() => Array.from({ length: 5_000 }, (_, i) => String(i))),
    mapAsync((value) => (value === '0' ? calls.call(value) : value)),
    to('out', { key: text, value: text }),
  );
  const bench = new Bench(app).put('in', rowsOf('1')).work();
  await calls.end('0');
  expect(bench.task.failure).toBeNull();
  expect(written(bench.seal()!.step, 'out')).toHaveLength(5_000);
});
