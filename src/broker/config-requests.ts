/** Settings: DescribeConfigs, IncrementalAlterConfigs, AlterConfigs. Those of nodes are read-only. */
import { alterConfigs } from '../kafka/protocol/alter-configs.ts';
import { describeConfigs } from '../kafka/protocol/describe-configs.ts';
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import { incrementalAlterConfigs } from '../kafka/protocol/incremental-alter-configs.ts';
import type { ApiTable } from './api-table.ts';
import type { BrokerState } from './state.ts';
import {
  CONFIG_TYPE_NUMBERS,
  type ConfigType,
  configOf,
  faultOfConfigs,
  TOPIC_CONFIGS,
} from './topic-configs.ts';
import type { Fault, Topic } from './topics.ts';

const TOPIC_RESOURCE = 2;
const BROKER_RESOURCE = 4;
const SOURCE_TOPIC = 1;
const SOURCE_STATIC_BROKER = 4;
const SOURCE_DEFAULT = 5;
const OPERATIONS = ['set', 'delete', 'append', 'subtract'] as const;

type Operation = (typeof OPERATIONS)[number];
type Settings = ReadonlyMap<string, string>;

interface Change {
  readonly name: string;
  readonly value: string | null;
}

interface Resource<C extends Change> {
  readonly resourceType: number;
  readonly resourceName: string;
  readonly configs: readonly C[];
}

export function serveConfigRequests(table: ApiTable, state: BrokerState): void {
  table.serve(describeConfigs, (request, answer) => {
    answer({ throttleTimeMs: 0, results: request.resources.map((each) => described(state, each)) });
  });

  table.serve(incrementalAlterConfigs, (request, answer) => {
    const responses = request.resources.map((resource) =>
      altered(state, request, resource, (before) => incremented(before, resource.configs)),
    );
    answer({ throttleTimeMs: 0, responses });
  });

  table.serve(alterConfigs, (request, answer) => {
    const responses = request.resources.map((resource) =>
      altered(
        state,
        request,
        resource,
        () => new Map(resource.configs.map(({ name, value }) => [name, value ?? ''])),
      ),
    );
    answer({ throttleTimeMs: 0, responses });
  });
}

function described(
  state: BrokerState,
  resource: {
    readonly resourceType: number;
    readonly resourceName: string;
    readonly configurationKeys: readonly string[] | null;
  },
) {
  const { resourceType, resourceName, configurationKeys } = resource;
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
  const isNode = state.nodes().some(({ id }) => String(id) === resourceName);
  if (resourceType === BROKER_RESOURCE && !isNode) {
    return refuse(KafkaErrorCode.INVALID_REQUEST, `no node ${resourceName}`);
  }
  const isTopic = resourceType === TOPIC_RESOURCE && topic !== undefined;
  const all = isTopic ? topicConfigs(topic) : brokerConfigs(state);
  // No names and null both ask for all.
  const names = new Set(configurationKeys ?? []);
  const configs = names.size === 0 ? all : all.filter(({ name }) => names.has(name));
  const errorCode: number = KafkaErrorCode.NONE;
  return { errorCode, errorMessage: null, resourceType, resourceName, configs };
}

/** Checks and applies a change of one resource; `change` answers its settings afterwards. */
function altered<C extends Change & { readonly configOperation?: number }>(
  state: BrokerState,
  request: { readonly validateOnly: boolean; readonly resources: readonly Resource<C>[] },
  resource: Resource<C>,
  change: (before: Settings) => Settings | Fault,
) {
  const { resourceType, resourceName } = resource;
  const respond = ({ errorCode, message }: Fault) => ({
    errorCode,
    errorMessage: errorCode === KafkaErrorCode.NONE ? null : message,
    resourceType,
    resourceName,
  });
  const malformed = faultOfRequest(request.resources, resource);
  if (malformed !== null) return respond(malformed);
  const topic = state.topics.find(resourceName);
  // Settings are checked before the topic is missed.
  const settings = change(topic?.configs ?? new Map());
  if ('errorCode' in settings) return respond(settings);
  const message = faultOfConfigs(settings);
  if (message !== null) return respond(fault(KafkaErrorCode.INVALID_CONFIG, message));
  if (topic === undefined) {
    const unknown = `The topic '${resourceName}' does not exist.`;
    return respond(fault(KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION, unknown));
  }
  if (!request.validateOnly) state.topics.configure(resourceName, settings);
  return respond(fault(KafkaErrorCode.NONE, ''));
}

function faultOfRequest(
  resources: readonly Resource<Change>[],
  resource: Resource<Change & { readonly configOperation?: number }>,
): Fault | null {
  const { resourceType, resourceName, configs } = resource;
  const invalid = (message: string) => fault(KafkaErrorCode.INVALID_REQUEST, message);
  const isSame = (each: Resource<Change>) =>
    each.resourceType === resourceType && each.resourceName === resourceName;
  if (resources.filter(isSame).length > 1)
    return invalid('Each resource must appear at most once.');
  if (new Set(configs.map(({ name }) => name)).size < configs.length) {
    return invalid('Error due to duplicate config keys');
  }
  const empty = configs.filter(
    ({ value, configOperation = 0 }) => value === null && OPERATIONS[configOperation] !== 'delete',
  );
  if (empty.length > 0) {
    return invalid(`Null value not supported for : ${empty.map(({ name }) => name).join(', ')}`);
  }
  if (resourceType === BROKER_RESOURCE) {
    return invalid('Cannot update these configs dynamically: nodes here have fixed settings');
  }
  return resourceType === TOPIC_RESOURCE ? null : invalid(`Unknown resource type ${resourceType}`);
}

function incremented(
  before: Settings,
  changes: readonly (Change & { readonly configOperation: number })[],
): Settings | Fault {
  const after = new Map(before);
  for (const { name, value, configOperation } of changes) {
    const operation: Operation | undefined = OPERATIONS[configOperation];
    if (operation === undefined) {
      return fault(KafkaErrorCode.INVALID_REQUEST, `Unknown operation ${configOperation}`);
    }
    if (operation === 'set') after.set(name, value ?? '');
    else if (operation === 'delete') after.delete(name);
    else if (TOPIC_CONFIGS.get(name)?.type === 'list') {
      after.set(name, edited(configOf(after, name), value ?? '', operation));
    } else {
      const message = `Can't ${operation.toUpperCase()} to key ${name} because its type is not LIST.`;
      return fault(KafkaErrorCode.INVALID_CONFIG, message);
    }
  }
  return after;
}

function edited(list: string, change: string, operation: 'append' | 'subtract'): string {
  const parts = list.split(',').filter((part) => part !== '');
  const changes = change.split(',');
  return operation === 'append'
    ? [...new Set([...parts, ...changes])].join(',')
    : parts.filter((part) => !changes.includes(part)).join(',');
}

export function topicConfigs(topic: Topic) {
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
    shown(name, String(value), type, SOURCE_STATIC_BROKER, 'read-only'),
  );
}

function shown(
  name: string,
  value: string,
  type: ConfigType,
  configSource: number,
  access: 'read-only' | 'open' = 'open',
) {
  return {
    name,
    value,
    readOnly: access === 'read-only',
    configSource,
    isSensitive: false,
    synonyms: [],
    configType: CONFIG_TYPE_NUMBERS[type],
    documentation: null,
  };
}

function fault(errorCode: number, message: string): Fault {
  return { errorCode, message };
}
