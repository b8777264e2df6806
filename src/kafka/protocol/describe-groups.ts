/**
 * State and members of groups. From version 6 on an unknown group is an error instead of dead.
 */
import { array, boolean, bytes, defineApi, int16, int32, rows, string } from './schema.ts';

export const describeGroups = defineApi({
  key: 15,
  name: 'DescribeGroups',
  versions: [0, 6],
  clientVersionMax: 5,
  flexibleFrom: 5,
  request: {
    groups: array(string()),
    includeAuthorizedOperations: boolean({ since: 3 }),
  },
  response: {
    throttleTimeMs: int32({ since: 1, default: 0, whenAbsent: 'ignore' }),
    groups: rows({
      errorCode: int16(),
      errorMessage: string({ since: 6, nullableSince: 6, default: null, whenAbsent: 'ignore' }),
      groupId: string(),
      groupState: string(),
      protocolType: string(),
      protocolData: string(),
      members: rows({
        memberId: string(),
        groupInstanceId: string({
          since: 4,
          nullableSince: 4,
          default: null,
          whenAbsent: 'ignore',
        }),
        clientId: string(),
        clientHost: string(),
        memberMetadata: bytes(),
        memberAssignment: bytes(),
      }),
      authorizedOperations: int32({ since: 3, default: -2_147_483_648 }),
    }),
  },
});
