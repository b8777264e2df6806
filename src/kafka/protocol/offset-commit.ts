/**
 * Commits offsets of a group outside a transaction.
 */
import { defineApi, int16, int32, int64, rows, string } from './schema.ts';

export const offsetCommit = defineApi({
  key: 8,
  name: 'OffsetCommit',
  versions: [2, 8],
  flexibleFrom: 8,
  request: {
    groupId: string(),
    generationIdOrMemberEpoch: int32({ default: -1 }),
    memberId: string(),
    groupInstanceId: string({ since: 7, nullableSince: 7, default: null }),
    retentionTimeMs: int64({ until: 4, default: -1, whenAbsent: 'ignore' }),
    topics: rows({
      name: string(),
      partitions: rows({
        partitionIndex: int32(),
        committedOffset: int64(),
        committedLeaderEpoch: int32({ since: 6, default: -1, whenAbsent: 'ignore' }),
        committedMetadata: string({ nullableSince: 2 }),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32({ since: 3, default: 0, whenAbsent: 'ignore' }),
    topics: rows({
      name: string(),
      partitions: rows({
        partitionIndex: int32(),
        errorCode: int16(),
      }),
    }),
  },
});
