/**
 * Ends a producer's transaction in partitions, from one broker to another; an administrator's way to end
 * a hanging transaction (KIP-664).
 */
import { array, boolean, defineApi, int8, int16, int32, int64, rows, string } from './schema.ts';

export const writeTxnMarkers = defineApi({
  key: 27,
  name: 'WriteTxnMarkers',
  versions: [1, 2],
  flexibleFrom: 1,
  request: {
    markers: rows({
      producerId: int64(),
      producerEpoch: int16(),
      transactionResult: boolean(),
      topics: rows({
        name: string(),
        partitionIndexes: array(int32()),
      }),
      coordinatorEpoch: int32(),
      transactionVersion: int8({ since: 2, default: 0, whenAbsent: 'ignore' }),
    }),
  },
  response: {
    markers: rows({
      producerId: int64(),
      topics: rows({
        name: string(),
        partitions: rows({
          partitionIndex: int32(),
          errorCode: int16(),
        }),
      }),
    }),
  },
});
