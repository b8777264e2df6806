/** The clock of a driven test moves by the test alone. */
import { expect, test } from 'vitest';
import { ManualTime } from '../../src/testing/manual-time.ts';

test('timers fire in the order of their time, each at its own, those set on the way too', () => {
  const time = new ManualTime(100);
  const { timers, clock } = time.ports(1);
  const fired: string[] = [];
  const note = (name: string) => () => void fired.push(`${name}@${clock.now()}`);
  timers.after(20, note('late'));
  timers.after(10, () => {
    note('early')();
    timers.after(5, note('set on the way'));
  });
  timers.after(15, note('cancelled')).cancel();
  timers.after(30, note('not yet'));
  time.advance(25);
  expect(fired).toEqual(['early@110', 'set on the way@115', 'late@120']);
  expect(clock.monotonic()).toBe(125);
});
