/**
 * The groups of one broker.
 */
import { array, defineApi, int16, int32, rows, string } from './schema.ts';

export const listGroups = defineApi({
  key: 16,
  name: 'ListGroups',
  versions: [0, 5],
  flexibleFrom: 3,
  request: {
    statesFilter: array(string(), { since: 4 }),
    typesFilter: array(string(), { since: 5 }),
  },
  response: {
    throttleTimeMs: int32({ since: 1, default: 0, whenAbsent: 'ignore' }),
    errorCode: int16(),
    groups: rows({
      groupId: string(),
      protocolType: string(),
      groupState: string({ since: 4, whenAbsent: 'ignore' }),
      groupType: string({ since: 5, whenAbsent: 'ignore' }),
    }),
  },
});
