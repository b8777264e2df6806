/**
 * Registers partitions with a transaction; version 4 and later are for brokers.
 */
import { array, defineApi, int16, int32, int64, rows, string } from './schema.ts';

export const addPartitionsToTxn = defineApi({
  key: 24,
  name: 'AddPartitionsToTxn',
  versions: [0, 3],
  flexibleFrom: 3,
  request: {
    v3AndBelowTransactionalId: string(),
    v3AndBelowProducerId: int64(),
    v3AndBelowProducerEpoch: int16(),
    v3AndBelowTopics: rows({
      name: string(),
      partitions: array(int32()),
    }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    resultsByTopicV3AndBelow: rows({
      name: string(),
      resultsByPartition: rows({
        partitionIndex: int32(),
        partitionErrorCode: int16(),
      }),
    }),
  },
});
