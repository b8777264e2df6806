/** One task and its steps: what a commit holds, and what every outcome of it leaves behind. */
import { expect, test } from 'vitest';
import { aggregate, count, long, string, to, topology } from '../../src/index.ts';
import { brokerError, KafkaErrorCode } from '../../src/kafka/protocol/error-codes.ts';
import { type Ports, systemPorts } from '../../src/ports.ts';
import type { Committed } from '../../src/runtime/committed.ts';
import { asCount, Bench, type BenchOptions, written } from './bench.ts';

const text = string();
const LOST = brokerError(KafkaErrorCode.NETWORK_EXCEPTION, 'EndTxn');

function counting() {
  const app = topology('count');
  app
    .stream('in', { key: text, value: text })
    .pipe(count({ name: 'counts', key: text }), to('out', { key: text, value: long() }));
  return app;
}

function bench(options: BenchOptions = {}): Bench {
  return new Bench(counting(), options);
}

function rows(...keys: readonly string[]) {
  return keys.map((key, i) => ({ key, value: 'x', at: 1_000 + i }));
}

/** The committed counts of the store, by key. */
function counts({ stores }: Bench): Record<string, number> {
  const store = stores.keyValue.get('counts')!;
  return Object.fromEntries(
    [...store.entries('committed')].map(({ key, value }) => [
      key.toString(),
      Number(value.readBigInt64BE()),
    ]),
  );
}

/** What a committed step left in the group's offsets. */
function committedBy({ step }: Bench['steps'][number]): Committed {
  const [, stepId, time] = step.offsets.partitions[0]!.metadata.split(';');
  return {
    stepId: stepId!,
    offsets: step.offsets.partitions.map(({ offset }) => offset),
    times: step.offsets.partitions.map(() => Number(time)),
  };
}

test('a step holds outputs, changelog, offsets and time of the records that ran before it', async () => {
  const task = bench()
    .put('in', rows('a', 'b', 'a'), 1)
    .work();
  const asked = task.seal()!;
  expect(written(asked.step, 'out').map(asCount)).toEqual(['a=1', 'b=1', 'a=2']);
  expect(written(asked.step, 'counts-changelog').map(asCount)).toEqual(['a=1', 'b=1', 'a=2']);
  const [offset] = asked.step.offsets.partitions;
  expect(offset).toMatchObject({ topic: 'in', partition: 0, offset: 4 });
  expect(offset!.metadata).toMatch(/^e1;[\w.-]+;1002$/);
  expect(counts(task)).toEqual({});
  asked.confirm();
  await task.task.settled();
  expect(counts(task)).toEqual({ a: 2, b: 1 });
});

test('nothing is sent while a step is under way, and the next one fills meanwhile', async () => {
  const task = bench().put('in', rows('a')).work();
  const first = task.seal()!;
  task.put('in', rows('a', 'b')).work();
  expect(task.seal()).toBeNull();
  first.confirm();
  await task.task.settled();
  expect(counts(task)).toEqual({ a: 1 });
  const second = task.seal()!;
  expect(written(second.step, 'out').map(asCount)).toEqual(['a=2', 'b=1']);
  expect(second.step.offsets.partitions[0]?.offset).toBe(3);
});

test('a task without records commits nothing', () => {
  expect(bench().work().seal()).toBeNull();
});

test('a step found committed becomes visible, and what ran beyond it stays staged', async () => {
  const task = bench().put('in', rows('a')).work();
  const first = task.seal()!;
  task.put('in', rows('a', 'b')).work();
  first.refuse(LOST);
  await task.task.settled();
  expect(task.task.failure).toBe(LOST);
  expect(task.task.process(Number.POSITIVE_INFINITY)).toBe('idle');
  expect(await task.task.resolve(async () => committedBy(first))).toBe('committed');
  expect(counts(task)).toEqual({ a: 1 });
  const second = task.seal()!;
  expect(written(second.step, 'out').map(asCount)).toEqual(['a=2', 'b=1']);
  second.confirm();
  await task.task.settled();
  expect(counts(task)).toEqual({ a: 2, b: 1 });
});

test('a step found not committed is undone with all that ran beyond it, and runs again', async () => {
  const task = bench().put('in', rows('a', 'b'));
  const first = task.work().seal()!;
  first.confirm();
  await task.task.settled();
  const second = task.put('in', rows('a')).work().seal()!;
  task.put('in', rows('b')).work();
  second.refuse(LOST);
  await task.task.settled();
  expect(await task.task.resolve(async () => committedBy(first))).toBe('undone');
  expect(counts(task)).toEqual({ a: 1, b: 1 });
  expect(task.feed('in').position).toBe(2);
  const again = task.put('in', rows('a', 'b')).work().seal()!;
  expect(written(again.step, 'out').map(asCount)).toEqual(['a=2', 'b=2']);
  expect(committedBy(again).stepId).not.toBe(committedBy(second).stepId);
});

