/**
 * Commits or aborts a transaction. Version 4 may be answered with TRANSACTION_ABORTABLE; version 5
 * returns the next epoch, and the next producer id when the epochs are used up, and may be spoken
 * only while the cluster's feature `transaction.version` is 2 (KIP-890).
 */
import { boolean, defineApi, int16, int32, int64, string } from './schema.ts';

export const endTxn = defineApi({
  key: 26,
  name: 'EndTxn',
  versions: [0, 5],
  flexibleFrom: 3,
  request: {
    transactionalId: string(),
    producerId: int64(),
    producerEpoch: int16(),
    committed: boolean(),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16(),
    producerId: int64({ since: 5, default: -1, whenAbsent: 'ignore' }),
    producerEpoch: int16({ since: 5, default: -1, whenAbsent: 'ignore' }),
  },
});
