/** When a run has tried everything. */
import { expect, test } from 'vitest';
import { missingOf, type Struck } from './coverage.ts';

const ALL: Struck = {
  ...{ kills: 1, zombies: 1, restarts: 1, brokerKills: 1, connectionsCut: 1, rolledBack: 1 },
  lostAnswers: { EndTxn: 1, InitProducerId: 1, TxnOffsetCommit: 1, Heartbeat: 1, Produce: 1 },
};

test('nothing is missing when every kind of fault has struck', () => {
  expect(missingOf(ALL)).toEqual([]);
});

test.each(['kills', 'zombies', 'restarts', 'brokerKills', 'connectionsCut', 'rolledBack'] as const)(
  '%s that have not happened are missing',
  (kind) => {
    expect(missingOf({ ...ALL, [kind]: 0 })).toEqual([kind]);
  },
);

test.each(['EndTxn', 'InitProducerId', 'TxnOffsetCommit', 'Heartbeat', 'Produce'])(
  'an answer of %s that was never lost is missing',
  (api) => {
    const { [api]: _, ...lostAnswers } = ALL.lostAnswers;
    expect(missingOf({ ...ALL, lostAnswers })).toEqual([`a lost answer of ${api}`]);
  },
);
