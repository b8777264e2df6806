/**
 * Deletes topics; version 6 names them in `topics` instead of `topicNames`.
 */
import { array, defineApi, int16, int32, rows, string, uuid } from './schema.ts';

export const deleteTopics = defineApi({
  key: 20,
  name: 'DeleteTopics',
  versions: [1, 6],
  flexibleFrom: 4,
  request: {
    topics: rows(
      {
        name: string({ nullableSince: 6, default: null }),
        topicId: uuid(),
      },
      { since: 6 },
    ),
    topicNames: array(string(), { until: 5, whenAbsent: 'ignore' }),
    timeoutMs: int32(),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    responses: rows({
      name: string({ nullableSince: 6 }),
      topicId: uuid({ since: 6, whenAbsent: 'ignore' }),
      errorCode: int16(),
      errorMessage: string({ since: 5, nullableSince: 5, default: null, whenAbsent: 'ignore' }),
    }),
  },
});
