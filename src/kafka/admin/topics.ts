/**
 * Creates, checks and removes topics.
 *
 * I1. `ensureTopics` never changes a topic that exists: it reports every difference at once.
 * I2. Two instances may create the same topics at the same time: the second finds them.
 */
import { EscapementError } from '../../errors.ts';
import { atLeader } from '../cluster/at-leader.ts';
import { repeat } from '../cluster/attempts.ts';
import type { Cluster, TopicState } from '../cluster/cluster.ts';
import { createTopics } from '../protocol/create-topics.ts';
import { deleteRecords as deleteRecordsApi } from '../protocol/delete-records.ts';
import { deleteTopics as deleteTopicsApi } from '../protocol/delete-topics.ts';
import { describeConfigs } from '../protocol/describe-configs.ts';
import { brokerError, KafkaErrorCode } from '../protocol/error-codes.ts';

export { deleteGroup } from './groups.ts';
export { listOffsets } from './list-offsets.ts';

export interface TopicSpec {
  readonly name: string;
  readonly partitions: number;
  /** -1 (default): the broker's `default.replication.factor`. */
  readonly replicationFactor?: number;
  readonly configs: Readonly<Record<string, string>>;
}

const TOPIC = 2;
const CLEANUP_POLICY = 'cleanup.policy';

/**
 * Creates the topics that are missing and checks partitions and cleanup.policy of the others.
 * Throws `TOPIC_MISMATCH` with all differences. Resolves when every partition has a leader.
 */
export async function ensureTopics(cluster: Cluster, specs: readonly TopicSpec[]): Promise<void> {
  if (specs.length === 0) return;
  const names = specs.map(({ name }) => name);
  const existing = await cluster.topics(names);
  const missing = specs.filter(({ name }) => !existing.has(name));
  if (missing.length > 0) await create(cluster, missing);
  const present = await settled(cluster, specs);
  const differences = await differencesOf(cluster, specs, present);
  if (differences.length === 0) return;
  throw new EscapementError(
    'TOPIC_MISMATCH',
    `${differences.length === 1 ? 'A topic differs' : 'Topics differ'} from what is needed:\n` +
      `${differences.map((difference) => `  - ${difference}`).join('\n')}\n` +
      'Change the topics, or remove those that hold nothing of value, and start again.',
  );
}

/** Removes topics; those that do not exist are passed over. */
export async function deleteTopics(cluster: Cluster, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  const timeoutMs = cluster.requestTimeoutMs;
  await repeat({ ports: cluster.ports, timeoutMs }, async () => {
    // The controller of the last metadata answer may have changed.
    await cluster.topics([]);
    const answer = await cluster.send(
      cluster.controller,
      deleteTopicsApi,
      (version) =>
        version >= 6
          ? { topics: names.map((name) => ({ name, topicId: NO_ID })), timeoutMs }
          : { topicNames: [...names], timeoutMs },
      { lane: 'transaction', timeoutMs: timeoutMs * 2 },
    );
    for (const { name, errorCode } of answer.responses) {
      if (errorCode === 0 || errorCode === KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION) continue;
      throw brokerError(errorCode, `DeleteTopics of '${name}'`, { topic: name ?? '' });
    }
  });
}

const NO_ID = '00000000000000000000000000000000';

export interface RecordsBefore {
  readonly topic: string;
  readonly partition: number;
  /** First offset to keep. */
  readonly offset: number;
}

/** Moves the starts of logs forward. */
export async function deleteRecords(
  cluster: Cluster,
  partitions: readonly RecordsBefore[],
): Promise<void> {
  await Promise.all(
    partitions.map(({ topic, partition, offset }) =>
      atLeader(cluster, topic, partition, async (node) => {
        const cut = { partitionIndex: partition, offset };
        const answer = await cluster.send(
          node,
          deleteRecordsApi,
          {
            topics: [{ name: topic, partitions: [cut] }],
            timeoutMs: cluster.requestTimeoutMs,
          },
          { lane: 'transaction', timeoutMs: cluster.requestTimeoutMs * 2 },
        );
        const code = answer.topics[0]?.partitions[0]?.errorCode ?? -1;
        if (code === 0) return;
        const what = `DeleteRecords of ${topic}-${partition} before ${offset}`;
        throw brokerError(code, what, { topic, partition, offset });
      }),
    ),
  );
}

