/**
 * Commits offsets of a group outside a transaction. Version 9 tells an unknown group from an old
 * generation, 10 has topic ids instead of names.
 */
import { defineApi, int16, int32, int64, rows, string, uuid } from './schema.ts';

export const offsetCommit = defineApi({
  key: 8,
  name: 'OffsetCommit',
  versions: [2, 10],
  clientVersionMax: 8,
  flexibleFrom: 8,
  request: {
    groupId: string(),
    generationIdOrMemberEpoch: int32({ default: -1 }),
    memberId: string(),
    groupInstanceId: string({ since: 7, nullableSince: 7, default: null }),
    retentionTimeMs: int64({ until: 4, default: -1, whenAbsent: 'ignore' }),
    topics: rows({
      name: string({ until: 9, whenAbsent: 'ignore' }),
      topicId: uuid({ since: 10, whenAbsent: 'ignore' }),
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
      name: string({ until: 9, whenAbsent: 'ignore' }),
      topicId: uuid({ since: 10, whenAbsent: 'ignore' }),
      partitions: rows({
        partitionIndex: int32(),
        errorCode: int16(),
      }),
    }),
  },
});
