/**
 * Joins a classic consumer group; the answer waits until the rebalance is complete.
 */
import { boolean, bytes, defineApi, int16, int32, rows, string } from './schema.ts';

export const joinGroup = defineApi({
  key: 11,
  name: 'JoinGroup',
  versions: [0, 9],
  flexibleFrom: 6,
  request: {
    groupId: string(),
    sessionTimeoutMs: int32(),
    rebalanceTimeoutMs: int32({ since: 1, default: -1, whenAbsent: 'ignore' }),
    memberId: string(),
    groupInstanceId: string({ since: 5, nullableSince: 5, default: null }),
    protocolType: string(),
    protocols: rows({
      name: string(),
      metadata: bytes(),
    }),
    reason: string({ since: 8, nullableSince: 8, default: null, whenAbsent: 'ignore' }),
  },
  response: {
    throttleTimeMs: int32({ since: 2, default: 0, whenAbsent: 'ignore' }),
    errorCode: int16(),
    generationId: int32({ default: -1 }),
    protocolType: string({ since: 7, nullableSince: 7, default: null, whenAbsent: 'ignore' }),
    protocolName: string({ nullableSince: 7 }),
    leader: string(),
    skipAssignment: boolean({ since: 9, default: false }),
    memberId: string(),
    members: rows({
      memberId: string(),
      groupInstanceId: string({ since: 5, nullableSince: 5, default: null, whenAbsent: 'ignore' }),
      metadata: bytes(),
    }),
  },
});
