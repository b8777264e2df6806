/**
 * The producers that a partition's leader knows, open transactions included (KIP-664).
 */
import { array, defineApi, int16, int32, int64, rows, string } from './schema.ts';

export const describeProducers = defineApi({
  key: 61,
  name: 'DescribeProducers',
  versions: [0, 0],
  flexibleFrom: 0,
  request: {
    topics: rows({
      name: string(),
      partitionIndexes: array(int32()),
    }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    topics: rows({
      name: string(),
      partitions: rows({
        partitionIndex: int32(),
        errorCode: int16(),
        errorMessage: string({ nullableSince: 0, default: null }),
        activeProducers: rows({
          producerId: int64(),
          producerEpoch: int32(),
          lastSequence: int32({ default: -1 }),
          lastTimestamp: int64({ default: -1 }),
          coordinatorEpoch: int32(),
          currentTxnStartOffset: int64({ default: -1 }),
        }),
      }),
    }),
  },
});
