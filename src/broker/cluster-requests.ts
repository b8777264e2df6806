/** The cluster from outside: DescribeCluster, DescribeTopicPartitions. */
import { describeCluster } from '../kafka/protocol/describe-cluster.ts';
import { describeTopicPartitions } from '../kafka/protocol/describe-topic-partitions.ts';
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import type { ApiTable } from './api-table.ts';
import { described, missing } from './metadata.ts';
import type { BrokerState } from './state.ts';
import { NO_TOPIC_ID } from './topics.ts';

const BROKER_ENDPOINTS = 1;
const NO_OPERATIONS = -2_147_483_648;
/** `max.request.partition.size.limit`. */
const PAGE_MAX = 2_000;

interface Cursor {
  readonly topicName: string;
  readonly partitionIndex: number;
}

export function serveClusterRequests(table: ApiTable, state: BrokerState): void {
  table.serve(describeCluster, (request, answer) => {
    const known = request.endpointType === BROKER_ENDPOINTS;
    answer({
      throttleTimeMs: 0,
      errorCode: known ? KafkaErrorCode.NONE : KafkaErrorCode.MISMATCHED_ENDPOINT_TYPE,
      errorMessage: known ? null : 'The request was sent to an endpoint of brokers.',
      endpointType: BROKER_ENDPOINTS,
      clusterId: state.clusterId,
      controllerId: known ? (state.nodes()[0]?.id ?? -1) : -1,
      brokers: known
        ? state.nodes().map(({ id, host, port }) => ({ brokerId: id, host, port, rack: null }))
        : [],
      clusterAuthorizedOperations: NO_OPERATIONS,
    });
  });

  table.serve(describeTopicPartitions, (request, answer) => {
    const { cursor } = request;
    const from = cursor?.topicName ?? '';
    const wanted =
      request.topics.length === 0
        ? state.topics.all().map(({ name }) => name)
        : request.topics.map(({ name }) => name);
    const names = [...new Set(wanted)].filter((name) => name >= from).sort();
    let left = Math.max(1, Math.min(PAGE_MAX, request.responsePartitionLimit));
    let nextCursor: Cursor | null = null;
    const topics = [];
    for (const name of names) {
      if (left === 0) {
        nextCursor = { topicName: name, partitionIndex: 0 };
        break;
      }
      const page = pageOf(state, name, name === from ? (cursor?.partitionIndex ?? 0) : 0, left);
      topics.push(page.topic);
      left -= page.topic.partitions.length;
      if (page.next === null) continue;
      nextCursor = { topicName: name, partitionIndex: page.next };
      break;
    }
    answer({ throttleTimeMs: 0, topics, nextCursor });
  });
}

/** Partitions of a topic from `first` on, `limit` at most, and where the next page begins. */
function pageOf(state: BrokerState, name: string, first: number, limit: number) {
  const found = state.topics.find(name);
  const topic =
    found === undefined
      ? missing(name, NO_TOPIC_ID, KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
      : described(state, found);
  const last = first + limit;
  return {
    next: last < topic.partitions.length ? last : null,
    topic: {
      ...topic,
      partitions: topic.partitions.slice(first, last).map((partition) => ({
        ...partition,
        eligibleLeaderReplicas: [],
        lastKnownElr: [],
      })),
    },
  };
}
