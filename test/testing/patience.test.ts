/** Work counts as stuck by the time in which it could have been done. */
import { expect, test } from 'vitest';
import { Patience } from '../../src/testing/patience.ts';

/** Patience and a clock that the test moves. */
function waiting() {
  let now = 0;
  const patience = new Patience({ now: () => now, monotonic: () => now });
  const turn = (ms: number): number => {
    now += ms;
    return patience.waitedMs();
  };
  return turn;
}

test('a machine that stands still for a minute is one turn, not a reason to give up', () => {
  const turn = waiting();
  expect(turn(1)).toBe(1);
  expect(turn(60_000)).toBe(6);
  expect(turn(2)).toBe(8);
});

test('work that had all its turns for five seconds is stuck', () => {
  const turn = waiting();
  for (let ms = 0; ms < 5_000; ms += 4) turn(4);
  expect(() => turn(4)).toThrow(expect.objectContaining({ code: 'TEST_DRIVER_BUSY' }));
});
