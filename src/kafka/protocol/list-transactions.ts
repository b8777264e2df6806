/**
 * The transactions that one coordinator knows (KIP-664).
 */
import { array, defineApi, int16, int32, int64, rows, string } from './schema.ts';

export const listTransactions = defineApi({
  key: 66,
  name: 'ListTransactions',
  versions: [0, 2],
  flexibleFrom: 0,
  request: {
    stateFilters: array(string()),
    producerIdFilters: array(int64()),
    durationFilter: int64({ since: 1, default: -1 }),
    transactionalIdPattern: string({ since: 2, nullableSince: 2, default: null }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16(),
    unknownStateFilters: array(string()),
    transactionStates: rows({
      transactionalId: string(),
      producerId: int64(),
      transactionState: string(),
    }),
  },
});
