/**
 * State and partitions of transactions, as their coordinator knows them (KIP-664).
 */
import { array, defineApi, int16, int32, int64, rows, string } from './schema.ts';

export const describeTransactions = defineApi({
  key: 65,
  name: 'DescribeTransactions',
  versions: [0, 0],
  flexibleFrom: 0,
  request: {
    transactionalIds: array(string()),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    transactionStates: rows({
      errorCode: int16(),
      transactionalId: string(),
      transactionState: string(),
      transactionTimeoutMs: int32(),
      transactionStartTimeMs: int64(),
      producerId: int64(),
      producerEpoch: int16(),
      topics: rows({
        topic: string(),
        partitions: array(int32()),
      }),
    }),
  },
});
