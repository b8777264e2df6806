/**
 * Creates, checks and removes topics.
 *
 * I1. `ensureTopics` never changes a topic that exists: it reports every difference at once.
 * I2. Two instances may create the same topics at the same time: the second finds them.
 */
import { EscapementError } from '../../errors.ts';
import { atLeader } from '../cluster/at-leader.ts';
import { isPassing, repeat } from '../cluster/attempts.ts';
import type { Cluster, TopicState } from '../cluster/cluster.ts';
import { createTopics } from '../protocol/create-topics.ts';
import { deleteRecords as deleteRecordsApi } from '../protocol/delete-records.ts';
import { deleteTopics as deleteTopicsApi } from '../protocol/delete-topics.ts';
import { brokerError, KafkaErrorCode } from '../protocol/error-codes.ts';
import { differencesOf, listed, type TopicSpec } from './topic-settings.ts';

export { deleteGroup } from './groups.ts';
export { listOffsets } from './list-offsets.ts';
export type { TopicSpec } from './topic-settings.ts';

/**
 * Creates the topics that are missing and checks partitions and settings of all. `mayCreate` is asked
 * before, and throws when they must not be made.
 * Throws `TOPIC_MISMATCH` with all differences. Resolves when every partition has a leader.
 */
export async function ensureTopics(
  cluster: Cluster,
  specs: readonly TopicSpec[],
  mayCreate: (missing: readonly TopicSpec[]) => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  if (specs.length === 0) return;
  const names = specs.map(({ name }) => name);
  const existing = await cluster.topics(names);
  const missing = specs.filter(({ name }) => !existing.has(name));
  if (missing.length > 0) {
    await mayCreate(missing);
    await create(cluster, missing);
  }
  const present = await settled(cluster, specs);
  const differences = await differencesOf(cluster, specs, present);
  if (differences.length === 0) return;
  throw new EscapementError(
    'TOPIC_MISMATCH',
    `${differences.length === 1 ? 'A topic differs' : 'Topics differ'} from what is needed:\n` +
      `${listed(differences)}\n` +
      'Change the topics, or remove those that hold nothing of value, and start again.',
  );
}

/**
 * Which of the topics do not exist. Metadata of a broker may be older than a topic; the controller,
 * asked whether it could create one, knows those that are there before it looks at anything else.
 * Without the right to create it answers neither yes nor no: then metadata has the last word.
 */
export function absentTopics(
  cluster: Cluster,
  specs: readonly TopicSpec[],
): Promise<readonly string[]> {
  return repeat(cluster.lookups, async (timeoutMs) => {
    const how = { optional: 'left out', validateOnly: true, timeoutMs } as const;
    const answer = await askToCreate(cluster, specs, how);
    const absent: string[] = [];
    for (const { name, errorCode } of answer.topics) {
      if (errorCode === KafkaErrorCode.TOPIC_ALREADY_EXISTS) continue;
      if (errorCode === KafkaErrorCode.NOT_CONTROLLER) await cluster.topics([]);
      if (errorCode !== 0) {
        const error = brokerError(errorCode, `CreateTopics of '${name}'`, { topic: name });
        if (isPassing(error)) throw error;
      }
      absent.push(name);
    }
    return absent;
  });
}

/** Removes topics; those that do not exist are passed over. */
export async function deleteTopics(cluster: Cluster, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  await repeat(cluster.lookups, async (attemptMs) => {
    const timeoutMs = waitOf(attemptMs);
    // The controller of the last metadata answer may have changed.
    await cluster.topics([]);
    const answer = await cluster.send(
      cluster.controller,
      deleteTopicsApi,
      (version) =>
        version >= 6
          ? { topics: names.map((name) => ({ name, topicId: NO_ID })), timeoutMs }
          : { topicNames: [...names], timeoutMs },
      { lane: 'transaction', timeoutMs: attemptMs },
    );
    for (const { name, errorCode } of answer.responses) {
      if (errorCode === 0 || errorCode === KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION) continue;
      throw brokerError(errorCode, `DeleteTopics of '${name}'`, { topic: name ?? '' });
    }
  });
}

/** How long a broker may wait for others before it answers, within the deadline of its request. */
function waitOf(timeoutMs: number): number {
  return Math.ceil(timeoutMs / 2);
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
      atLeader(cluster, topic, partition, async (node, timeoutMs) => {
        const cut = { partitionIndex: partition, offset };
        const answer = await cluster.send(
          node,
          deleteRecordsApi,
          {
            topics: [{ name: topic, partitions: [cut] }],
            timeoutMs: waitOf(timeoutMs),
          },
          { lane: 'transaction', timeoutMs },
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
  // Kafka before 3.6 refuses a topic with a setting that it does not know.
  let optional: 'set' | 'left out' = 'set';
  await repeat(cluster.lookups, async (timeoutMs) => {
    const answer = await askToCreate(cluster, specs, { optional, validateOnly: false, timeoutMs });
    for (const { name, errorCode, errorMessage } of answer.topics) {
      if (errorCode === 0 || errorCode === KafkaErrorCode.TOPIC_ALREADY_EXISTS) continue;
      if (errorCode === KafkaErrorCode.NOT_CONTROLLER) await cluster.topics([]);
      const why = errorMessage === null ? '' : ` (${errorMessage})`;
      const what = `CreateTopics of '${name}'${why}`;
      if (errorCode === KafkaErrorCode.INVALID_CONFIG && optional === 'set') {
        optional = 'left out';
        throw new EscapementError('BROKER_ERROR', what, { decision: 'retry' });
      }
      throw brokerError(errorCode, what, { topic: name });
    }
  });
}

function askToCreate(
  cluster: Cluster,
  specs: readonly TopicSpec[],
  how: {
    readonly optional: 'set' | 'left out';
    readonly validateOnly: boolean;
    readonly timeoutMs: number;
  },
) {
  const topics = specs.map((spec) => ({
    name: spec.name,
    numPartitions: spec.partitions,
    replicationFactor: spec.replicationFactor ?? -1,
    assignments: [],
    configs: Object.entries({
      ...spec.configs,
      ...(how.optional === 'set' ? spec.optionalConfigs : {}),
    }).map(([name, value]) => ({ name, value })),
  }));
  return cluster.send(
    cluster.controller,
    createTopics,
    { topics, timeoutMs: waitOf(how.timeoutMs), validateOnly: how.validateOnly },
    { lane: 'transaction', versionMin: 4, timeoutMs: how.timeoutMs },
  );
}

/** Metadata of a new topic spreads after its creation was answered. */
function settled(
  cluster: Cluster,
  specs: readonly TopicSpec[],
): Promise<ReadonlyMap<string, TopicState>> {
  const names = specs.map(({ name }) => name);
  return repeat(cluster.lookups, async () => {
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
