/**
 * A topology met with the topics of a cluster: sub-topologies, tasks, and topics by full name.
 *
 * Made once at start, after the topics were looked up; the same on every instance, since it depends
 * on the topology, the application id and partition counts alone.
 */
import type { Options } from '../config/options.ts';
import { EscapementError, invariant } from '../errors.ts';
import { checkBatchLimits } from '../kafka/admin/topic-settings.ts';
import { ensureTopics, type TopicSpec } from '../kafka/admin/topics.ts';
import type { Cluster } from '../kafka/cluster/cluster.ts';
import type { Serde } from '../serde/serde.ts';
import { changelogConfigs } from '../state/changelog.ts';
import { fingerprint } from '../topology/fingerprint.ts';
import {
  changelogTopic,
  type InternalTopic,
  internalTopics,
  repartitionTopic,
  topicOf,
} from '../topology/internal-topics.ts';
import type { RecordPolicy, Topology } from '../topology/node.ts';
import { planTasks } from '../topology/plan-tasks.ts';
import { stages } from '../topology/stages.ts';
import { type StatefulNode, subTopologies } from '../topology/sub-topologies.ts';
import { checkNewStores, refuseLostChangelogs } from './lost-changelogs.ts';
import type { SubTopologyPlan, TaskPlan, TopicNames } from './task-plan.ts';

export class ApplicationPlan {
  readonly subTopologies: readonly SubTopologyPlan[];
  readonly tasks: readonly TaskPlan[];
  readonly names: TopicNames;
  /** Every topic that the group subscribes to, repartition topics included. */
  readonly inputTopics: readonly string[];
  readonly repartitionTopics: ReadonlySet<string>;
  /** Of the topology; equal for instances that read and write the same topics in the same way. */
  readonly fingerprint: string;
  /** The id of the schema that is written, by subject. */
  readonly schemas: ReadonlyMap<string, number>;
  readonly #tasksById: ReadonlyMap<string, TaskPlan>;
  readonly #subTopologiesByName: ReadonlyMap<string, SubTopologyPlan>;

  constructor(parts: {
    readonly subTopologies: readonly SubTopologyPlan[];
    readonly tasks: readonly TaskPlan[];
    readonly names: TopicNames;
    readonly repartitionTopics: ReadonlySet<string>;
    readonly fingerprint: string;
    readonly schemas: ReadonlyMap<string, number>;
  }) {
    this.subTopologies = parts.subTopologies;
    this.tasks = parts.tasks;
    this.names = parts.names;
    this.repartitionTopics = parts.repartitionTopics;
    this.fingerprint = parts.fingerprint;
    this.schemas = parts.schemas;
    this.inputTopics = [
      ...new Set(parts.tasks.flatMap(({ inputs }) => inputs.map(({ topic }) => topic))),
    ].sort();
    this.#tasksById = new Map(parts.tasks.map((task) => [task.id, task]));
    this.#subTopologiesByName = new Map(parts.subTopologies.map((sub) => [sub.name, sub]));
  }

  task(id: string): TaskPlan {
    const task = this.#tasksById.get(id);
    invariant(task !== undefined, 'the group assigned a task of another topology', { id });
    return task;
  }

  subTopologyOf(taskId: string): SubTopologyPlan {
    return this.#subTopologiesByName.get(this.task(taskId).subTopology)!;
  }
}

/**
 * Looks the topics up, creates internal ones, and prepares the serdes. Throws `TOPIC_MISMATCH`, and
 * `CHANGELOG_MISSING` when a changelog must not be created.
 */
export async function planApplication(
  topology: Topology,
  cluster: Cluster,
  options: Options,
): Promise<ApplicationPlan> {
  checkNewStores(topology, options);
  const { applicationId } = options;
  const partitions = await lookUpTopics(topology, cluster);
  const internal = internalTopics(topology, applicationId, partitions);
  const specs = internal.map((topic) => topicSpec(topic, options));
  await ensureTopics(cluster, specs, (missing) => {
    const tasks = planTasks(topology, applicationId, countsOf(internal, partitions));
    return refuseLostChangelogs(cluster, options, tasks, missing);
  });
  const written = [...writtenTopics(topology), ...internal.map(({ topic }) => topic)];
  await checkBatchLimits(cluster, written, options);
  return planOver(topology, applicationId, partitions, await startSerdes(topology));
}

/** The plan over topics that are known; `partitions` holds the counts of those that are not internal. */
export function planOver(
  topology: Topology,
  applicationId: string,
  partitions: ReadonlyMap<string, number>,
  schemas: ReadonlyMap<string, number>,
): ApplicationPlan {
  const internal = internalTopics(topology, applicationId, partitions);
  const counts = countsOf(internal, partitions);
  const repartitions = internal.filter(({ kind }) => kind === 'repartition');
  return new ApplicationPlan({
    subTopologies: subTopologies(topology).map((part) => ({ ...part, stages: stages(part) })),
    tasks: planTasks(topology, applicationId, counts),
    names: topicNames(applicationId, counts),
    repartitionTopics: new Set(repartitions.map(({ topic }) => topic)),
    fingerprint: fingerprint(topology),
    schemas,
  });
}

