/**
 * Appends record batches to partitions.
 *
 * Version 12 has the layout of 11. Within a transaction it adds the partitions by itself, so it may be
 * spoken there only while the cluster's feature `transaction.version` is 2 (KIP-890).
 * Version 13 has topic ids instead of names.
 */
import { defineApi, int16, int32, int64, records, rows, string, struct, uuid } from './schema.ts';

export const produce = defineApi({
  key: 0,
  name: 'Produce',
  versions: [3, 13],
  clientVersionMax: 12,
  flexibleFrom: 9,
  request: {
    transactionalId: string({ nullableSince: 3, default: null }),
    acks: int16(),
    timeoutMs: int32(),
    topicData: rows({
      name: string({ until: 12, whenAbsent: 'ignore' }),
      topicId: uuid({ since: 13, whenAbsent: 'ignore' }),
      partitionData: rows({
        index: int32(),
        records: records({ nullableSince: 3 }),
      }),
    }),
  },
  response: {
    responses: rows({
      name: string({ until: 12, whenAbsent: 'ignore' }),
      topicId: uuid({ since: 13, whenAbsent: 'ignore' }),
      partitionResponses: rows({
        index: int32(),
        errorCode: int16(),
        baseOffset: int64(),
        logAppendTimeMs: int64({ default: -1 }),
        logStartOffset: int64({ since: 5, default: -1, whenAbsent: 'ignore' }),
        recordErrors: rows(
          {
            batchIndex: int32(),
            batchIndexErrorMessage: string({ nullableSince: 8, default: null }),
          },
          { since: 8, whenAbsent: 'ignore' },
        ),
        errorMessage: string({ since: 8, nullableSince: 8, default: null, whenAbsent: 'ignore' }),
        currentLeader: struct(
          {
            leaderId: int32({ default: -1 }),
            leaderEpoch: int32({ default: -1 }),
          },
          { since: 10, tag: 0 },
        ),
      }),
    }),
    throttleTimeMs: int32({ default: 0 }),
    nodeEndpoints: rows(
      {
        nodeId: int32(),
        host: string(),
        port: int32(),
        rack: string({ nullableSince: 10, default: null }),
      },
      { since: 10, tag: 0 },
    ),
  },
});
