/** When a log's records are certain. */
import { expect, test } from 'vitest';
import type { RawBatch } from '../../src/simulation/oracle/raw-batches.ts';
import { SettledLog } from './settled-log.ts';

function follow() {
  const told: string[] = [];
  const log = new SettledLog({
    committed: ({ offset }) => told.push(`committed ${offset}`),
    aborted: ({ offset }) => told.push(`aborted ${offset}`),
  });
  return { told, log };
}

function batch(offsets: readonly number[], producerId: number, marker: RawBatch['marker'] = null) {
  return {
    baseOffset: offsets[0]!,
    lastOffset: offsets.at(-1)!,
    ...{ producerId, producerEpoch: 0, baseSequence: 0, marker },
    isTransactional: producerId >= 0,
    records: offsets.map((offset) => ({
      ...{ offset, timestamp: 0, key: null, value: null, headers: [] },
    })),
  };
}

test('what a transaction wrote is told when its marker comes, other transactions notwithstanding', () => {
  const { told, log } = follow();
  log.take(batch([0, 1], 7));
  log.take(batch([2], 8));
  expect([told, log.settledEnd, log.open]).toEqual([[], 0, 3]);
  log.take(batch([3], 8, 'abort'));
  expect([told, log.settledEnd]).toEqual([['aborted 2'], 0]);
  log.take(batch([4], 7, 'commit'));
  expect(told).toEqual(['aborted 2', 'committed 0', 'committed 1']);
  expect([log.settledEnd, log.open, log.position]).toEqual([5, 0, 5]);
});

test('data outside transactions is told at once', () => {
  const { told, log } = follow();
  log.take(batch([0], -1));
  expect(told).toEqual(['committed 0']);
});

test('a batch that was read before is passed over', () => {
  const { told, log } = follow();
  log.take(batch([0, 1], -1));
  log.take(batch([0, 1], -1));
  expect(told).toEqual(['committed 0', 'committed 1']);
});

test('what is open when its marker was deleted unread is nobody else’s', () => {
  const { told, log } = follow();
  log.take(batch([0, 1], 7));
  log.skipTo(4);
  expect([told, log.open, log.settledEnd]).toEqual([[], 0, 4]);
  log.take(batch([4], 7));
  log.take(batch([5], 7, 'abort'));
  expect(told).toEqual(['aborted 4']);
});

test('what was deleted unread is left out, and the rest of its transaction is told', () => {
  const { told, log } = follow();
  log.skipTo(4);
  log.take(batch([4], 7));
  log.take(batch([5], 7, 'commit'));
  expect([told, log.position]).toEqual([['committed 4'], 6]);
});
