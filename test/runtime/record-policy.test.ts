/** What becomes of a record that fails, under each policy, with and without asynchronous stages. */
import { afterEach, expect, test, vi } from 'vitest';
import {
  count,
  deadLetter,
  EscapementError,
  fail,
  long,
  mapAsync,
  mapValues,
  retry,
  skip,
  string,
  to,
  topology,
} from '../../src/index.ts';
import { systemPorts } from '../../src/ports.ts';
import type { RecordPolicy } from '../../src/topology/node.ts';
import { asCount, asText, Bench, type Given, type Written, written } from './bench.ts';

const text = string();
const attempts = vi.fn<(value: string) => void>();
afterEach(() => {
  attempts.mockReset();
});

/** Fails for values that begin with `bad`; the store and the sink have been written by then. */
function counting(onError: RecordPolicy, how: 'serial' | 'staged', error = new Error('no')) {
  const app = topology('count');
  const counted = app
    .stream('in', { key: text, value: text, onError })
    .pipe(count({ name: 'counts', key: text }));
  counted.pipe(to('out', { key: text, value: long() }));
  const check = (n: number, value: string): number => {
    attempts(value);
    if (value.startsWith('bad')) throw error;
    return n;
  };
  if (how === 'serial') {
    counted.pipe(
      mapValues((n, record) => check(n, record.meta.headers[0]?.value?.toString() ?? '')),
      to('checked', { key: text, value: long() }),
    );
  } else {
    counted.pipe(
      mapAsync((n, record) => check(n, record.meta.headers[0]?.value?.toString() ?? '')),
      to('checked', { key: text, value: long() }),
    );
  }
  return app;
}

/** The value is repeated in a header, which passes the count. */
function row(key: string, value: string): Given {
  return { key, value, at: 1_000, headers: [{ key: 'value', value: Buffer.from(value) }] };
}

const ROWS = [row('a', 'good'), row('a', 'bad'), row('b', 'good'), row('a', 'good')];
const GOOD = ['a=1', 'b=1', 'a=2'];

function headersOf({ headers }: Written): Record<string, string> {
  return Object.fromEntries(headers.map(({ key, value }) => [key, String(value)]));
}

const HOWS = ['serial', 'staged'] as const;
const CHECK = { serial: 'mapValues-3', staged: 'mapAsync-3' } as const;

test.each(HOWS)('skip: the record leaves nothing behind but its offset (%s)', (how) => {
  const bench = new Bench(counting(skip(), how)).put('in', ROWS).work();
  const { step } = bench.seal()!;
  expect(written(step, 'out').map(asCount)).toEqual(GOOD);
  expect(written(step, 'checked').map(asCount)).toEqual(GOOD);
  expect(written(step, 'counts-changelog').map(asCount)).toEqual(GOOD);
  expect(step.offsets.partitions[0]).toMatchObject({ topic: 'in', offset: 4 });
});

test.each(HOWS)('dead-letter: its bytes, the reason and where it came from (%s)', (how) => {
  const bench = new Bench(counting(deadLetter('dead'), how), {
    partitions: { dead: 3 },
  });
  const { step } = bench.put('in', ROWS).work().seal()!;
  expect(written(step, 'out').map(asCount)).toEqual(GOOD);
  const [dead, ...rest] = written(step, 'dead');
  expect(rest).toEqual([]);
  expect(asText(dead!)).toBe('a=bad');
  expect(dead!.at).toBe(1_000);
  expect(headersOf(dead!)).toEqual({
    value: 'bad',
    'escapement.error.code': 'RECORD_FAILED',
    'escapement.error.reason': `in-0@1: ${CHECK[how]} threw: no`,
    'escapement.source.topic': 'in',
    'escapement.source.partition': '0',
    'escapement.source.offset': '1',
    'escapement.source.timestamp': '1000',
  });
});

test.each(HOWS)(
  'fail: the error names the record, and the task commits what came before (%s)',
  async (how) => {
    const bench = new Bench(counting(fail(), how)).put('in', ROWS);
    expect(() => bench.work()).toThrowError(
      expect.objectContaining({
        code: 'RECORD_FAILED',
        decision: 'record',
        at: { task: 'in_0', topic: 'in', partition: 0, offset: 1, node: CHECK[how] },
      }),
    );
    const finished = bench.task.finish();
    await systemPorts.timers.turn();
    const [asked] = bench.steps;
    expect(asked!.step.offsets.partitions[0]?.offset).toBe(1);
    expect(written(asked!.step, 'out').map(asCount)).toEqual(['a=1']);
    asked!.confirm();
    await finished;
  },
);

test.each(HOWS)('retry: as often as allowed, then what follows (%s)', (how) => {
  const policy = retry(2, retry(1, deadLetter('dead')));
  const bench = new Bench(counting(policy, how)).put('in', ROWS).work();
  const { step } = bench.seal()!;
  expect(attempts.mock.calls.filter(([value]) => value === 'bad')).toHaveLength(4);
  expect(written(step, 'dead').map(asText)).toEqual(['a=bad']);
  expect(written(step, 'out').map(asCount)).toEqual(GOOD);
});

