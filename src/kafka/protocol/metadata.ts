/**
 * Brokers, and the partitions of topics with their leaders.
 */
import { array, boolean, defineApi, int16, int32, rows, string, uuid } from './schema.ts';

export const metadata = defineApi({
  key: 3,
  name: 'Metadata',
  versions: [1, 13],
  clientVersionMax: 12,
  flexibleFrom: 9,
  request: {
    topics: rows(
      {
        topicId: uuid({ since: 10, whenAbsent: 'ignore' }),
        name: string({ nullableSince: 10 }),
      },
      { nullableSince: 1 },
    ),
    allowAutoTopicCreation: boolean({ since: 4, default: true }),
    includeClusterAuthorizedOperations: boolean({ since: 8, until: 10 }),
    includeTopicAuthorizedOperations: boolean({ since: 8 }),
  },
  response: {
    throttleTimeMs: int32({ since: 3, default: 0, whenAbsent: 'ignore' }),
    brokers: rows({
      nodeId: int32(),
      host: string(),
      port: int32(),
      rack: string({ nullableSince: 1, default: null }),
    }),
    clusterId: string({ since: 2, nullableSince: 2, default: null, whenAbsent: 'ignore' }),
    controllerId: int32({ default: -1 }),
    topics: rows({
      errorCode: int16(),
      name: string({ nullableSince: 12 }),
      topicId: uuid({ since: 10, whenAbsent: 'ignore' }),
      isInternal: boolean({ default: false }),
      partitions: rows({
        errorCode: int16(),
        partitionIndex: int32(),
        leaderId: int32(),
        leaderEpoch: int32({ since: 7, default: -1, whenAbsent: 'ignore' }),
        replicaNodes: array(int32()),
        isrNodes: array(int32()),
        offlineReplicas: array(int32(), { since: 5, whenAbsent: 'ignore' }),
      }),
      topicAuthorizedOperations: int32({ since: 8, default: -2_147_483_648 }),
    }),
    clusterAuthorizedOperations: int32({ since: 8, until: 10, default: -2_147_483_648 }),
    errorCode: int16({ since: 13, whenAbsent: 'ignore' }),
  },
});
