/** The driver of users' unit tests: production tasks, the test's time, no broker. */
import { expect, test } from 'vitest';
import {
  aggregate,
  count,
  flatMapValues,
  long,
  mapAsync,
  mapValues,
  merge,
  repartition,
  type Serde,
  selectKey,
  skip,
  string,
  to,
  topology,
  tumbling,
  windowedAggregate,
  windowedSerde,
} from '../../src/index.ts';
import { systemPorts } from '../../src/ports.ts';
import { marbles } from '../../src/testing/marbles.ts';
import { TestDriver } from '../../src/testing/test-driver.ts';
import { wordCount } from '../../topologies/1-word-count/topology.ts';

const text = string();
const texts = { key: text, value: text };

test('records go through all sub-topologies and are read at once, each once', async () => {
  const driver = await TestDriver.start({ topology: wordCount });
  const lines = driver.input('lines', texts);
  const counts = driver.output('word-counts', { key: text, value: long() });
  lines.pipe(null, 'to be or not To be');
  expect(counts.readKeyValues()).toEqual([
    ['to', 1],
    ['be', 1],
    ['or', 1],
    ['not', 1],
    ['to', 2],
    ['be', 2],
  ]);
  expect(counts.read()).toEqual([]);
  await driver.close();
});

test('words of many partitions meet in one count, whatever is committed when', async () => {
  const partitions = { lines: 3, 'word-counts': 2 };
  const driver = await TestDriver.start({ topology: wordCount, partitions, replays: 10 });
  const lines = driver.input('lines', texts);
  const counts = driver.output('word-counts', { key: text, value: long() });
  for (let n = 0; n < 12; n += 1) lines.pipe(`line ${n}`, `to ${n % 4} be`);
  const latest = new Map(counts.readKeyValues());
  expect(latest.get('to')).toBe(12);
  expect(latest.get('3')).toBe(3);
  await driver.close();
});

/** What one writes first, against the contract of `encode`: `write` cuts off what does not fit. */
function cuttingJson<T>(): Serde<T> {
  return {
    name: 'cutting',
    encode: (value, buffer, at) => at + buffer.write(JSON.stringify(value), at),
    decode: (buffer, start, end) => JSON.parse(buffer.toString('utf8', start, end)) as T,
  };
}

test('large values of a serde that would cut them off are whole in every topic and store', async () => {
  const pair = { key: cuttingJson<string>(), value: cuttingJson<string>() };
  const driver = await TestDriver.start({
    topology: () => {
      const app = topology('large');
      app.stream('in', pair).pipe(
        selectKey(({ value }) => value),
        repartition({ name: 'by-value', ...pair }),
        aggregate({ name: 'last', init: () => '', add: (_, value) => `${value}!`, ...pair }),
        to('out', pair),
      );
      return app;
    },
  });
  const [input, output] = [driver.input('in', pair), driver.output('out', pair)];
  const store = driver.keyValueStore('last', pair);
  // 4 bytes a character, so the cut is up to 3 bytes before the end of the room.
  for (const value of ['x'.repeat(200_000), `a${'😀'.repeat(127)}`, 'x'.repeat(508)]) {
    input.pipe('k', value);
    expect(output.readKeyValues()).toEqual([[value, `${value}!`]]);
    expect(store.get(value)).toBe(`${value}!`);
  }
  await driver.close();
});

function leaky() {
  let seen = 0;
  const app = topology('leaky');
  app.stream('in', texts).pipe(
    mapValues(() => {
      seen += 1;
      return seen;
    }),
    to('out', { key: text, value: long() }),
  );
  return app;
}

test('a count outside the stores is found, with the pattern and the first record', async () => {
  const driver = await TestDriver.start({ topology: leaky });
  for (const value of ['a', 'b', 'c']) driver.input('in', texts).pipe('k', value);
  await expect(driver.close()).rejects.toMatchObject({
    code: 'REPLAY_DIFFERS',
    message: expect.stringContaining(
      'Replayed with one step for everything, aborted once, the test left something else. ' +
        'out-0, record 1 of task in_0:\n' +
        '  the test saw "k" = 1, time 0\n  the replay   "k" = 4, time 0\n',
    ),
  });
});

/** Counts what it has seen by offset: a record that runs again is not counted twice. */
function remembering() {
  const seen = new Map<number, string>();
  const app = topology('remembering');
  app.stream('in', texts).pipe(
    mapValues((value, { meta }) => {
      seen.set(meta.offset, value);
      return [...seen.keys()].filter((offset) => offset <= meta.offset).length;
    }),
    to('out', { key: text, value: long() }),
  );
  return app;
}

test('memory that survives an abort is lost in a crash, and that is found', async () => {
  const driver = await TestDriver.start({ topology: remembering });
  for (const value of ['a', 'b', 'c']) driver.input('in', texts).pipe('k', value);
  await expect(driver.close()).rejects.toMatchObject({
    code: 'REPLAY_DIFFERS',
    message: expect.stringMatching(/a crash before every commit.*out-0, record 2/s),
  });
});

