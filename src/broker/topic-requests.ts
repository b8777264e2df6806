/** Topic administration: CreateTopics, DeleteTopics, DescribeConfigs. */
import { createTopics } from '../kafka/protocol/create-topics.ts';
import { deleteTopics } from '../kafka/protocol/delete-topics.ts';
import { describeConfigs } from '../kafka/protocol/describe-configs.ts';
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import type { ApiTable } from './api-table.ts';
import type { BrokerState } from './state.ts';
import { CONFIG_TYPE_NUMBERS, type ConfigType, TOPIC_CONFIGS } from './topic-configs.ts';
import type { Topic, TopicSpec } from './topics.ts';

const TOPIC_RESOURCE = 2;
const BROKER_RESOURCE = 4;
const SOURCE_TOPIC = 1;
const SOURCE_STATIC_BROKER = 4;
const SOURCE_DEFAULT = 5;
const NO_ID = '0'.repeat(32);

export function serveTopicRequests(table: ApiTable, state: BrokerState): void {
  table.serve(createTopics, (request, answer) => {
    const counts = new Map<string, number>();
    for (const { name } of request.topics) counts.set(name, (counts.get(name) ?? 0) + 1);
    const topics = request.topics.map((asked) => {
      const spec: TopicSpec = {
        name: asked.name,
        partitions: asked.numPartitions,
        replicationFactor: asked.replicationFactor,
        assignments: asked.assignments.map((each) => each.brokerIds),
        configs: asked.configs,
      };
      if (counts.get(asked.name) !== 1) {
        const message = `The topic ${asked.name} is named twice in one request`;
        return creation(asked.name, { errorCode: KafkaErrorCode.INVALID_REQUEST, message });
      }
      const fault = state.topics.fault(spec);
      if (fault !== null) return creation(asked.name, fault);
      if (request.validateOnly) return creation(asked.name, null);
      return creation(asked.name, null, state.topics.create(spec));
    });
    answer({ throttleTimeMs: 0, topics });
  });

  table.serve(deleteTopics, (request, answer, { version }) => {
    const wanted =
      version >= 6 ? request.topics : request.topicNames.map((name) => ({ name, topicId: NO_ID }));
    const responses = wanted.map(({ name, topicId }) => {
      const topic = name === null ? state.topics.findById(topicId) : state.topics.find(name);
      const errorCode =
        topic !== undefined
          ? KafkaErrorCode.NONE
          : name === null
            ? KafkaErrorCode.UNKNOWN_TOPIC_ID
            : KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
      if (topic !== undefined) {
        state.topics.delete(topic.name);
        state.groups.forgetTopic(topic.name);
      }
      return {
        name: topic?.name ?? name,
        topicId: topic?.id ?? topicId,
        errorCode,
        errorMessage: null,
      };
    });
    answer({ throttleTimeMs: 0, responses });
  });

  table.serve(describeConfigs, (request, answer) => {
    const results = request.resources.map((resource) => {
      const { resourceType, resourceName, configurationKeys } = resource;
      const wanted = (name: string) =>
        configurationKeys === null ||
        configurationKeys.length === 0 ||
        configurationKeys.includes(name);
      const refuse = (errorCode: number, errorMessage: string) => ({
        errorCode,
        errorMessage,
        resourceType,
        resourceName,
        configs: [],
      });
      if (resourceType !== TOPIC_RESOURCE && resourceType !== BROKER_RESOURCE) {
        return refuse(KafkaErrorCode.INVALID_REQUEST, `unsupported resource type ${resourceType}`);
      }
      const topic = state.topics.find(resourceName);
      if (resourceType === TOPIC_RESOURCE && topic === undefined) {
        return refuse(KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `no topic ${resourceName}`);
      }
      const all = topic === undefined ? brokerConfigs(state) : topicConfigs(topic);
      const configs = all.filter(({ name }) => wanted(name));
      const errorCode: number = KafkaErrorCode.NONE;
      return { errorCode, errorMessage: null, resourceType, resourceName, configs };
    });
    answer({ throttleTimeMs: 0, results });
  });
}

function creation(
  name: string,
  fault: { errorCode: number; message: string } | null,
  topic?: Topic,
) {
  return {
    name,
    topicId: topic?.id ?? NO_ID,
    errorCode: fault?.errorCode ?? KafkaErrorCode.NONE,
    errorMessage: fault?.message ?? null,
    topicConfigErrorCode: KafkaErrorCode.NONE,
    numPartitions: topic?.partitions.length ?? -1,
    replicationFactor: topic === undefined ? -1 : 1,
    configs: topic === undefined ? null : topicConfigs(topic),
  };
}

function topicConfigs(topic: Topic) {
  return [...TOPIC_CONFIGS].map(([name, { value, type }]) => {
    const given = topic.configs.get(name);
    return shown(name, given ?? value, type, given === undefined ? SOURCE_DEFAULT : SOURCE_TOPIC);
  });
}

function brokerConfigs({ settings }: BrokerState) {
  const values: readonly (readonly [string, string | number, ConfigType])[] = [
    ['auto.create.topics.enable', String(settings.unknownTopics === 'create'), 'boolean'],
    ['group.initial.rebalance.delay.ms', settings.initialRebalanceDelayMs, 'int'],
    ['group.max.session.timeout.ms', settings.sessionTimeoutMaxMs, 'int'],
    ['group.min.session.timeout.ms', settings.sessionTimeoutMinMs, 'int'],
    ['message.max.bytes', TOPIC_CONFIGS.get('max.message.bytes')!.value, 'int'],
    ['num.partitions', settings.partitionsDefault, 'int'],
    ['offset.metadata.max.bytes', settings.offsetMetadataMax, 'int'],
    ['transaction.max.timeout.ms', settings.transactionTimeoutMaxMs, 'int'],
  ];
  return values.map(([name, value, type]) =>
    shown(name, String(value), type, SOURCE_STATIC_BROKER),
  );
}

function shown(name: string, value: string, type: ConfigType, configSource: number) {
  return {
    name,
    value,
    readOnly: false,
    configSource,
    isSensitive: false,
    synonyms: [],
    configType: CONFIG_TYPE_NUMBERS[type],
    documentation: null,
  };
}
