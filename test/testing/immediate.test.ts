/** A promise that tells at once goes the ways of one that does not. */
import { expect, test } from 'vitest';
import { Immediate } from '../../src/testing/immediate.ts';

/** What is told, in order. */
function told(begin: Promise<number>): {
  readonly heard: string[];
  readonly end: Promise<unknown>;
} {
  const heard: string[] = [];
  const end = begin
    .then((n) => {
      heard.push(`then ${n}`);
      throw new Error('no');
    })
    .then(() => heard.push('passed over'))
    .catch((error: Error) => heard.push(`caught ${error.message}`))
    .finally(() => heard.push('finally'));
  return { heard, end };
}

test('everything is told within the call, as a promise tells it later', async () => {
  const now = told(Immediate.of(1));
  const heard = [...now.heard];
  const later = told(Promise.resolve(1));
  await later.end;
  expect(heard).toEqual(later.heard);
  expect(await now.end).toBe(await later.end);
});