/** Partition counts of all topics. */
function countsOf(
  internal: readonly InternalTopic[],
  partitions: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  const counts = new Map(partitions);
  for (const { topic, partitions: count } of internal) counts.set(topic, count);
  return counts;
}

/** Topics that the user names: inputs, outputs and dead-letter topics. */
export function topicsOfUser(topology: Topology): ReadonlySet<string> {
  const read = topology.nodes.flatMap((node) =>
    node.kind === 'source' && node.repartition === null ? [node.topic] : [],
  );
  return new Set([...read, ...writtenTopics(topology)]);
}

/** Partition counts of every topic that the user names; all of them must be there. */
async function lookUpTopics(topology: Topology, cluster: Cluster): Promise<Map<string, number>> {
  const names = topicsOfUser(topology);
  const found = await cluster.topics([...names]);
  const missing = [...names].filter((name) => !found.has(name));
  if (missing.length > 0) {
    throw new EscapementError(
      'TOPIC_MISMATCH',
      `The topology '${topology.name}' uses topics that are not on the broker: ` +
        `${missing.join(', ')}. Create them first; only internal topics are created by escapement.`,
      { at: { topic: missing[0]! } },
    );
  }
  return new Map([...found].map(([name, { partitions }]) => [name, partitions]));
}

/** Outputs and dead-letter topics. */
function writtenTopics(topology: Topology): readonly string[] {
  const names = new Set<string>();
  for (const node of topology.nodes) {
    if (node.kind === 'sink') names.add(node.topic);
    if (node.kind !== 'source') continue;
    for (const topic of deadLetterTopics(node.onError)) names.add(topic);
  }
  return [...names];
}

export function deadLetterTopics(policy: RecordPolicy): readonly string[] {
  if (policy.kind === 'dead-letter') return [policy.topic];
  return policy.kind === 'retry' ? deadLetterTopics(policy.then) : [];
}

/** The broker's clock must not judge event times: from 4.0 on it refuses what is an hour ahead of it. */
const ANY_TIME = { 'message.timestamp.after.max.ms': '9223372036854775807' };

/** Policies as Kafka Streams sets them; its 50 MB repartition segments let a purge free space. */
function topicSpec(internal: InternalTopic, options: Options): TopicSpec {
  const { topic: name, partitions } = internal;
  const { replicationFactor, minInsyncReplicas } = options;
  const configs = {
    ...(internal.kind === 'repartition' ? REPARTITION : changelogSettings(internal.node, options)),
    // The broker's own time in place of that of the event would move windows.
    'message.timestamp.type': 'CreateTime',
    ...(minInsyncReplicas < 0 ? {} : { 'min.insync.replicas': String(minInsyncReplicas) }),
  };
  return { name, partitions, replicationFactor, configs, optionalConfigs: ANY_TIME };
}

const REPARTITION = {
  'cleanup.policy': 'delete',
  'retention.ms': '-1',
  'segment.bytes': '52428800',
};

function changelogSettings(node: StatefulNode, options: Options): Readonly<Record<string, string>> {
  return changelogConfigs(
    node.kind === 'aggregate'
      ? { kind: 'key-value' }
      : {
          kind: 'window',
          sizeMs: node.sizeMs,
          graceMs: node.graceMs,
          additionalRetentionMs: options.windowChangelogAdditionalRetentionMs,
        },
  );
}

/**
 * Looks up what writing needs (schema ids), so that a missing schema is said before any record.
 * What is only read need not be registered under its reader's text. Returns the ids by subject.
 */
export async function startSerdes(topology: Topology): Promise<ReadonlyMap<string, number>> {
  const serdes = new Set<Serde<unknown>>();
  for (const node of topology.nodes) {
    if (!('key' in node) || node.kind === 'source') continue;
    serdes.add(node.key);
    serdes.add(node.value);
  }
  await Promise.all([...serdes].map((serde) => serde.schemas?.start()));
  const schemas = new Map<string, number>();
  for (const serde of serdes) {
    const written = serde.schemas?.writes?.() ?? null;
    if (written !== null) schemas.set(written.subject, written.schemaId);
  }
  return schemas;
}

function topicNames(applicationId: string, partitions: ReadonlyMap<string, number>): TopicNames {
  return {
    of(node) {
      if (node.kind === 'source') return topicOf(node, applicationId);
      if (node.kind === 'repartition') return repartitionTopic(applicationId, node.name);
      invariant(node.kind === 'sink', 'the node has no topic', { node: node.id });
      return node.topic;
    },
    changelog: (store) => changelogTopic(applicationId, store),
    partitions(topic) {
      const count = partitions.get(topic);
      invariant(count !== undefined, 'a topic was not looked up', { topic });
      return count;
    },
  };
}
