/**
 * Leaves a group; from version 3 on for several members at once.
 */
import { defineApi, int16, int32, rows, string } from './schema.ts';

export const leaveGroup = defineApi({
  key: 13,
  name: 'LeaveGroup',
  versions: [0, 5],
  flexibleFrom: 4,
  request: {
    groupId: string(),
    memberId: string({ until: 2 }),
    members: rows(
      {
        memberId: string(),
        groupInstanceId: string({ nullableSince: 3, default: null }),
        reason: string({ since: 5, nullableSince: 5, default: null, whenAbsent: 'ignore' }),
      },
      { since: 3 },
    ),
  },
  response: {
    throttleTimeMs: int32({ since: 1, default: 0, whenAbsent: 'ignore' }),
    errorCode: int16(),
    members: rows(
      {
        memberId: string(),
        groupInstanceId: string({ nullableSince: 3 }),
        errorCode: int16(),
      },
      { since: 3 },
    ),
  },
});