async function create(cluster: Cluster, specs: readonly TopicSpec[]): Promise<void> {
  const timeoutMs = cluster.requestTimeoutMs;
  await repeat({ ports: cluster.ports, timeoutMs }, async () => {
    const answer = await cluster.send(
      cluster.controller,
      createTopics,
      {
        topics: specs.map(({ name, partitions, replicationFactor, configs }) => ({
          name,
          numPartitions: partitions,
          replicationFactor: replicationFactor ?? -1,
          assignments: [],
          configs: Object.entries(configs).map(([config, value]) => ({ name: config, value })),
        })),
        timeoutMs,
      },
      { lane: 'transaction', versionMin: 4, timeoutMs: timeoutMs * 2 },
    );
    for (const { name, errorCode, errorMessage } of answer.topics) {
      if (errorCode === 0 || errorCode === KafkaErrorCode.TOPIC_ALREADY_EXISTS) continue;
      if (errorCode === KafkaErrorCode.NOT_CONTROLLER) await cluster.topics([]);
      const why = errorMessage === null ? '' : ` (${errorMessage})`;
      throw brokerError(errorCode, `CreateTopics of '${name}'${why}`, { topic: name });
    }
  });
}

/** Metadata of a new topic spreads after its creation was answered. */
function settled(
  cluster: Cluster,
  specs: readonly TopicSpec[],
): Promise<ReadonlyMap<string, TopicState>> {
  const names = specs.map(({ name }) => name);
  const attempts = { ports: cluster.ports, timeoutMs: cluster.requestTimeoutMs };
  return repeat(attempts, async () => {
    const topics = await cluster.topics(names);
    for (const topic of names) {
      const state = topics.get(topic);
      if (state?.leaders.every((leader) => leader >= 0)) continue;
      const what = `Waiting for the leaders of '${topic}'`;
      throw brokerError(KafkaErrorCode.LEADER_NOT_AVAILABLE, what, { topic });
    }
    return topics;
  });
}

async function differencesOf(
  cluster: Cluster,
  specs: readonly TopicSpec[],
  present: ReadonlyMap<string, TopicState>,
): Promise<string[]> {
  const policies = await cleanupPolicies(
    cluster,
    specs.filter(({ configs }) => configs[CLEANUP_POLICY] !== undefined).map(({ name }) => name),
  );
  const differences: string[] = [];
  for (const { name, partitions, configs } of specs) {
    const found = present.get(name)?.partitions;
    if (found !== partitions) {
      differences.push(`'${name}' has ${found} partitions, needed are ${partitions}`);
    }
    const needed = configs[CLEANUP_POLICY];
    const policy = policies.get(name) ?? '';
    if (needed !== undefined && setOf(policy) !== setOf(needed)) {
      differences.push(`'${name}' has ${CLEANUP_POLICY} '${policy}', needed is '${needed}'`);
    }
  }
  return differences;
}

function cleanupPolicies(
  cluster: Cluster,
  names: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  if (names.length === 0) return Promise.resolve(new Map());
  const attempts = { ports: cluster.ports, timeoutMs: cluster.requestTimeoutMs };
  return repeat(attempts, async () => {
    const answer = await cluster.send(
      'any',
      describeConfigs,
      {
        resources: names.map((name) => ({
          resourceType: TOPIC,
          resourceName: name,
          configurationKeys: [CLEANUP_POLICY],
        })),
      },
      { lane: 'transaction' },
    );
    const policies = new Map<string, string>();
    for (const { errorCode, resourceName, configs } of answer.results) {
      if (errorCode !== 0) {
        const what = `DescribeConfigs of '${resourceName}'`;
        throw brokerError(errorCode, what, { topic: resourceName });
      }
      const policy = configs.find(({ name }) => name === CLEANUP_POLICY);
      policies.set(resourceName, policy?.value ?? '');
    }
    return policies;
  });
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
