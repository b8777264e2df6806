/**
 * Creates topics; -1 partitions or replicas mean the broker's default from version 4 on.
 */
import { array, boolean, defineApi, int8, int16, int32, rows, string, uuid } from './schema.ts';

export const createTopics = defineApi({
  key: 19,
  name: 'CreateTopics',
  versions: [2, 7],
  flexibleFrom: 5,
  request: {
    topics: rows({
      name: string(),
      numPartitions: int32(),
      replicationFactor: int16(),
      assignments: rows({
        partitionIndex: int32(),
        brokerIds: array(int32()),
      }),
      configs: rows({
        name: string(),
        value: string({ nullableSince: 2 }),
      }),
    }),
    timeoutMs: int32({ default: 60000 }),
    validateOnly: boolean({ default: false }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    topics: rows({
      name: string(),
      topicId: uuid({ since: 7, whenAbsent: 'ignore' }),
      errorCode: int16(),
      errorMessage: string({ nullableSince: 2 }),
      topicConfigErrorCode: int16({ since: 5, tag: 0, whenAbsent: 'ignore' }),
      numPartitions: int32({ since: 5, default: -1, whenAbsent: 'ignore' }),
      replicationFactor: int16({ since: 5, default: -1, whenAbsent: 'ignore' }),
      configs: rows(
        {
          name: string(),
          value: string({ nullableSince: 5 }),
          readOnly: boolean(),
          configSource: int8({ default: -1 }),
          isSensitive: boolean(),
        },
        { since: 5, nullableSince: 5, whenAbsent: 'ignore' },
      ),
    }),
  },
});
