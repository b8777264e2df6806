/**
 * Which broker coordinates a group (`keyType` 0) or a transactional id (1).
 *
 * Version 4 asks for several keys at once: `coordinatorKeys` takes the place of `key`.
 */
import { array, defineApi, int8, int16, int32, rows, string } from './schema.ts';

export const findCoordinator = defineApi({
  key: 10,
  name: 'FindCoordinator',
  versions: [0, 6],
  clientVersionMax: 4,
  flexibleFrom: 3,
  request: {
    key: string({ until: 3 }),
    keyType: int8({ since: 1, default: 0 }),
    coordinatorKeys: array(string(), { since: 4 }),
  },
  response: {
    throttleTimeMs: int32({ since: 1, default: 0, whenAbsent: 'ignore' }),
    errorCode: int16({ until: 3 }),
    errorMessage: string({ since: 1, until: 3, nullableSince: 1, whenAbsent: 'ignore' }),
    nodeId: int32({ until: 3 }),
    host: string({ until: 3 }),
    port: int32({ until: 3 }),
    coordinators: rows(
      {
        key: string(),
        nodeId: int32(),
        host: string(),
        port: int32(),
        errorCode: int16(),
        errorMessage: string({ nullableSince: 4 }),
      },
      { since: 4 },
    ),
  },
});
