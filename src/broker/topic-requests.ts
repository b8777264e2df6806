/** Topic administration: CreateTopics, CreatePartitions, DeleteTopics. */
import { createPartitions } from '../kafka/protocol/create-partitions.ts';
import { createTopics } from '../kafka/protocol/create-topics.ts';
import { deleteTopics } from '../kafka/protocol/delete-topics.ts';
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import type { Request } from '../kafka/protocol/schema.ts';
import type { ApiTable } from './api-table.ts';
import { topicConfigs } from './config-requests.ts';
import type { BrokerState } from './state.ts';
import { type Fault, NO_TOPIC_ID, type Topic, type TopicSpec } from './topics.ts';

const TOPIC_IDS_VERSION = 6;
const TWICE: Fault = {
  errorCode: KafkaErrorCode.INVALID_REQUEST,
  message: 'Duplicate topic name.',
};

export function serveTopicRequests(table: ApiTable, state: BrokerState): void {
  table.serve(createTopics, (request, answer) => {
    const [single, twice] = apart(request.topics, ({ name }) => name);
    const topics = single.map((asked) => created(state, asked, request.validateOnly));
    // Kafka names a topic that was asked for twice once, behind the others.
    answer({
      throttleTimeMs: 0,
      topics: [...topics, ...twice.map((name) => refused(name, TWICE))],
    });
  });

  table.serve(createPartitions, (request, answer) => {
    const [single, twice] = apart(request.topics, ({ name }) => name);
    const respond = (name: string, fault: Fault | null) => ({
      name,
      errorCode: fault?.errorCode ?? KafkaErrorCode.NONE,
      errorMessage: fault?.message ?? null,
    });
    const results = single.map(({ name, count, assignments }) => {
      const replicas = assignments?.map((each) => each.brokerIds) ?? null;
      const fault = state.topics.faultOfIncrease(name, count, replicas);
      if (fault === null && !request.validateOnly) state.topics.increase(name, count, replicas);
      return respond(name, fault);
    });
    answer({
      throttleTimeMs: 0,
      results: [...twice.map((name) => respond(name, TWICE)), ...results],
    });
  });

  table.serve(deleteTopics, (request, answer, { version }) => {
    const wanted: readonly Named[] =
      version >= TOPIC_IDS_VERSION
        ? request.topics
        : request.topicNames.map((name) => ({ name, topicId: NO_TOPIC_ID }));
    const [single, twice] = apart(wanted, ({ name, topicId }) => name ?? topicId);
    const responses = single.map((named) => deleted(state, named));
    const both = twice.map((key) => {
      const named = wanted.find(({ name, topicId }) => (name ?? topicId) === key)!;
      return deletion(named, KafkaErrorCode.INVALID_REQUEST, 'Duplicate topic.');
    });
    answer({ throttleTimeMs: 0, responses: [...both, ...responses] });
  });
}

/** What is asked for once, and the keys of what is asked for more often. */
function apart<T>(all: readonly T[], keyOf: (each: T) => string): [once: T[], twice: string[]] {
  const counts = new Map<string, number>();
  for (const each of all) counts.set(keyOf(each), (counts.get(keyOf(each)) ?? 0) + 1);
  const once = all.filter((each) => counts.get(keyOf(each)) === 1);
  return [once, [...counts].filter(([, count]) => count > 1).map(([key]) => key)];
}

type Asked = Request<typeof createTopics>['topics'][number];

function created(state: BrokerState, asked: Asked, validateOnly: boolean) {
  const { name } = asked;
  const indexes = asked.assignments.map((each) => each.partitionIndex).sort((a, b) => a - b);
  if (indexes.some((index, place) => index !== place)) {
    const message = 'partitions should be a consecutive 0-based integer sequence';
    return refused(name, { errorCode: KafkaErrorCode.INVALID_REPLICA_ASSIGNMENT, message });
  }
  const spec: TopicSpec = {
    name,
    partitions: asked.numPartitions,
    replicationFactor: asked.replicationFactor,
    assignments: [...asked.assignments]
      .sort((a, b) => a.partitionIndex - b.partitionIndex)
      .map((each) => each.brokerIds),
    configs: asked.configs,
  };
  const fault = state.topics.fault(spec);
  if (fault !== null) return refused(name, fault);
  const topic = validateOnly ? state.topics.plan(spec) : state.topics.create(spec);
  return {
    name,
    topicId: topic.id,
    errorCode: KafkaErrorCode.NONE,
    errorMessage: null,
    topicConfigErrorCode: KafkaErrorCode.NONE,
    numPartitions: topic.partitions.length,
    replicationFactor: topic.partitions[0]!.replicas.length,
    configs: topicConfigs(topic),
  };
}

function refused(name: string, fault: Fault) {
  return {
    name,
    topicId: NO_TOPIC_ID,
    errorCode: fault.errorCode,
    errorMessage: fault.message,
    topicConfigErrorCode: KafkaErrorCode.NONE,
    numPartitions: -1,
    replicationFactor: -1,
    configs: null,
  };
}

interface Named {
  readonly name: string | null;
  readonly topicId: string;
}

function deleted(state: BrokerState, named: Named) {
  const { name, topicId } = named;
  if (name === null && topicId === NO_TOPIC_ID) {
    const message = 'Neither topic name nor id were specified.';
    return deletion(named, KafkaErrorCode.INVALID_REQUEST, message);
  }
  if (name !== null && topicId !== NO_TOPIC_ID) {
    const message = 'You may not specify both topic name and topic id.';
    return deletion(named, KafkaErrorCode.INVALID_REQUEST, message);
  }
  const topic: Topic | undefined =
    name === null ? state.topics.findById(topicId) : state.topics.find(name);
  if (topic === undefined) {
    const { UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION } = KafkaErrorCode;
    return deletion(named, name === null ? UNKNOWN_TOPIC_ID : UNKNOWN_TOPIC_OR_PARTITION, null);
  }
  state.topics.delete(topic.name);
  state.groups.forgetTopic(topic.name);
  return deletion({ name: topic.name, topicId: topic.id }, KafkaErrorCode.NONE, null);
}

function deletion({ name, topicId }: Named, errorCode: number, errorMessage: string | null) {
  return { name, topicId, errorCode, errorMessage };
}
