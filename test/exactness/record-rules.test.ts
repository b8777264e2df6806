/** A record's effects are all or nothing, rule by rule: each test fails when its rule is broken. */
import { afterEach, expect, test } from 'vitest';
import {
  count,
  deadLetter,
  long,
  mapAsync,
  mapValues,
  skip,
  to,
  topology,
  tumbling,
  windowedAggregate,
  windowedSerde,
} from '../../src/index.ts';
import { endTxn } from '../../src/kafka/protocol/end-txn.ts';
import { heartbeat } from '../../src/kafka/protocol/heartbeat.ts';
import { asText, counting, folded, Lab, type Row, text, until } from './lab.ts';
import { Hold, losing } from './wire.ts';

const WINDOW_MS = 1_000;

let lab: Lab;
afterEach(() => lab?.close());

test('a failed record leaves nothing behind: no output, no changelog, no count', async () => {
  lab = await Lab.open({ in: 1, out: 1, copy: 1 });
  const app = topology('count');
  const stream = app.stream('in', { key: text, value: text, onError: skip() });
  stream.pipe(to('copy', { key: text, value: text }));
  stream.pipe(
    count({ name: 'counts', key: text }),
    mapValues((n, { meta }) => {
      if (meta.offset === 0 || meta.offset === 2) throw new Error('a bad record');
      return n;
    }),
    to('out', { key: text, value: long() }),
  );
  await lab.start(app, lab.wire());
  lab.write('in', [
    ['a', 'bad'],
    ['a', 'good'],
    ['a', 'bad'],
    ['a', 'good'],
    ['b', 'good'],
  ]);
  await lab.reached(5);
  const counts = ['a=1', 'a=2', 'b=1'];
  expect(await lab.counts()).toEqual({ output: counts, changelog: counts });
  expect(await lab.committed('copy', asText)).toEqual(['a=good', 'a=good', 'b=good']);
});

test('a record that fails after an asynchronous call takes the later ones with it', async () => {
  lab = await Lab.open({ in: 1, out: 1 });
  const later = new Hold();
  const app = topology('count');
  app.stream('in', { key: text, value: text, onError: skip() }).pipe(
    count({ name: 'counts', key: text }),
    mapAsync(
      async (n, { meta }) => {
        if (meta.offset === 2) later.open();
        if (meta.offset > 0) return n;
        // The later records have counted on top of this one by now.
        await later.pass();
        throw new Error('a bad record');
      },
      { order: 'partition' },
    ),
    to('out', { key: text, value: long() }),
  );
  await lab.start(app, lab.wire());
  lab.write('in', [
    ['a', 'bad'],
    ['a', 'good'],
    ['b', 'good'],
  ]);
  await lab.reached(1);
  lab.write('in', [['b', 'good']]);
  await lab.reached(4);
  const counts = ['a=1', 'b=1', 'b=2'];
  expect(await lab.counts()).toEqual({ output: counts, changelog: counts });
});

test('a dead letter is undone and written again with its record', async () => {
  lab = await Lab.open({ in: 1, out: 1, dead: 1 });
  const [first, again] = [new Hold(), new Hold()];
  const calls: number[] = [];
  const app = topology('calls');
  app.stream('in', { key: text, value: text, onError: deadLetter('dead') }).pipe(
    mapAsync(
      async (value, { meta }) => {
        calls.push(meta.offset);
        if (meta.offset === 0) await first.pass();
        if (meta.offset === 2) await again.pass();
        if (value === 'bad') throw new Error('a bad record');
        return value;
      },
      { order: 'partition' },
    ),
    to('out', { key: text, value: text }),
  );
  await lab.start(app, lab.wire());
  lab.write('in', [
    ['a', 'bad'],
    ['b', 'bad'],
    ['c', 'good'],
  ]);
  // The second record has failed and was dispatched again, behind the first, before the third.
  await until(
    () => calls.filter((offset) => offset === 2).length === 2,
    () => `calls: ${calls}`,
  );
  first.open();
  again.open();
  await lab.reached(3);
  expect(await lab.committed('dead', asText)).toEqual(['a=bad', 'b=bad']);
  expect(await lab.committed('out', asText)).toEqual(['c=good']);
});

test('a dead letter is committed with the offset of its record, or not at all', async () => {
  lab = await Lab.open({ in: 1, out: 1, dead: 1 });
  const app = topology('checked');
  app.stream('in', { key: text, value: text, onError: deadLetter('dead') }).pipe(
    mapValues((value) => {
      if (value === 'bad') throw new Error('a bad record');
      return value;
    }),
    to('out', { key: text, value: text }),
  );
  const dying = lab.wire();
  await lab.start(app, dying);
  await lab.reached(0);
  const died = dying.dieAt(endTxn, 'sending');
  lab.write('in', [['a', 'bad']]);
  await died;
  await lab.start(app, lab.wire());
  await lab.reached(1);
  expect(await lab.committed('dead', asText)).toEqual(['a=bad']);
  const [dead] = await lab.read('dead');
  expect(dead!.aborted).toBe(1);
});

