/**
 * Gives topics more partitions; `count` is the new total.
 */
import { array, boolean, defineApi, int16, int32, rows, string } from './schema.ts';

export const createPartitions = defineApi({
  key: 37,
  name: 'CreatePartitions',
  versions: [0, 3],
  flexibleFrom: 2,
  request: {
    topics: rows({
      name: string(),
      count: int32(),
      assignments: rows(
        {
          brokerIds: array(int32()),
        },
        { nullableSince: 0 },
      ),
    }),
    timeoutMs: int32(),
    validateOnly: boolean(),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    results: rows({
      name: string(),
      errorCode: int16(),
      errorMessage: string({ nullableSince: 0, default: null }),
    }),
  },
});
