/**
 * Committed offsets of a group; `requireStable` (7) refuses while a transaction holds them (KIP-447).
 *
 * Version 8 asks for several groups at once: `groups` takes the place of `groupId` and `topics`.
 * Version 10 has topic ids instead of names.
 */
import { array, boolean, defineApi, int16, int32, int64, rows, string, uuid } from './schema.ts';

export const offsetFetch = defineApi({
  key: 9,
  name: 'OffsetFetch',
  versions: [1, 10],
  clientVersionMax: 8,
  flexibleFrom: 6,
  request: {
    groupId: string({ until: 7 }),
    topics: rows(
      {
        name: string(),
        partitionIndexes: array(int32()),
      },
      { until: 7, nullableSince: 2 },
    ),
    groups: rows(
      {
        groupId: string(),
        memberId: string({ since: 9, nullableSince: 9, default: null, whenAbsent: 'ignore' }),
        memberEpoch: int32({ since: 9, default: -1, whenAbsent: 'ignore' }),
        topics: rows(
          {
            name: string({ until: 9, whenAbsent: 'ignore' }),
            topicId: uuid({ since: 10, whenAbsent: 'ignore' }),
            partitionIndexes: array(int32()),
          },
          { nullableSince: 8 },
        ),
      },
      { since: 8 },
    ),
    requireStable: boolean({ since: 7, default: false }),
  },
  response: {
    throttleTimeMs: int32({ since: 3, default: 0, whenAbsent: 'ignore' }),
    topics: rows(
      {
        name: string(),
        partitions: rows({
          partitionIndex: int32(),
          committedOffset: int64(),
          committedLeaderEpoch: int32({ since: 5, default: -1, whenAbsent: 'ignore' }),
          metadata: string({ nullableSince: 1 }),
          errorCode: int16(),
        }),
      },
      { until: 7 },
    ),
    errorCode: int16({ since: 2, until: 7, default: 0, whenAbsent: 'ignore' }),
    groups: rows(
      {
        groupId: string(),
        topics: rows({
          name: string({ until: 9, whenAbsent: 'ignore' }),
          topicId: uuid({ since: 10, whenAbsent: 'ignore' }),
          partitions: rows({
            partitionIndex: int32(),
            committedOffset: int64(),
            committedLeaderEpoch: int32({ default: -1 }),
            metadata: string({ nullableSince: 8 }),
            errorCode: int16(),
          }),
        }),
        errorCode: int16({ default: 0 }),
      },
      { since: 8 },
    ),
  },
});