test('without the replay the same count passes', async () => {
  const driver = await TestDriver.start({ topology: leaky, replay: 'off' });
  driver.input('in', texts).pipe('k', 'a');
  expect(driver.output('out', { key: text, value: long() }).readValues()).toEqual([1]);
  await driver.close();
});

function windows() {
  const app = topology('windows');
  app.stream('in', texts).pipe(
    windowedAggregate({
      name: 'windows',
      window: tumbling({ sizeMs: 10, graceMs: 5 }),
      init: () => 0,
      add: (n) => n + 1,
      key: text,
      value: long(),
      emit: 'final',
      late: (late) => late.pipe(to('late', texts)),
    }),
    to('out', { key: windowedSerde(text, 10), value: long() }),
  );
  return app;
}

test('windows close by event time alone, and their late records stay late in every replay', async () => {
  const driver = await TestDriver.start({ topology: windows });
  const input = driver.input('in', texts);
  const out = driver.output('out', { key: windowedSerde(text, 10), value: long() });
  for (const timestampMs of [1, 3, 12, 9]) input.pipe('a', 'x', { timestampMs });
  driver.advance(60_000);
  expect(out.read()).toEqual([]);
  input.pipe('b', 'x', { timestampMs: 15 });
  input.pipe('a', 'too late', { timestampMs: 4 });
  expect(out.readKeyValues()).toEqual([[{ key: 'a', start: 0, end: 10 }, 3]]);
  expect(driver.output('late', texts).readValues()).toEqual(['too late']);
  await driver.close();
});

function asked() {
  const app = topology('asked');
  app.stream('in', texts).pipe(
    mapAsync(async (value) => `${value}!`),
    count({ name: 'asked', key: text }),
    to('out', { key: text, value: long() }),
  );
  return app;
}

test('asynchronous work is awaited by idle, and reading before it says so', async () => {
  const driver = await TestDriver.start({ topology: asked });
  const input = driver.input('in', texts);
  const out = driver.output('out', { key: text, value: long() });
  for (const key of ['a', 'b', 'a']) input.pipe(key, 'x');
  expect(() => out.read()).toThrow(expect.objectContaining({ code: 'TEST_DRIVER_BUSY' }));
  await driver.idle();
  expect(out.readKeyValues()).toEqual([
    ['a', 1],
    ['b', 1],
    ['a', 2],
  ]);
  await driver.close();
});

/** Records of `far` are spread over two tasks and meet again in the one that reads `direct`. */
function stages() {
  const app = topology('stages');
  const far = app.stream('far', texts).pipe(
    flatMapValues((value) => [`${value}-a`, `${value}-b`, `${value}-c`]),
    selectKey((record) => record.value),
    repartition({ name: 'middle', partitions: 2, key: text, value: text }),
    repartition({ name: 'near', partitions: 1, key: text, value: text }),
  );
  const side = app
    .stream('side', texts)
    .pipe(repartition({ name: 'beside', partitions: 1, key: text, value: text }));
  app.stream('direct', texts).pipe(merge(far), merge(side), to('out', texts));
  return app;
}

test('records that meet behind repartitions keep their order in every replay', async () => {
  const partitions = { far: 2 };
  const driver = await TestDriver.start({ topology: stages, partitions, replays: 20 });
  const [far, side, direct] = ['far', 'side', 'direct'].map((name) => driver.input(name, texts));
  for (let n = 0; n < 8; n += 1) {
    side!.pipe('s', `side ${n}`);
    if (n % 3 !== 0) direct!.pipe('k', `direct ${n}`);
    if (n % 3 !== 1) far!.pipe(`${n}`, `far ${n}`);
  }
  expect(driver.output('out', texts).readValues()).toHaveLength(28);
  await driver.close();
});

test('stores show what is committed, of every partition, and stream time that of the input', async () => {
  const driver = await TestDriver.start({ topology: wordCount, partitions: { lines: 2 } });
  const counts = driver.keyValueStore('counts', { key: text, value: long() });
  driver.input('lines', texts).pipe(null, 'to be or not to be', { timestampMs: 7, partition: 1 });
  expect([...counts.all()].sort()).toEqual([
    ['be', 2],
    ['not', 1],
    ['or', 1],
    ['to', 2],
  ]);
  expect(counts.get('to')).toBe(2);
  expect(counts.get('two')).toBeNull();
  expect([0, 1].map((partition) => driver.streamTime('lines', partition))).toEqual([-1, 7]);
  expect(() => driver.windowStore('counts', texts)).toThrow(/no window store 'counts'.*none/);
  await driver.close();
});

test('a window store shows the windows that can still change', async () => {
  const driver = await TestDriver.start({ topology: windows });
  const input = driver.input('in', texts);
  const store = driver.windowStore('windows', { key: text, value: long() });
  for (const timestampMs of [1, 3, 12]) input.pipe('a', 'x', { timestampMs });
  expect(store.all()).toEqual([
    { key: 'a', startMs: 0, value: 2 },
    { key: 'a', startMs: 10, value: 1 },
  ]);
  expect([store.get('a', 0), store.get('a', 20)]).toEqual([2, null]);
  input.pipe('a', 'x', { timestampMs: 15 });
  expect(store.all()).toEqual([{ key: 'a', startMs: 10, value: 2 }]);
  await driver.close();
});

