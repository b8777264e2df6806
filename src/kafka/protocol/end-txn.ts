/**
 * Commits or aborts a transaction; version 5 returns a new epoch and belongs to transactions v2.
 */
import { boolean, defineApi, int16, int32, int64, string } from './schema.ts';

export const endTxn = defineApi({
  key: 26,
  name: 'EndTxn',
  versions: [0, 3],
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
  },
});
