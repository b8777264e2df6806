/**
 * Deletes empty groups.
 */
import { array, defineApi, int16, int32, rows, string } from './schema.ts';

export const deleteGroups = defineApi({
  key: 42,
  name: 'DeleteGroups',
  versions: [0, 2],
  flexibleFrom: 2,
  request: {
    groupsNames: array(string()),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    results: rows({
      groupId: string(),
      errorCode: int16(),
    }),
  },
});
