/**
 * Offsets by time: -1 is the end, -2 the start of the log.
 */
import { defineApi, int8, int16, int32, int64, rows, string } from './schema.ts';

export const listOffsets = defineApi({
  key: 2,
  name: 'ListOffsets',
  versions: [1, 11],
  clientVersionMax: 7,
  flexibleFrom: 6,
  request: {
    replicaId: int32(),
    isolationLevel: int8({ since: 2 }),
    topics: rows({
      name: string(),
      partitions: rows({
        partitionIndex: int32(),
        currentLeaderEpoch: int32({ since: 4, default: -1, whenAbsent: 'ignore' }),
        timestamp: int64(),
      }),
    }),
    timeoutMs: int32({ since: 10, whenAbsent: 'ignore' }),
  },
  response: {
    throttleTimeMs: int32({ since: 2, default: 0, whenAbsent: 'ignore' }),
    topics: rows({
      name: string(),
      partitions: rows({
        partitionIndex: int32(),
        errorCode: int16(),
        timestamp: int64({ default: -1 }),
        offset: int64({ default: -1 }),
        leaderEpoch: int32({ since: 4, default: -1 }),
      }),
    }),
  },
});
