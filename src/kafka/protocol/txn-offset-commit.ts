/**
 * Commits offsets of a group within a transaction.
 *
 * Version 3 carries generation, member and instance, the second fence against zombies (KIP-447).
 * Versions 4 and 5 have its layout: 4 may be answered with TRANSACTION_ABORTABLE; 5 adds the group to
 * the transaction by itself, and may be spoken only while the cluster's feature `transaction.version`
 * is 2 (KIP-890).
 */
import { defineApi, int16, int32, int64, rows, string } from './schema.ts';

export const txnOffsetCommit = defineApi({
  key: 28,
  name: 'TxnOffsetCommit',
  versions: [0, 5],
  flexibleFrom: 3,
  request: {
    transactionalId: string(),
    groupId: string(),
    producerId: int64(),
    producerEpoch: int16(),
    generationId: int32({ since: 3, default: -1 }),
    memberId: string({ since: 3, default: '' }),
    groupInstanceId: string({ since: 3, nullableSince: 3, default: null }),
    topics: rows({
      name: string(),
      partitions: rows({
        partitionIndex: int32(),
        committedOffset: int64(),
        committedLeaderEpoch: int32({ since: 2, default: -1, whenAbsent: 'ignore' }),
        committedMetadata: string({ nullableSince: 0 }),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    topics: rows({
      name: string(),
      partitions: rows({
        partitionIndex: int32(),
        errorCode: int16(),
      }),
    }),
  },
});
