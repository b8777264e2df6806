/**
 * Reads record batches from partitions. From version 13 on topics have ids instead of names; what only
 * replicas say in the later versions is passed over.
 */
import {
  array,
  defineApi,
  int8,
  int16,
  int32,
  int64,
  records,
  rows,
  string,
  struct,
  uuid,
} from './schema.ts';

export const fetch = defineApi({
  key: 1,
  name: 'Fetch',
  versions: [4, 18],
  clientVersionMax: 12,
  flexibleFrom: 12,
  request: {
    clusterId: string({
      since: 12,
      nullableSince: 12,
      tag: 0,
      default: null,
      whenAbsent: 'ignore',
    }),
    replicaId: int32({ until: 14, default: -1, whenAbsent: 'ignore' }),
    maxWaitMs: int32(),
    minBytes: int32(),
    maxBytes: int32({ default: 2_147_483_647 }),
    isolationLevel: int8({ default: 0 }),
    sessionId: int32({ since: 7, default: 0, whenAbsent: 'ignore' }),
    sessionEpoch: int32({ since: 7, default: -1, whenAbsent: 'ignore' }),
    topics: rows({
      topic: string({ until: 12, whenAbsent: 'ignore' }),
      topicId: uuid({ since: 13, whenAbsent: 'ignore' }),
      partitions: rows({
        partition: int32(),
        currentLeaderEpoch: int32({ since: 9, default: -1, whenAbsent: 'ignore' }),
        fetchOffset: int64(),
        lastFetchedEpoch: int32({ since: 12, default: -1 }),
        logStartOffset: int64({ since: 5, default: -1, whenAbsent: 'ignore' }),
        partitionMaxBytes: int32(),
      }),
    }),
    forgottenTopicsData: rows(
      {
        topic: string({ until: 12, whenAbsent: 'ignore' }),
        topicId: uuid({ since: 13, whenAbsent: 'ignore' }),
        partitions: array(int32()),
      },
      { since: 7 },
    ),
    rackId: string({ since: 11, default: '', whenAbsent: 'ignore' }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16({ since: 7, whenAbsent: 'ignore' }),
    sessionId: int32({ since: 7, default: 0 }),
    responses: rows({
      topic: string({ until: 12, whenAbsent: 'ignore' }),
      topicId: uuid({ since: 13, whenAbsent: 'ignore' }),
      partitions: rows({
        partitionIndex: int32(),
        errorCode: int16(),
        highWatermark: int64(),
        lastStableOffset: int64({ default: -1 }),
        logStartOffset: int64({ since: 5, default: -1, whenAbsent: 'ignore' }),
        divergingEpoch: struct(
          {
            epoch: int32({ default: -1 }),
            endOffset: int64({ default: -1 }),
          },
          { since: 12, tag: 0 },
        ),
        currentLeader: struct(
          {
            leaderId: int32({ default: -1 }),
            leaderEpoch: int32({ default: -1 }),
          },
          { since: 12, tag: 1 },
        ),
        snapshotId: struct(
          {
            endOffset: int64({ default: -1 }),
            epoch: int32({ default: -1 }),
          },
          { since: 12, tag: 2 },
        ),
        abortedTransactions: rows(
          {
            producerId: int64(),
            firstOffset: int64(),
          },
          { nullableSince: 4 },
        ),
        preferredReadReplica: int32({ since: 11, default: -1 }),
        records: records({ nullableSince: 4 }),
      }),
    }),
  },
});
