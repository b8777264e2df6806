/** Topic and broker settings with Kafka's defaults, as DescribeConfigs shows and CreateTopics checks. */

/** ConfigDef types of the wire. */
export type ConfigType = 'boolean' | 'string' | 'int' | 'long' | 'double' | 'list';

interface ConfigEntry {
  readonly value: string;
  readonly type: ConfigType;
}

export const TOPIC_CONFIGS: ReadonlyMap<string, ConfigEntry> = new Map<string, ConfigEntry>([
  ['cleanup.policy', { value: 'delete', type: 'list' }],
  ['compression.type', { value: 'producer', type: 'string' }],
  ['delete.retention.ms', { value: '86400000', type: 'long' }],
  ['file.delete.delay.ms', { value: '60000', type: 'long' }],
  ['flush.messages', { value: '9223372036854775807', type: 'long' }],
  ['flush.ms', { value: '9223372036854775807', type: 'long' }],
  ['index.interval.bytes', { value: '4096', type: 'int' }],
  ['max.compaction.lag.ms', { value: '9223372036854775807', type: 'long' }],
  ['max.message.bytes', { value: '1048588', type: 'int' }],
  ['message.timestamp.after.max.ms', { value: '9223372036854775807', type: 'long' }],
  ['message.timestamp.before.max.ms', { value: '9223372036854775807', type: 'long' }],
  ['message.timestamp.type', { value: 'CreateTime', type: 'string' }],
  ['min.cleanable.dirty.ratio', { value: '0.5', type: 'double' }],
  ['min.compaction.lag.ms', { value: '0', type: 'long' }],
  ['min.insync.replicas', { value: '1', type: 'int' }],
  ['preallocate', { value: 'false', type: 'boolean' }],
  ['retention.bytes', { value: '-1', type: 'long' }],
  ['retention.ms', { value: '604800000', type: 'long' }],
  ['segment.bytes', { value: '1073741824', type: 'int' }],
  ['segment.index.bytes', { value: '10485760', type: 'int' }],
  ['segment.jitter.ms', { value: '0', type: 'long' }],
  ['segment.ms', { value: '604800000', type: 'long' }],
  ['unclean.leader.election.enable', { value: 'false', type: 'boolean' }],
]);

/** Numbers of DescribeConfigs v3 `configType`. */
export const CONFIG_TYPE_NUMBERS: Readonly<Record<ConfigType, number>> = {
  boolean: 1,
  string: 2,
  int: 3,
  long: 5,
  double: 6,
  list: 7,
};

const CLEANUP_POLICIES = new Set(['delete', 'compact']);

/** What is wrong with a setting, or null. */
export function faultOfConfig(name: string, value: string | null): string | null {
  const entry = TOPIC_CONFIGS.get(name);
  if (entry === undefined) return `Unknown topic config name: ${name}`;
  if (value === null) return `Null value not supported for topic config: ${name}`;
  const invalid = `Invalid value ${value} for configuration ${name}`;
  switch (entry.type) {
    case 'int':
    case 'long':
      return /^-?\d+$/.test(value) ? null : invalid;
    case 'double':
      return Number.isFinite(Number(value)) && value !== '' ? null : invalid;
    case 'boolean':
      return value === 'true' || value === 'false' ? null : invalid;
    case 'list':
      return value.split(',').every((policy) => CLEANUP_POLICIES.has(policy.trim()))
        ? null
        : invalid;
    default:
      if (name !== 'message.timestamp.type') return null;
      // LogAppendTime would rewrite batches; this broker keeps them as they came.
      return value === 'CreateTime' ? null : invalid;
  }
}