/** Writes in a transaction of an outside producer. */
function foreignly(rows: readonly Row[], result: 'commit' | 'abort'): void {
  const foreign = lab.client.init('foreign');
  expect(lab.client.addPartitions('foreign', foreign, 'in', [0])).toEqual([0]);
  rows.forEach(([, value], sequence) => {
    const { errorCode } = lab.client.produceIn('foreign', foreign, 'in', 0, {
      values: [value],
      sequence,
    });
    expect(errorCode).toBe(0);
  });
  expect(lab.client.end('foreign', foreign, result)).toBe(0);
}

test('aborted records of an input are passed and never processed', async () => {
  lab = await Lab.open({ in: 1, out: 1 });
  const rows: Row[] = [
    ['a', 'x'],
    ['a', 'x'],
  ];
  foreignly(rows, 'abort');
  await until(
    () => lab.broker.listTransactions()[0]!.state === 'CompleteAbort',
    () => 'the transaction does not end',
  );
  lab.write('in', rows);
  await lab.start(counting(), lab.wire());
  await lab.reached(2 + 1 + 2);
  expect(await lab.counts()).toEqual(folded(rows));
});

test('a position does not pass a record under way, not even over what has no records', async () => {
  lab = await Lab.open({ in: 1, out: 1 });
  const hold = new Hold();
  const app = topology('calls');
  app.stream('in', { key: text, value: text }).pipe(
    mapAsync(async (value) => {
      await hold.pass();
      return value;
    }),
    to('out', { key: text, value: text }),
  );
  const wire = lab.wire();
  await lab.start(app, wire);
  await lab.reached(0);
  lab.write('in', [['a', 'slow']]);
  foreignly([['k', 'gone']], 'abort');
  await until(
    () => hold.waiting === 1,
    () => 'the call did not begin',
  );
  const beats = wire.sent(heartbeat).length;
  await until(
    () => wire.sent(heartbeat).length > beats + 3,
    () => 'no heartbeats',
  );
  expect(lab.offset().offset).toBe(0);
  hold.open();
  lab.write('in', [['b', 'next']]);
  await lab.reached(4);
  expect(await lab.committed('out', asText)).toEqual(['a=slow', 'b=next']);
});

function windowing() {
  const app = topology('windows');
  app.stream('in', { key: text, value: text }).pipe(
    windowedAggregate({
      name: 'windows',
      window: tumbling({ sizeMs: WINDOW_MS, graceMs: 0 }),
      init: () => 0,
      add: (n) => n + 1,
      key: text,
      value: long(),
      emit: 'final',
      late: (stream) => stream.pipe(to('late', { key: text, value: text })),
    }),
    to('out', { key: windowedSerde(text, WINDOW_MS), value: long() }),
  );
  return app;
}

/** `key@windowStart=count`. */
async function windows(): Promise<string[]> {
  const [out] = await lab.read('out');
  return out!.committed.map(({ key, value }) => {
    const inner = key!.subarray(0, key!.length - 8).toString();
    return `${inner}@${key!.readBigInt64BE(key!.length - 8)}=${value!.readBigInt64BE()}`;
  });
}

test.each(['sending', 'answered'] as const)(
  'a window is emitted once when the process dies with EndTxn %s',
  async (instant) => {
    lab = await Lab.open({ in: 1, out: 1, late: 1 });
    const dying = lab.wire();
    await lab.start(windowing(), dying);
    lab.write('in', [
      ['a', 'x', 100],
      ['b', 'x', 200],
      ['a', 'x', 300],
    ]);
    await lab.reached(3);
    expect(await windows()).toEqual([]);
    const died = dying.dieAt(endTxn, instant);
    lab.write('in', [['a', 'x', 1_500]]);
    await died;
    await lab.start(windowing(), lab.wire());
    await lab.reached(4);
    lab.write('in', [['b', 'x', 2_500]]);
    await lab.reached(5);
    expect(await windows()).toEqual(['a@0=2', 'b@0=1', 'a@1000=1']);
  },
);

test('stream time survives a restart: what was late stays late, what was emitted stays so', async () => {
  lab = await Lab.open({ in: 1, out: 1, late: 1 });
  const before = await lab.start(windowing(), lab.wire());
  lab.write('in', [
    ['a', 'x', 100],
    ['a', 'x', 1_500],
  ]);
  await lab.reached(2);
  await before.stop();
  await lab.start(windowing(), lab.wire());
  lab.write('in', [
    ['c', 'late', 900],
    ['b', 'x', 1_600],
    ['a', 'x', 2_500],
  ]);
  await lab.reached(5);
  expect(await lab.committed('late', asText)).toEqual(['c=late']);
  expect(await windows()).toEqual(['a@0=1', 'a@1000=1', 'b@1000=1']);
});

test('stream time goes back with an aborted step', async () => {
  lab = await Lab.open({ in: 1, out: 1, late: 1 });
  const wire = lab.wire();
  await lab.start(windowing(), wire);
  await lab.reached(0);
  const lost = wire.next(endTxn, losing('request'));
  lab.write('in', [['a', 'x', 100]]);
  lab.write('in', [['b', 'x', 1_500]]);
  await lost;
  lab.write('in', [['c', 'x', 2_500]]);
  await lab.reached(3);
  expect(await lab.committed('late', asText)).toEqual([]);
  expect(await windows()).toEqual(['a@0=1', 'b@1000=1']);
});
