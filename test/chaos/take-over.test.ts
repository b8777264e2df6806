/** Times until others have taken over. */
import { expect, test } from 'vitest';
import { TakeOver } from './take-over.ts';

test('a partition counts from the signal to the first output of another writer', async () => {
  let now = 100;
  const takeOver = new TakeOver(() => now);
  takeOver.output(0, 'two.1');
  const taken = takeOver.watch('one.1', [0, 1]);
  now = 110;
  takeOver.output(0, 'one.1');
  takeOver.output(3, 'two.1');
  now = 150;
  takeOver.output(0, 'two.1');
  takeOver.output(0, 'two.1');
  now = 400;
  takeOver.output(1, 'two.1');
  await taken;
  takeOver.output(1, 'two.1');
  expect(takeOver.times()).toEqual({ samples: 2, medianMs: 300, maxMs: 300 });
});

test('what was not taken over is no sample', () => {
  const takeOver = new TakeOver(() => 0);
  void takeOver.watch('one.1', [0]);
  takeOver.forget();
  takeOver.output(0, 'two.1');
  expect(takeOver.times()).toEqual({ samples: 0, medianMs: null, maxMs: null });
});
