/** What an operator asks for first: how far the inputs are behind, and how far a restore has come. */
import { afterEach, expect, test } from 'vitest';
import { mapAsync, to, topology } from '../../src/index.ts';
import { fetch } from '../../src/kafka/protocol/fetch.ts';
import { txnOffsetCommit } from '../../src/kafka/protocol/txn-offset-commit.ts';
import type { Application } from '../../src/run.ts';
import { counting, Lab, type Row, text, until } from '../exactness/lab.ts';
import { Hold } from '../exactness/wire.ts';

const ROWS: readonly Row[] = [
  ['a', 'x'],
  ['b', 'x'],
  ['a', 'x'],
];
const CHANGELOG = 'app-counts-changelog';

let lab: Lab;
afterEach(() => lab?.close());

async function lagIs(application: Application, expected: object): Promise<void> {
  const lag = () => application.metrics()['records.lag'];
  await until(
    () => JSON.stringify(lag()) === JSON.stringify(expected),
    () => `the lag is ${JSON.stringify(lag())}, not ${JSON.stringify(expected)}`,
  );
}

test('the lag of each input is what no commit covers, and no request asks for it', async () => {
  lab = await Lab.open({ in: 2, out: 1 });
  const hold = new Hold();
  const app = topology('calls');
  app.stream('in', { key: text, value: text }).pipe(
    mapAsync(async (value) => {
      if (value === 'slow') await hold.pass();
      return value;
    }),
    to('out', { key: text, value: text }),
  );
  const wire = lab.wire();
  const application = await lab.start(app, wire);
  await lagIs(application, { 'in-0': 0, 'in-1': 0 });
  lab.write('in', [
    ['a', 'slow'],
    ['b', 'slow'],
    ['c', 'slow'],
  ]);
  lab.write('in', [['d', 'quick']], 1);
  await lab.reached(1, 'in', 1);
  await lagIs(application, { 'in-0': 3, 'in-1': 0 });
  const sent = wire.journal.length;
  for (let i = 0; i < 100; i += 1) application.metrics();
  expect(wire.journal).toHaveLength(sent);
  hold.open();
  await lagIs(application, { 'in-0': 0, 'in-1': 0 });
  await application.stop();
  expect(application.metrics()['records.lag']).toEqual({});
});

test('records that are processed and not committed are behind', async () => {
  lab = await Lab.open({ in: 1, out: 1 });
  const hold = new Hold();
  const wire = lab.wire();
  const application = await lab.start(counting(), wire);
  await lagIs(application, { 'in-0': 0 });
  const held = wire.next(txnOffsetCommit, hold.requests);
  lab.write('in', ROWS);
  await held;
  await until(
    () => application.metrics()['records.processed'] === ROWS.length,
    () => 'the records are not processed',
  );
  await lagIs(application, { 'in-0': ROWS.length });
  hold.open();
  await lagIs(application, { 'in-0': 0 });
});

test('a restore tells what remains, then what it has read', async () => {
  lab = await Lab.open({ in: 1, out: 1 });
  const first = await lab.start(counting(), lab.wire());
  lab.write('in', ROWS);
  await lab.reached(ROWS.length);
  await first.stop();

  const hold = new Hold();
  const wire = lab.wire();
  let end = 0;
  const listener = {
    restoreStarted: ({ to: offset }: { readonly to: number }) => {
      end = offset;
      void wire.next(fetch, hold.answers, ({ topics }) => topics[0]?.topic === CHANGELOG);
    },
  };
  const second = await lab.start(counting(), wire, { listener });
  const metrics = () => second.metrics();
  await until(
    () => hold.waiting === 1,
    () => 'the restore did not begin',
  );
  expect(end).toBeGreaterThanOrEqual(ROWS.length);
  expect(metrics()['restore.remaining']).toEqual({ [`${CHANGELOG}-0`]: end });
  expect(metrics()['records.lag']).toEqual({});
  hold.open();
  await lagIs(second, { 'in-0': 0 });
  expect(metrics()['restore.remaining']).toEqual({});
  expect(metrics()['restore.records']).toBe(ROWS.length);
});
