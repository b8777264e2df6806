/**
 * What topics that exist must be like: settings are read, compared and reported, never changed.
 *
 * I1. Every difference is found before the first is reported.
 * I2. What is stricter than needed passes: longer retention, more copies in sync.
 */
import { EscapementError } from '../../errors.ts';
import { repeat } from '../cluster/attempts.ts';
import type { Cluster, TopicState } from '../cluster/cluster.ts';
import { describeConfigs } from '../protocol/describe-configs.ts';
import { brokerError } from '../protocol/error-codes.ts';

const TOPIC = 2;
const CLEANUP_POLICY = 'cleanup.policy';
const RETENTION = 'retention.ms';
const TIMESTAMP_TYPE = 'message.timestamp.type';
const IN_SYNC = 'min.insync.replicas';
const BATCH_BYTES = 'max.message.bytes';
const CHECKED = [CLEANUP_POLICY, RETENTION, TIMESTAMP_TYPE, IN_SYNC];
/** Of a record batch besides its records. */
const BATCH_OVERHEAD_BYTES = 128;

export interface TopicSpec {
  readonly name: string;
  readonly partitions: number;
  /** -1 (default): the broker's `default.replication.factor`. */
  readonly replicationFactor?: number;
  readonly configs: Readonly<Record<string, string>>;
  /** Set where the broker knows them, and not compared: newer brokers have a default that is in the way. */
  readonly optionalConfigs?: Readonly<Record<string, string>>;
}

/** Values by topic and name; throws when one topic cannot be described. */
export function topicSettings(
  cluster: Cluster,
  topics: readonly string[],
  names: readonly string[],
): Promise<ReadonlyMap<string, ReadonlyMap<string, string>>> {
  if (topics.length === 0) return Promise.resolve(new Map());
  return repeat(cluster.lookups, async (timeoutMs) => {
    const resources = topics.map((resourceName) => ({
      resourceType: TOPIC,
      resourceName,
      configurationKeys: [...names],
    }));
    const answer = await cluster.send(
      'any',
      describeConfigs,
      { resources },
      { lane: 'transaction', timeoutMs },
    );
    const settings = new Map<string, ReadonlyMap<string, string>>();
    for (const { errorCode, resourceName, configs } of answer.results) {
      if (errorCode !== 0) {
        const what = `DescribeConfigs of '${resourceName}'`;
        throw brokerError(errorCode, what, { topic: resourceName });
      }
      settings.set(resourceName, new Map(configs.map(({ name, value }) => [name, value ?? ''])));
    }
    return settings;
  });
}

/** How topics differ from what is needed, one line each. */
export async function differencesOf(
  cluster: Cluster,
  specs: readonly TopicSpec[],
  present: ReadonlyMap<string, TopicState>,
): Promise<string[]> {
  const names = specs.map(({ name }) => name);
  const settings = await topicSettings(cluster, names, CHECKED);
  return specs.flatMap((spec) => {
    const state = present.get(spec.name);
    const found = state?.partitions;
    const wrong = differencesIn(spec, settings.get(spec.name) ?? new Map());
    if (found !== spec.partitions) {
      wrong.unshift(`'${spec.name}' has ${found} partitions, needed are ${spec.partitions}`);
    }
    const inSync = Number(settings.get(spec.name)?.get(IN_SYNC) ?? 1);
    if (state !== undefined && state.replicas > 0 && inSync > state.replicas) {
      wrong.push(
        `'${spec.name}' has ${IN_SYNC} '${inSync}', and its replication factor is ${state.replicas}: nothing could be written`,
      );
    }
    return wrong;
  });
}

function differencesIn({ name, configs }: TopicSpec, found: ReadonlyMap<string, string>): string[] {
  const wrong: string[] = [];
  const compare = (setting: string, fits: (value: string, needed: string) => boolean): void => {
    const needed = configs[setting];
    const value = found.get(setting) ?? '';
    if (needed === undefined || fits(value, needed)) return;
    wrong.push(`'${name}' has ${setting} '${value}', needed is '${needed}'`);
  };
  compare(CLEANUP_POLICY, (value, needed) => setOf(value) === setOf(needed));
  compare(RETENTION, (value, needed) => forEver(value) >= forEver(needed));
  compare(TIMESTAMP_TYPE, (value, needed) => value === needed);
  compare(IN_SYNC, (value, needed) => Number(value) >= Number(needed));
  return wrong;
}

function forEver(retentionMs: string): number {
  const value = Number(retentionMs);
  return value < 0 ? Number.POSITIVE_INFINITY : value;
}

export interface BatchLimits {
  readonly recordBytesMax: number;
  readonly batchBytesMax: number;
}

/**
 * Refuses topics whose `max.message.bytes` is below what may be sent to them: the broker would refuse
 * a batch in the middle of a step, and again at every start. Topics whose settings we may not read
 * are let through, which the log tells. Throws `TOPIC_MISMATCH` with all of them.
 */
export async function checkBatchLimits(
  cluster: Cluster,
  topics: readonly string[],
  { recordBytesMax, batchBytesMax }: BatchLimits,
): Promise<void> {
  const option = recordBytesMax > batchBytesMax ? 'recordBytesMax' : 'batchBytesMax';
  const most = Math.max(recordBytesMax, batchBytesMax) + BATCH_OVERHEAD_BYTES;
  const limits = await Promise.all(topics.map((topic) => batchLimitOf(cluster, topic)));
  const wrong = topics.flatMap((topic, i) => {
    const limit = limits[i] ?? null;
    if (limit === null || most <= limit) return [];
    return [`'${topic}' has ${BATCH_BYTES} '${limit}', ${option} asks for '${most}'`];
  });
  if (wrong.length === 0) return;
  throw new EscapementError(
    'TOPIC_MISMATCH',
    `Topics take smaller batches than may be sent to them:\n${listed(wrong)}\n` +
      `Raise ${BATCH_BYTES} of the topics, or lower the options recordBytesMax and batchBytesMax.`,
  );
}

async function batchLimitOf(cluster: Cluster, topic: string): Promise<number | null> {
  try {
    const value = (await topicSettings(cluster, [topic], [BATCH_BYTES]))
      .get(topic)
      ?.get(BATCH_BYTES);
    return value === undefined || value === '' ? null : Number(value);
  } catch (cause) {
    if (!(cause instanceof EscapementError) || cause.code !== 'NOT_AUTHORIZED') throw cause;
    cluster.log.info({ topic, reason: cause.message }, 'the size limit of a topic is not known');
    return null;
  }
}

export function listed(lines: readonly string[]): string {
  return lines.map((line) => `  - ${line}`).join('\n');
}

/** 'compact,delete' and 'delete, compact' are one policy. */
function setOf(policy: string): string {
  return policy
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .sort()
    .join(',');
}
