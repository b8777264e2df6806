/**
 * Topic settings with Kafka's defaults and bounds: what CreateTopics and IncrementalAlterConfigs
 * check and DescribeConfigs shows. Those of Kafka 4.3; the few that 3.9 knew besides them rule
 * formats of before 2017, and are unknown here.
 */

/** ConfigDef types of the wire. */
export type ConfigType = 'boolean' | 'string' | 'int' | 'long' | 'double' | 'list';

export interface ConfigEntry {
  readonly value: string;
  readonly type: ConfigType;
  readonly min?: number;
  readonly max?: number;
  readonly oneOf?: ReadonlySet<string>;
}

const FOR_EVER = '9223372036854775807';
const INT_MAX = 2_147_483_647;
/** Beyond it a long is not told from its neighbours; nobody sets one to the last digit. */
const LONG_MAX = 9_223_372_036_854_775_807n;
const COMPRESSIONS = new Set(['uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer']);
const POLICIES = new Set(['compact', 'delete']);
// LogAppendTime would rewrite batches; this broker keeps them as they came.
const TIMESTAMP_TYPES = new Set(['CreateTime']);

const int = (value: number, min: number, max = INT_MAX): ConfigEntry => ({
  value: String(value),
  type: 'int',
  min,
  max,
});
const long = (value: number | string, min?: number): ConfigEntry => ({
  value: String(value),
  type: 'long',
  ...(min === undefined ? {} : { min }),
});
const no: ConfigEntry = { value: 'false', type: 'boolean' };
const list = (value: string, oneOf?: ReadonlySet<string>): ConfigEntry => ({
  value,
  type: 'list',
  ...(oneOf === undefined ? {} : { oneOf }),
});

export const TOPIC_CONFIGS: ReadonlyMap<string, ConfigEntry> = new Map<string, ConfigEntry>([
  ['cleanup.policy', list('delete', POLICIES)],
  ['compression.gzip.level', int(-1, -1, 9)],
  ['compression.lz4.level', int(9, 1, 17)],
  ['compression.type', { value: 'producer', type: 'string', oneOf: COMPRESSIONS }],
  ['compression.zstd.level', int(3, -131_072, 22)],
  ['delete.retention.ms', long(86_400_000, 0)],
  ['file.delete.delay.ms', long(60_000, 0)],
  ['flush.messages', long(FOR_EVER, 1)],
  ['flush.ms', long(FOR_EVER, 0)],
  ['follower.replication.throttled.replicas', list('')],
  ['index.interval.bytes', int(4_096, 0)],
  ['leader.replication.throttled.replicas', list('')],
  ['local.retention.bytes', long(-2, -2)],
  ['local.retention.ms', long(-2, -2)],
  ['max.compaction.lag.ms', long(FOR_EVER, 1)],
  ['max.message.bytes', int(1_048_588, 0)],
  ['message.timestamp.after.max.ms', long(3_600_000, 0)],
  ['message.timestamp.before.max.ms', long(FOR_EVER, 0)],
  ['message.timestamp.type', { value: 'CreateTime', type: 'string', oneOf: TIMESTAMP_TYPES }],
  ['min.cleanable.dirty.ratio', { value: '0.5', type: 'double', min: 0, max: 1 }],
  ['min.compaction.lag.ms', long(0, 0)],
  ['min.insync.replicas', int(1, 1)],
  ['preallocate', no],
  ['remote.log.copy.disable', no],
  ['remote.log.delete.on.disable', no],
  ['remote.storage.enable', no],
  ['retention.bytes', long(-1)],
  ['retention.ms', long(604_800_000, -1)],
  ['segment.bytes', int(1_073_741_824, 1_048_576)],
  ['segment.index.bytes', int(10_485_760, 4)],
  ['segment.jitter.ms', long(0, 0)],
  ['segment.ms', long(604_800_000, 1)],
  ['unclean.leader.election.enable', no],
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

/** What is wrong with one setting, or null. */
export function faultOfConfig(name: string, value: string | null): string | null {
  const entry = TOPIC_CONFIGS.get(name);
  if (entry === undefined) return `Unknown topic config name: ${name}`;
  if (value === null) return `Null value not supported for topic configs: ${name}`;
  return isFit(entry, value) ? null : `Invalid value ${value} for configuration ${name}`;
}

/** What is wrong with all settings of a topic together, or null. */
export function faultOfConfigs(configs: ReadonlyMap<string, string>): string | null {
  for (const [name, value] of configs) {
    const fault = faultOfConfig(name, value);
    if (fault !== null) return fault;
  }
  const [least, most] = ['min.compaction.lag.ms', 'max.compaction.lag.ms'].map((name) =>
    BigInt(configOf(configs, name)),
  );
  return least! > most!
    ? `conflict topic config setting min.compaction.lag.ms (${least}) > max.compaction.lag.ms (${most})`
    : null;
}

/** The value that is set, or Kafka's default. */
export function configOf(configs: ReadonlyMap<string, string>, name: string): string {
  return configs.get(name) ?? TOPIC_CONFIGS.get(name)?.value ?? '';
}

function isFit(entry: ConfigEntry, value: string): boolean {
  const { type, oneOf, min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = entry;
  const text = value.trim();
  switch (type) {
    case 'int':
    case 'long': {
      if (!/^[-+]?\d+$/.test(text)) return false;
      const number = BigInt(text);
      const isLong = number <= LONG_MAX && number >= -LONG_MAX - 1n;
      return isLong && Number(number) >= min && Number(number) <= max;
    }
    case 'double':
      return text !== '' && Number(text) >= min && Number(text) <= max;
    case 'boolean':
      return /^(true|false)$/i.test(text);
    case 'list': {
      const parts = text === '' ? [] : text.split(',').map((part) => part.trim());
      return oneOf === undefined || parts.every((part) => oneOf.has(part));
    }
    default:
      return oneOf === undefined || oneOf.has(value);
  }
}
