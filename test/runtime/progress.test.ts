/** Positions and times of a task's inputs. */
import { expect, test } from 'vitest';
import { committedFrom, sameCommitted } from '../../src/runtime/committed.ts';
import { Progress } from '../../src/runtime/progress.ts';
import { StreamTime } from '../../src/runtime/stream-time.ts';
import { encodeMetadata } from '../../src/transaction/step-id.ts';

const INPUTS = [
  { topic: 'a', partition: 0 },
  { topic: 'b', partition: 0 },
];

test('a released record moves the offset of its input, and its time only forward', () => {
  const progress = new Progress(INPUTS, [5, 7], [100, -1]);
  expect(progress.moved).toBe(false);
  progress.release(0, 6, 50);
  progress.release(1, 9, 20);
  expect(progress.moved).toBe(true);
  expect(progress.offsets).toEqual([6, 9]);
  expect(progress.times).toEqual([100, 20]);
});

test('a record without a time of its own, a dead letter, moves the offset alone', () => {
  const progress = new Progress(INPUTS, [0, 0], [-1, -1]);
  progress.release(0, 1, -1);
  expect(progress).toMatchObject({ offsets: [1, 0], times: [-1, -1], moved: true });
});

test('what is passed over moves the offset forward, never back', () => {
  const progress = new Progress(INPUTS, [5, 7], [3, 3]);
  progress.skipTo(0, 5);
  progress.skipTo(1, 2);
  expect(progress.moved).toBe(false);
  progress.skipTo(0, 8);
  expect(progress).toMatchObject({ offsets: [8, 7], times: [3, 3], moved: true });
});

test('the progress keeps nothing of what it began with', () => {
  const offsets = [1, 2];
  new Progress(INPUTS, offsets, [0, 0]).release(0, 9, 9);
  expect(offsets).toEqual([1, 2]);
});

test('stream time is the highest of all inputs, kept per input', () => {
  const time = new StreamTime([100, -1]);
  expect(time.latest).toBe(100);
  time.advance(1, 50);
  expect([time.latest, time.ofPartition(0), time.ofPartition(1)]).toEqual([100, 100, 50]);
  time.advance(1, 200);
  time.advance(0, 150);
  time.advance(0, -1);
  expect([time.latest, time.ofPartition(0), time.ofPartition(1)]).toEqual([200, 150, 200]);
  expect(new StreamTime([-1, -1]).latest).toBe(-1);
});

function fetched(topic: string, offset: number, stepId: string, partitionTime: number) {
  const metadata = encodeMetadata({ stepId, partitionTime }, 4_096);
  return { topic, partition: 0, offset, metadata };
}

test('committed offsets come in the order of the inputs, with the step that wrote them all', () => {
  const found = [fetched('b', 7, 'n.1', 70), fetched('a', 5, 'n.1', 50)];
  expect(committedFrom(INPUTS, found)).toEqual({ stepId: 'n.1', offsets: [5, 7], times: [50, 70] });
});

test('offsets of different steps were written by somebody else', () => {
  const found = [fetched('a', 5, 'n.1', 50), fetched('b', 7, 'n.2', 70)];
  expect(committedFrom(INPUTS, found)).toEqual({ stepId: '', offsets: [5, 7], times: [50, 70] });
});

test('an input without an offset has none, and no time', () => {
  const found = [
    fetched('a', 5, 'n.1', 50),
    { topic: 'b', partition: 0, offset: -1, metadata: '' },
  ];
  expect(committedFrom(INPUTS, found)).toEqual({ stepId: '', offsets: [5, -1], times: [50, -1] });
  expect(committedFrom(INPUTS, [])).toEqual({ stepId: '', offsets: [-1, -1], times: [-1, -1] });
});

test('two committed points are the same by step and offsets', () => {
  const one = { stepId: 'n.1', offsets: [1, 2], times: [5, 6] };
  expect(sameCommitted(one, { ...one, times: [-1, -1] })).toBe(true);
  expect(sameCommitted(one, { ...one, offsets: [1, 3] })).toBe(false);
  expect(sameCommitted(one, { ...one, stepId: 'n.2' })).toBe(false);
});
