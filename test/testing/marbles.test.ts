/** Diagrams that RxJS would read as something else than they look like. */
import { expect, test } from 'vitest';
import { marbles } from '../../src/testing/marbles.ts';

const records = { a: ['ada', 1], b: ['bob', 2] } as const;

test.each([
  ['a-(b', 'has a ( without its )'],
  ['a)b', 'has a ) without its ('],
  ['(a(b))', 'has ( within brackets'],
  ['a|', 'ends, which the topics of a topology never do'],
  ['a#', 'ends, which the topics of a topology never do'],
  ['a^b', 'has ^ or !, which mark subscriptions'],
  ['a!b', 'has ^ or !, which mark subscriptions'],
  ['ac', "has the letter 'c', which stands for no record"],
])('the diagram %s is refused with its reason', (diagram, reason) => {
  expect(() => marbles(diagram, records)).toThrow(
    expect.objectContaining({
      code: 'OPTION_INVALID',
      message: expect.stringContaining(`The diagram '${diagram}' ${reason}`),
    }),
  );
});

test('a record that is no pair is refused with the form that it has', () => {
  const wrong = { a: { key: 'ada', value: 1 } } as unknown as typeof records;
  expect(() => marbles('a', wrong)).toThrow(
    "The diagram 'a' needs the record 'a' as [key, value]: { a: [key, value] }.",
  );
  expect(() => marbles('a', undefined as unknown as typeof records)).toThrow(
    'needs records: { a: [key, value] }',
  );
});

test('letters in brackets share a time, several groups, too', () => {
  const times = marbles('(ab)-(a)b', records).map(({ timestampMs }) => timestampMs);
  expect(times).toEqual([0, 0, 5, 8]);
});
