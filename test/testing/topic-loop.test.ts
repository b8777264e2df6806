/** A topology that feeds itself comes to an end in a test, with the topics named. */
import { expect, test } from 'vitest';
import {
  deadLetter,
  filter,
  flatMapValues,
  long,
  mapAsync,
  mapValues,
  repartition,
  string,
  to,
  topology,
} from '../../src/index.ts';
import { played } from '../../src/laws/played.ts';
import { TestDriver } from '../../src/testing/test-driver.ts';

const text = string();
const texts = { key: text, value: text };
const counts = { key: text, value: long() };

const endless = (message: string) =>
  expect.objectContaining({
    code: 'TEST_DRIVER_ENDLESS',
    message: expect.stringContaining(message),
  });

function fedByItself() {
  const app = topology('fed-by-itself');
  app.stream('in', texts).pipe(to('in', texts));
  return app;
}

test('a topology that reads what it writes ends with its loop named, and works no more', async () => {
  const driver = await TestDriver.start({ topology: fedByItself });
  const input = driver.input('in', texts);
  const said = endless('caused more than 10,000 records that the topology reads itself: in -> in.');
  expect(() => input.pipe('k', 'v')).toThrow(said);
  expect(() => input.pipe('k', 'v')).toThrow(said);
  await driver.close();
});

test('a loop is named with all its topics, whoever writes them', async () => {
  const topologies = {
    'back -> in -> test-driver-part-repartition -> back': () => {
      const app = topology('round');
      app.stream('in', texts).pipe(repartition({ name: 'part', ...texts }), to('back', texts));
      app.stream('back', texts).pipe(to('in', texts));
      return app;
    },
    'in -> in': () => {
      const app = topology('dead-letters');
      app.stream('in', { ...counts, onError: deadLetter('in') }).pipe(
        mapValues((value) => value + 1),
        to('out', counts),
      );
      return app;
    },
  };
  for (const [loop, built] of Object.entries(topologies)) {
    const driver = await TestDriver.start({ topology: built, causedRecordsMax: 100 });
    expect(() => driver.input('in', texts).pipe('k', 'v')).toThrow(endless(`itself: ${loop}.`));
    await driver.close();
  }
});

test('a loop through asynchronous work ends, too', async () => {
  const driver = await TestDriver.start({
    topology: () => {
      const app = topology('async');
      app.stream('in', texts).pipe(
        mapAsync(async (value) => value, { concurrency: 1 }),
        to('in', texts),
      );
      return app;
    },
    causedRecordsMax: 100,
  });
  driver.input('in', texts).pipe('k', 'v');
  await expect(driver.idle()).rejects.toEqual(endless('in -> in'));
  await driver.close();
});

/** Counts down to 0 through its own input. */
function countdown() {
  const app = topology('countdown');
  app.stream('in', counts).pipe(
    filter(({ value }) => value > 0),
    mapValues((value) => value - 1),
    to('in', counts),
  );
  return app;
}

test('records that leave the loop are no error, as many as each step of a test may cause', async () => {
  const driver = await TestDriver.start({ topology: countdown, causedRecordsMax: 50 });
  for (let n = 0; n < 3; n += 1) driver.input('in', counts).pipe('k', 50);
  expect(driver.output('in', counts).readValues()).toHaveLength(153);
  await driver.close();

  const small = await TestDriver.start({ topology: countdown, causedRecordsMax: 49 });
  expect(() => small.input('in', counts).pipe('k', 50)).toThrow(endless('in -> in'));
  await small.close();
});

test('records that come round by way of another task meet what is piped in one order in all replays', async () => {
  const driver = await TestDriver.start({
    topology: () => {
      const app = topology('retries');
      const tried = app.stream('work', counts);
      tried.pipe(
        filter(({ value }) => value > 0),
        to('again', counts),
      );
      tried.pipe(to('done', counts));
      app.stream('first', counts).pipe(to('work', counts));
      app.stream('again', counts).pipe(
        mapValues((value) => value - 1),
        to('work', counts),
      );
      return app;
    },
    replays: 20,
  });
  const [first, work] = [driver.input('first', counts), driver.input('work', counts)];
  for (const value of [3, 1, 4, 1, 5]) {
    first.pipe('k', value);
    work.pipe('k', value);
  }
  await driver.close();
});

test('too many records without a loop are said to be that', async () => {
  const driver = await TestDriver.start({
    topology: () => {
      const app = topology('fan');
      app.stream('in', texts).pipe(
        flatMapValues((value) => [...value]),
        repartition({ name: 'letters', ...texts }),
        to('out', texts),
      );
      return app;
    },
    causedRecordsMax: 9,
  });
  const input = driver.input('in', texts);
  input.pipe('k', '123456789');
  expect(() => input.pipe('k', '1234567890')).toThrow(endless('without a loop'));
  await driver.close();
});

test('laws end as well', async () => {
  const records = [{ topic: 'in', key: 'k', value: 'v', timestampMs: 0, spread: 0 }];
  const play = { topology: () => fedByItself().build(), records, partitions: 1 };
  await expect(played(play)).rejects.toEqual(endless('in -> in'));
});
