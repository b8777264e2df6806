/**
 * Where an epoch of a leader ended in a partition's log: how a reader notices that its position was cut off.
 */
import { defineApi, int16, int32, int64, rows, string } from './schema.ts';

export const offsetForLeaderEpoch = defineApi({
  key: 23,
  name: 'OffsetForLeaderEpoch',
  versions: [2, 4],
  flexibleFrom: 4,
  request: {
    replicaId: int32({ since: 3, default: -2, whenAbsent: 'ignore' }),
    topics: rows({
      topic: string(),
      partitions: rows({
        partition: int32(),
        currentLeaderEpoch: int32({ default: -1 }),
        leaderEpoch: int32(),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    topics: rows({
      topic: string(),
      partitions: rows({
        errorCode: int16(),
        partition: int32(),
        leaderEpoch: int32({ default: -1 }),
        endOffset: int64({ default: -1 }),
      }),
    }),
  },
});