test.each<[string, (last: Committed) => Committed]>([
  ['another step id', (last) => ({ ...last, stepId: 'theirs.1' })],
  [
    'the offset of our step under another id',
    (last) => ({ ...last, stepId: 'theirs.2', offsets: [2] }),
  ],
  ['another offset under the same id', (last) => ({ ...last, offsets: [0] })],
  ['offsets written by hand', () => ({ stepId: '', offsets: [1], times: [-1] })],
])('%s means that another owner ran', async (_, found) => {
  const task = bench().put('in', rows('a'));
  const first = task.work().seal()!;
  first.confirm();
  await task.task.settled();
  task.put('in', rows('a')).work().seal()!.refuse(LOST);
  await task.task.settled();
  expect(await task.task.resolve(async () => found(committedBy(first)))).toBe('another-owner');
});

test('a resolution that could not be read is tried again', async () => {
  const task = bench().put('in', rows('a'));
  const first = task.work().seal()!;
  first.refuse(LOST);
  await task.task.settled();
  await expect(task.task.resolve(() => Promise.reject(LOST))).rejects.toBe(LOST);
  expect(task.task.process(Number.POSITIVE_INFINITY)).toBe('idle');
  expect(task.seal()).toBeNull();
  expect(await task.task.resolve(async () => committedBy(first))).toBe('committed');
});

test('what fails while a commit is taken over is a failure that stops', async () => {
  const task = bench().put('in', rows('a'));
  const asked = task.work().seal()!;
  task.stores.keyValue.get('counts')!.committed = () => {
    throw new Error('out of memory');
  };
  asked.confirm();
  await task.task.settled();
  expect(task.task.failure).toMatchObject({ code: 'INVARIANT_VIOLATED', decision: 'stop' });
});

test('a confirmation that comes after the release changes nothing', async () => {
  const task = bench().put('in', rows('a'));
  const asked = task.work().seal()!;
  task.task.release();
  task.task.release();
  asked.confirm();
  await task.task.settled();
  expect(task.task.counts.commits).toBe(0);
  expect(task.task.process(Number.POSITIVE_INFINITY)).toBe('idle');
});

test('a closing task waits for its step, then commits what ran meanwhile', async () => {
  const task = bench().put('in', rows('a'));
  const first = task.work().seal()!;
  task.put('in', rows('b')).work();
  const finished = task.task.finish();
  first.confirm();
  await systemPorts.timers.turn();
  expect(task.steps).toHaveLength(2);
  task.steps[1]!.confirm();
  await finished;
  expect(counts(task)).toEqual({ a: 1, b: 1 });
});

test('a closing task whose step has failed sends nothing more', async () => {
  const task = bench().put('in', rows('a'));
  const first = task.work().seal()!;
  task.put('in', rows('b')).work();
  const finished = task.task.finish();
  first.refuse(LOST);
  await finished;
  expect(task.steps).toHaveLength(1);
});

/** A clock that the test moves. */
function clockOf(): { ports: Ports; at: (ms: number) => void } {
  let now = 0;
  const clock = { now: () => 0, monotonic: () => now };
  return {
    ports: { ...systemPorts, clock },
    at: (ms) => {
      now = ms;
    },
  };
}

test('a step waits for the interval while more is waiting, and not when nothing is', async () => {
  const { ports, at } = clockOf();
  const task = bench({ ports, options: { commitIntervalMs: 100, commitRestMs: 5 } });
  task.put('in', rows('a')).work();
  task.put('in', rows('b'));
  expect(task.task.commitIfDue(0)).toBe(100);
  expect(task.task.commitIfDue(99)).toBe(100);
  expect(task.task.commitIfDue(100)).toBe(Number.POSITIVE_INFINITY);
  expect(task.steps).toHaveLength(1);
  at(100);
  task.steps[0]!.confirm();
  await task.task.settled();
  task.work();
  expect(task.task.commitIfDue(101)).toBe(105);
  expect(task.task.commitIfDue(105)).toBe(Number.POSITIVE_INFINITY);
  expect(task.steps).toHaveLength(2);
});

test('staged bytes make a step due, and keep the next one from growing beyond', () => {
  const task = bench({ options: { stagedBytesMax: 65_536 } });
  const big = Array.from({ length: 20 }, () => ({ key: 'k'.repeat(10_000), value: 'x' }));
  task.put('in', big).work();
  expect(task.task.commitIfDue(0)).toBe(Number.POSITIVE_INFINITY);
  expect(task.steps).toHaveLength(1);
  expect(task.run.progress.offsets[0]).toBeLessThan(5);
});

test('slow records end a slice in time, so that heartbeats and fetches get their turn', () => {
  let now = 0;
  const ports = { ...systemPorts, clock: { now: () => 0, monotonic: () => now } };
  const app = topology('slow');
  app.stream('in', { key: text, value: text }).pipe(
    aggregate({
      name: 'slow',
      init: () => 0,
      add: (n) => {
        now += 50;
        return n + 1;
      },
      key: text,
      value: long(),
    }),
  );
  const task = new Bench(app, { ports }).put('in', rows(...'abcdefghijklmnop')).task;
  expect(task.process(10)).toBe('worked');
  expect(now).toBeLessThanOrEqual(100);
});