test.each(HOWS)('retry: a later success is a success, with nothing doubled (%s)', (how) => {
  let left = 2;
  attempts.mockImplementation((value) => {
    if (value !== 'shy') return;
    left -= 1;
    if (left > 0) throw new Error('not yet');
  });
  const rows = [row('a', 'good'), row('a', 'shy'), row('a', 'good')];
  const bench = new Bench(counting(retry(3), how)).put('in', rows).work();
  const { step } = bench.seal()!;
  expect(written(step, 'out').map(asCount)).toEqual(['a=1', 'a=2', 'a=3']);
  expect(written(step, 'checked').map(asCount)).toEqual(['a=1', 'a=2', 'a=3']);
});

test.each(HOWS)('retry without more ends as fail (%s)', (how) => {
  const bench = new Bench(counting(retry(2), how)).put('in', ROWS);
  expect(() => bench.work()).toThrowError(expect.objectContaining({ code: 'RECORD_FAILED' }));
  expect(attempts.mock.calls.filter(([value]) => value === 'bad')).toHaveLength(3);
});

test.each(HOWS)('an error of escapement that user code passes on is the record’s (%s)', (how) => {
  // Thrown by another application of the same process, say: it decides nothing about this step.
  const foreign = new EscapementError('CONNECTION_FAILED', 'another cluster is gone');
  const bench = new Bench(counting(skip(), how, foreign as Error)).put('in', ROWS).work();
  expect(bench.task.failure).toBeNull();
  expect(written(bench.seal()!.step, 'out').map(asCount)).toEqual(GOOD);
});

test.each(HOWS)('an invariant that does not hold is never skipped (%s)', (how) => {
  const defect = new EscapementError('INVARIANT_VIOLATED', 'broken');
  const bench = new Bench(counting(skip(), how, defect as Error)).put('in', ROWS);
  expect(() => bench.work()).toThrowError(defect);
});

test('an undecodable value is dead-lettered as it came, a null key with the number of its input', () => {
  const app = topology('decode');
  app.stream('in', { key: text, value: long(), onError: deadLetter('dead') }).pipe(
    mapValues((n) => n + 1),
    to('out', { key: text, value: long() }),
  );
  const bench = new Bench(app, { partition: 5, partitions: { dead: 3, out: 1 } });
  const { step } = bench
    .put('in', [{ key: null, value: 'not a long' }])
    .work()
    .seal()!;
  const [dead] = written(step, 'dead');
  expect(dead).toMatchObject({ partition: 2, key: null, value: Buffer.from('not a long') });
  expect(headersOf(dead!)['escapement.error.code']).toBe('RECORD_UNDECODABLE');
});

test.each([
  ['negative', -5],
  ['beyond what a number holds exactly', 2 ** 60],
  ['the greatest int64', 2 ** 63 - 1_024],
])('a time that is %s is the record’s error, and no stream time', (_, at) => {
  const bench = new Bench(counting(deadLetter('dead'), 'serial'));
  const { step } = bench
    .put('in', [row('a', 'good'), { ...row('b', 'good'), at }, row('a', 'good')])
    .work()
    .seal()!;
  expect(written(step, 'out').map(asCount)).toEqual(['a=1', 'a=2']);
  const [dead] = written(step, 'dead');
  expect(headersOf(dead!)).toMatchObject({
    'escapement.error.code': 'TIMESTAMP_INVALID',
    'escapement.source.timestamp': String(at),
  });
  expect(dead!.at).toBeGreaterThanOrEqual(0);
  expect(step.offsets.partitions[0]?.metadata).toMatch(/;1000$/);
});

test('an extractor’s error is the record’s, and not that of the next invalid one', () => {
  const app = topology('times');
  app
    .stream('in', {
      key: text,
      value: text,
      onError: deadLetter('dead'),
      timestamp: (record) => {
        if (record.value === 'throws') throw new Error('no time in it');
        return Number(record.value);
      },
    })
    .pipe(to('out', { key: text, value: text }));
  const values = ['5', 'throws', 'NaN', '0.5', '7'];
  const bench = new Bench(app).put(
    'in',
    values.map((value) => ({ key: 'k', value })),
  );
  const { step } = bench.work().seal()!;
  expect(written(step, 'out').map(({ value, at }) => `${value}@${at}`)).toEqual(['5@5', '7@7']);
  const reasons = written(step, 'dead').map((dead) => headersOf(dead)['escapement.error.code']);
  expect(reasons).toEqual(['RECORD_FAILED', 'TIMESTAMP_INVALID', 'TIMESTAMP_INVALID']);
});

test('a result that is too large with its headers is the record’s error', () => {
  const app = topology('large');
  app
    .stream('in', { key: text, value: text, onError: skip() })
    .pipe(to('out', { key: text, value: text }));
  const headers = [{ key: 'h', value: Buffer.alloc(600) }];
  const bench = new Bench(app, { options: { recordBytesMax: 1_024 } }).put('in', [
    { key: 'a', value: 'x'.repeat(500), headers },
    { key: 'b', value: 'x'.repeat(2_000) },
    { key: 'c', value: 'x'.repeat(400), headers },
  ]);
  const { step } = bench.work().seal()!;
  expect(written(step, 'out').map(({ key }) => String(key))).toEqual(['c']);
});
