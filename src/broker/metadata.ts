/** What there is: ApiVersions, Metadata, FindCoordinator. */
import { apiVersions } from '../kafka/protocol/api-versions.ts';
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import { findCoordinator } from '../kafka/protocol/find-coordinator.ts';
import { metadata } from '../kafka/protocol/metadata.ts';
import type { ApiTable } from './api-table.ts';
import type { BrokerState } from './state.ts';
import { NO_TOPIC_ID, type Topic } from './topics.ts';
import { FEATURES } from './versions.ts';

const GROUP_KEY = 0;
const TRANSACTION_KEY = 1;
/** "Not asked for", in the fields of authorized operations. */
const NO_OPERATIONS = -2_147_483_648;

export function serveMetadata(table: ApiTable, state: BrokerState): void {
  table.serve(apiVersions, (_request, answer) => {
    answer({ errorCode: KafkaErrorCode.NONE, ...offered(table, state), throttleTimeMs: 0 });
  });

  table.serve(metadata, (request, answer) => {
    const wish = request.allowAutoTopicCreation ? 'create' : 'refuse';
    const topics =
      request.topics === null
        ? state.topics.all().map((topic) => described(state, topic))
        : request.topics.map(({ name, topicId }) => found(state, name, topicId, wish));
    answer({
      throttleTimeMs: 0,
      brokers: state.nodes().map(({ id, host, port }) => ({ nodeId: id, host, port, rack: null })),
      clusterId: state.clusterId,
      controllerId: state.nodes()[0]?.id ?? -1,
      topics,
      clusterAuthorizedOperations: NO_OPERATIONS,
    });
  });

  table.serve(findCoordinator, (request, answer, { version }) => {
    const find = (key: string) => coordinator(state, key, request.keyType);
    if (version >= 4) answer({ coordinators: request.coordinatorKeys.map(find) });
    else answer(find(request.key));
  });
}

/** The body of ApiVersions. */
export function offered(table: ApiTable, { settings }: BrokerState) {
  return {
    apiKeys: table.offered().map(({ key, min, max }) => ({
      apiKey: key,
      minVersion: min,
      maxVersion: max,
    })),
    ...FEATURES[settings.transactionVersion],
  };
}

function found(
  state: BrokerState,
  name: string | null,
  topicId: string,
  wish: 'create' | 'refuse',
) {
  const topic = name === null ? state.topics.findById(topicId) : state.topics.find(name);
  if (topic !== undefined) return described(state, topic);
  if (name === null) return missing(null, topicId, KafkaErrorCode.UNKNOWN_TOPIC_ID);
  if (wish === 'refuse' || state.settings.unknownTopics === 'refuse') {
    return missing(name, NO_TOPIC_ID, KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  }
  const spec = { name, partitions: -1, replicationFactor: -1, assignments: [], configs: [] };
  const fault = state.topics.fault(spec);
  return fault === null
    ? described(state, state.topics.create(spec))
    : missing(name, NO_TOPIC_ID, fault.errorCode);
}

export function described(state: BrokerState, topic: Topic) {
  return {
    errorCode: KafkaErrorCode.NONE as number,
    name: topic.name as string | null,
    topicId: topic.id,
    isInternal: false,
    partitions: topic.partitions.map(({ index, leader, log, replicas, inSync }) => ({
      errorCode: (leader < 0 ? KafkaErrorCode.LEADER_NOT_AVAILABLE : KafkaErrorCode.NONE) as number,
      partitionIndex: index,
      leaderId: leader,
      leaderEpoch: log.leaderEpoch,
      replicaNodes: [...replicas],
      isrNodes: [...inSync],
      offlineReplicas: replicas.filter((node) => !state.isUp(node)),
    })),
    topicAuthorizedOperations: NO_OPERATIONS,
  };
}

export function missing(
  name: string | null,
  topicId: string,
  errorCode: number,
): ReturnType<typeof described> {
  return {
    errorCode,
    name,
    topicId,
    isInternal: false,
    partitions: [],
    topicAuthorizedOperations: NO_OPERATIONS,
  };
}

function coordinator(state: BrokerState, key: string, keyType: number) {
  if (keyType !== GROUP_KEY && keyType !== TRANSACTION_KEY) {
    const errorCode: number = KafkaErrorCode.INVALID_REQUEST;
    return { key, nodeId: -1, host: '', port: -1, errorCode, errorMessage: 'unknown key type' };
  }
  const nodeId = state.coordinatorOf(keyType === GROUP_KEY ? 'group' : 'transaction', key);
  const address = state.nodes().find(({ id }) => id === nodeId);
  if (address === undefined) {
    const errorCode: number = KafkaErrorCode.COORDINATOR_NOT_AVAILABLE;
    return { key, nodeId: -1, host: '', port: -1, errorCode, errorMessage: 'no node is up' };
  }
  const { host, port } = address;
  const errorMessage: string | null = null;
  return { key, nodeId, host, port, errorCode: KafkaErrorCode.NONE as number, errorMessage };
}
