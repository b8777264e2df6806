/**
 * Deletes committed offsets of a group.
 */
import { defineApi, int16, int32, rows, string } from './schema.ts';

export const offsetDelete = defineApi({
  key: 47,
  name: 'OffsetDelete',
  versions: [0, 0],
  flexibleFrom: 'never',
  request: {
    groupId: string(),
    topics: rows({
      name: string(),
      partitions: rows({
        partitionIndex: int32(),
      }),
    }),
  },
  response: {
    errorCode: int16(),
    throttleTimeMs: int32({ default: 0 }),
    topics: rows({
      name: string(),
      partitions: rows({
        partitionIndex: int32(),
        errorCode: int16(),
      }),
    }),
  },
});
