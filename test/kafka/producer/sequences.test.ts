import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Sequences, sequenceAfter } from '../../../src/kafka/producer/sequences.ts';

/** Kafka's own way to count, by single steps over the last number. */
function countUp(sequence: number, records: number): number {
  let at = sequence;
  for (let i = 0; i < records; i++) at = at === 2_147_483_647 ? 0 : at + 1;
  return at;
}

test('a sequence follows the last int32 with 0', () => {
  expect(sequenceAfter(2_147_483_640, 10)).toBe(2);
  expect(sequenceAfter(2_147_483_647, 1)).toBe(0);
  const near = fc.integer({ min: 2_147_483_647 - 50, max: 2_147_483_647 });
  fc.assert(
    fc.property(near, fc.integer({ min: 1, max: 100 }), (sequence, records) => {
      expect(sequenceAfter(sequence, records)).toBe(countUp(sequence, records));
    }),
  );
});

test('partitions count apart, and from 0 again after a restart', () => {
  const sequences = new Sequences();
  sequences.of('a', 0).next = 5;
  sequences.of('a', 2).next = 6;
  expect(sequences.of('a', 0).next).toBe(5);
  expect(sequences.of('a', 1).next).toBe(0);
  expect(sequences.of('b', 0).next).toBe(0);
  sequences.restart();
  expect(sequences.of('a', 2).next).toBe(0);
});
