import { expect, test } from 'vitest';
import { systemPorts } from '../../src/ports.ts';
import { RunningTime } from './running-time.ts';

test('timers run in the order of their time, then of their setting, with all reactions between', async () => {
  const { clock, timers } = new RunningTime().ports;
  const log: string[] = [];
  const note = async (what: string) => {
    log.push(`${what} at ${clock.monotonic()}`);
    for (let i = 0; i < 20; i++) await Promise.resolve();
    log.push(`${what} is over`);
  };
  timers.after(20, () => void note('late'));
  timers.after(10, () => void note('one'));
  timers.after(10, () => void note('two'));
  timers.after(5, () => log.push('cancelled')).cancel();
  await timers.sleep(30);
  expect(log).toEqual([
    ...['one at 10', 'one is over', 'two at 10', 'two is over'],
    ...['late at 20', 'late is over'],
  ]);
});

test('a machine that stands still makes nothing late, a process that does makes all of it late', async () => {
  const time = new RunningTime();
  const { clock, timers } = time.ports;
  const due: number[] = [];
  timers.after(10, () => due.push(clock.monotonic()));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 30);
  await timers.sleep(10);
  timers.after(10, () => due.push(clock.monotonic()));
  time.stall(1_000);
  await timers.sleep(0);
  expect(due).toEqual([10, 1_010]);
});

test('what never comes to pass is an error that shows what there is', async () => {
  const time = new RunningTime();
  await expect(
    time.until(
      () => false,
      () => ['left'],
    ),
  ).rejects.toThrow('it does not come to pass: ["left"]');
});

test('nothing happens in a time that has ended', async () => {
  const time = new RunningTime();
  const happened: string[] = [];
  time.ports.timers.after(0, () => happened.push('a'));
  time.end();
  time.ports.timers.after(0, () => happened.push('b'));
  for (let turn = 0; turn < 5; turn++) await systemPorts.timers.turn();
  expect(happened).toEqual([]);
});
