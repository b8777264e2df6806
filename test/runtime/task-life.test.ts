/** A task from its assignment to its end, over an embedded broker, the group played by the test. */
import { afterEach, expect, test } from 'vitest';
import { EscapementError } from '../../src/errors.ts';
import { endTxn } from '../../src/kafka/protocol/end-txn.ts';
import { fetch } from '../../src/kafka/protocol/fetch.ts';
import { initProducerId } from '../../src/kafka/protocol/init-producer-id.ts';
import { offsetFetch } from '../../src/kafka/protocol/offset-fetch.ts';
import { txnOffsetCommit } from '../../src/kafka/protocol/txn-offset-commit.ts';
import { systemPorts } from '../../src/ports.ts';
import { folded, type Row, until } from '../exactness/lab.ts';
import { Hold, losing } from '../exactness/wire.ts';
import { Lives } from './lives.ts';

const ROWS: readonly Row[] = [
  ['a', 'x'],
  ['b', 'x'],
  ['a', 'x'],
];

let lives: Lives;
afterEach(() => lives.close());

async function settled(times = 20): Promise<void> {
  for (let i = 0; i < times; i += 1) await systemPorts.timers.turn();
}

test('a task revoked while it recovers ends at once, and its next life is exact', async () => {
  lives = await Lives.open();
  const first = await lives.running();
  const { lab, wire } = lives;
  const lost = wire.next(endTxn, losing('answer'));
  const hold = new Hold();
  const recovering = wire.next(initProducerId, hold.answers);
  lab.write('in', ROWS);
  await lost;
  await recovering;
  await first.finish('revoked');
  expect(lives.ended).toEqual(['revoked']);
  hold.open();
  await lives.running();
  lab.write('in', ROWS);
  await lab.reached(2 * ROWS.length);
  expect(await lab.counts()).toEqual(folded([...ROWS, ...ROWS]));
  expect(lives.failures).toEqual([]);
});

test('a task revoked before its first offsets are committed commits none', async () => {
  lives = await Lives.open();
  const joining = new Hold();
  lives.joining = joining;
  let sent = 0;
  void lives.wire.next(txnOffsetCommit, losing('request')).then(() => {
    sent += 1;
  });
  const life = lives.begin();
  await until(
    () => lives.waiting === 1,
    () => 'no first offsets are to be committed',
  );
  await life.finish('revoked');
  lives.owned = false;
  joining.open();
  await settled();
  expect(sent).toBe(0);
  expect(lives.ended).toEqual(['revoked']);
  expect(lives.failures).toEqual([]);
});

test('a fence of an ended life that comes late is survived by the next one', async () => {
  lives = await Lives.open();
  const first = await lives.running();
  const { lab, wire } = lives;
  const lost = wire.next(endTxn, losing('request'));
  const hold = new Hold();
  const recovering = wire.next(initProducerId, hold.requests);
  lab.write('in', ROWS);
  await lost;
  await recovering;
  await first.finish('revoked');
  await lives.running();
  hold.open();
  lab.write('in', ROWS);
  await lab.reached(2 * ROWS.length);
  expect(await lab.counts()).toEqual(folded([...ROWS, ...ROWS]));
  expect(lives.failures).toEqual([]);
});

test.each(['requests', 'answers'] as const)(
  'a commit that outlives its task by far is not doubled by the next life (%s held)',
  async (held) => {
    lives = await Lives.open();
    const first = await lives.running();
    const { lab, wire } = lives;
    const hold = new Hold();
    const committing = wire.next(endTxn, hold[held]);
    lab.write('in', ROWS);
    await committing;
    lab.write('in', ROWS);
    const finishing = first.finish('revoked');
    // It waits for the commit, though not for ever.
    expect(lives.ended).toEqual([]);
    await finishing;
    expect(hold.waiting).toBe(1);
    await lives.running();
    hold.open();
    lab.write('in', ROWS);
    await lab.reached(3 * ROWS.length);
    await settled();
    expect(await lab.counts()).toEqual(folded([...ROWS, ...ROWS, ...ROWS]));
    expect(lives.ended).toEqual(['revoked']);
  },
);

test('a task lost while it restores never runs, whatever its restore finds', async () => {
  lives = await Lives.open();
  const { wire } = lives;
  const hold = new Hold();
  const restoring = wire.next(offsetFetch, hold.answers);
  const life = lives.begin();
  await restoring;
  life.drop('lost');
  hold.open();
  await settled();
  expect(life.isRunning).toBe(false);
  expect(lives.ended).toEqual(['lost']);
  expect(wire.sent(fetch).length).toBeLessThan(3);
  expect(lives.failures).toEqual([]);
});

test('a task that is not ours any more when it has recovered is let go without a trace', async () => {
  lives = await Lives.open();
  await lives.running();
  const { lab, wire } = lives;
  const lost = wire.next(endTxn, losing('request'));
  lab.write('in', ROWS);
  await lost;
  lives.owned = false;
  await until(
    () => lives.ended.length > 0,
    () => 'the task is not let go',
  );
  expect(lives.ended).toEqual(['lost']);
  expect(lab.offset().offset).toBe(0);
});

test('a recovery that fails on its way begins anew, the fence included', async () => {
  lives = await Lives.open();
  await lives.running();
  const { lab, wire } = lives;
  const lost = wire.next(endTxn, losing('answer'));
  const unread = wire.next(offsetFetch, losing('answer'));
  const before = wire.sent(initProducerId).length;
  lab.write('in', ROWS);
  await lost;
  await unread;
  lab.write('in', ROWS);
  await lab.reached(2 * ROWS.length);
  expect(await lab.counts()).toEqual(folded([...ROWS, ...ROWS]));
  expect(wire.sent(initProducerId).length).toBeGreaterThan(before);
});

test('a task whose state another owner has moved on is restored before it goes on', async () => {
  lives = await Lives.open();
  await lives.running();
  const { lab, wire } = lives;
  lab.write('in', ROWS);
  await lab.reached(ROWS.length);
  // Both believe that they own it; the second fences the first and commits a step.
  const hold = new Hold();
  const held = wire.next(txnOffsetCommit, hold.requests);
  lab.write('in', ROWS);
  await held;
  const second = await lives.running();
  await lab.reached(2 * ROWS.length);
  await second.finish('stopped');
  hold.open();
  lab.write('in', ROWS);
  await lab.reached(3 * ROWS.length);
  expect(await lab.counts()).toEqual(folded([...ROWS, ...ROWS, ...ROWS]));
  expect(lives.failures).toEqual([]);
});

test('a run that cannot begin again stops the instance with the reason', async () => {
  lives = await Lives.open();
  await lives.running();
  const { lab, wire } = lives;
  const lost = wire.next(endTxn, losing('request'));
  lives.fetcher.add = () => {
    throw new EscapementError('CLOSED', 'no more feeds');
  };
  lab.write('in', ROWS);
  await lost;
  await until(
    () => lives.failures.length > 0,
    () => 'nothing is said',
  );
  expect(lives.failures).toMatchObject([{ code: 'CLOSED', message: 'no more feeds' }]);
});

test('a loss that a heartbeat tells during a recovery ends the task', async () => {
  lives = await Lives.open();
  await lives.running();
  const { lab, wire } = lives;
  lives.lost = new EscapementError('TASK_LOST', 'the session is over');
  const lost = wire.next(endTxn, losing('request'));
  lab.write('in', ROWS);
  await lost;
  await until(
    () => lives.ended.length > 0,
    () => 'the task is not let go',
  );
  expect(lives.ended).toEqual(['lost']);
  expect(lives.failures).toEqual([]);
});
