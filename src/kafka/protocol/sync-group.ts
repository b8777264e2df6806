/**
 * Hands out the assignment that the leader of the group has made.
 */
import { bytes, defineApi, int16, int32, rows, string } from './schema.ts';

export const syncGroup = defineApi({
  key: 14,
  name: 'SyncGroup',
  versions: [0, 5],
  flexibleFrom: 4,
  request: {
    groupId: string(),
    generationId: int32(),
    memberId: string(),
    groupInstanceId: string({ since: 3, nullableSince: 3, default: null }),
    protocolType: string({ since: 5, nullableSince: 5, default: null, whenAbsent: 'ignore' }),
    protocolName: string({ since: 5, nullableSince: 5, default: null, whenAbsent: 'ignore' }),
    assignments: rows({
      memberId: string(),
      assignment: bytes(),
    }),
  },
  response: {
    throttleTimeMs: int32({ since: 1, default: 0, whenAbsent: 'ignore' }),
    errorCode: int16(),
    protocolType: string({ since: 5, nullableSince: 5, default: null, whenAbsent: 'ignore' }),
    protocolName: string({ since: 5, nullableSince: 5, default: null, whenAbsent: 'ignore' }),
    assignment: bytes(),
  },
});