test('event times are drawn as marbles, of what goes in and of what comes out', async () => {
  const driver = await TestDriver.start({ topology: windows });
  const input = driver.input('in', texts);
  const out = driver.output('out', { key: windowedSerde(text, 10), value: long() });
  input.pipeAll(marbles('--a-(ab) 20ms c', { a: ['a', 'x'], b: ['b', 'x'], c: ['c', 'x'] }));
  const window = { start: 0, end: 10 };
  expect(out.readTimed()).toEqual(
    marbles('----(ab)', { a: [{ ...window, key: 'a' }, 2], b: [{ ...window, key: 'b' }, 1] }),
  );
  await driver.close();
});

test.each([
  ['a|', 'ends'],
  ['a-x', "the letter 'x'"],
])('the diagram %s is refused', (diagram, why) => {
  expect(() => marbles(diagram, { a: ['a', 'x'] })).toThrow(
    expect.objectContaining({ code: 'OPTION_INVALID', message: expect.stringContaining(why) }),
  );
});

test('what stops a task is thrown where the record is piped, and from then on', async () => {
  const failing = () => {
    const app = topology('failing');
    app.stream('in', texts).pipe(
      mapValues((value) => {
        if (value === 'bad') throw new Error('no');
        return value;
      }),
      to('out', texts),
    );
    return app;
  };
  const driver = await TestDriver.start({ topology: failing });
  const input = driver.input('in', texts);
  input.pipe('k', 'good');
  const thrown = expect.objectContaining({
    code: 'RECORD_FAILED',
    at: expect.objectContaining({ topic: 'in', offset: 1 }),
  });
  expect(() => input.pipe('k', 'bad')).toThrow(thrown);
  expect(() => input.pipe('k', 'good')).toThrow(thrown);
  expect(driver.output('out', texts).readValues()).toEqual(['good']);
  await driver.close();
});

test('a call that never ends runs into its time limit when the driver advances', async () => {
  const stalling = () => {
    const app = topology('stalling');
    app.stream('in', { ...texts, onError: skip() }).pipe(
      mapAsync((value) => (value === 'stall' ? new Promise<string>(() => {}) : value), {
        timeoutMs: 2_000,
      }),
      to('out', texts),
    );
    return app;
  };
  const driver = await TestDriver.start({ topology: stalling });
  const input = driver.input('in', texts);
  for (const value of ['a', 'stall', 'b']) input.pipe(null, value);
  driver.advance(2_000);
  await driver.idle();
  expect(driver.output('out', texts).readValues()).toEqual(['a', 'b']);
  await driver.close();
});

/** Keeps the whole process from going on, as a busy machine does. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test('a process that stands still lets no time limit expire in a replay', async () => {
  const halting = () => {
    const app = topology('halting');
    app.stream('in', { ...texts, onError: skip() }).pipe(
      mapAsync(
        async (value) => {
          if (value === 'halt') standStill(70);
          await systemPorts.timers.sleep(1);
          return value;
        },
        { timeoutMs: 1_000 },
      ),
      to('out', texts),
    );
    return app;
  };
  const driver = await TestDriver.start({ topology: halting, replays: 0 });
  const input = driver.input('in', texts);
  for (const value of ['a', 'halt', 'b']) input.pipe(null, value);
  await driver.idle();
  driver.advance(2_000);
  expect(driver.output('out', texts).readValues()).toEqual(['a', 'halt', 'b']);
  await driver.close();
});

test('a partition, a count or a time that cannot be is refused', async () => {
  const driver = await TestDriver.start({ topology: leaky });
  const input = driver.input('in', texts);
  const refused = expect.objectContaining({ code: 'OPTION_INVALID' });
  for (const partition of [1, -1, 0.5]) {
    expect(() => input.pipe('k', 'v', { partition })).toThrow(refused);
  }
  expect(() => driver.advance(-1)).toThrow(refused);
  await driver.close();
  expect(() => input.pipe('k', 'v')).toThrow(expect.objectContaining({ code: 'CLOSED' }));
  for (const options of [{ replays: -1 }, { startMs: 0.5 }, { partitions: { in: 0 } }]) {
    await expect(TestDriver.start({ topology: leaky, ...options })).rejects.toEqual(refused);
  }
});

test('a topic that the topology does not use is refused by name', async () => {
  const driver = await TestDriver.start({ topology: wordCount });
  const refused = expect.objectContaining({ code: 'OPTION_INVALID', at: { topic: 'line' } });
  expect(() => driver.input('line', texts)).toThrow(refused);
  expect(() => driver.output('line', texts)).toThrow(refused);
  await expect(TestDriver.start({ topology: wordCount, partitions: { line: 2 } })).rejects.toEqual(
    refused,
  );
});
