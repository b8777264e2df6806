/**
 * Topics that the application owns: one changelog per store, one topic per `repartition`.
 *
 * Names are those of Kafka Streams: `<applicationId>-<name>-changelog` and `…-repartition`.
 */
import { EscapementError } from '../errors.ts';
import { NAME_LENGTH_MAX } from './names.ts';
import type { RepartitionNode, SourceNode, Topology } from './node.ts';
import {
  isStateful,
  type StatefulNode,
  type SubTopology,
  subTopologies,
} from './sub-topologies.ts';

export interface RepartitionTopic {
  readonly kind: 'repartition';
  readonly topic: string;
  readonly partitions: number;
  readonly name: string;
  readonly node: RepartitionNode;
}
export interface ChangelogTopic {
  readonly kind: 'changelog';
  readonly topic: string;
  /** As many as its sub-topology has tasks. */
  readonly partitions: number;
  readonly store: string;
  readonly node: StatefulNode;
}
export type InternalTopic = RepartitionTopic | ChangelogTopic;

export function repartitionTopic(applicationId: string, name: string): string {
  return `${applicationId}-${name}-repartition`;
}

export function changelogTopic(applicationId: string, store: string): string {
  return `${applicationId}-${store}-changelog`;
}

/** The broker's name of the topic that a source reads. */
export function topicOf(source: SourceNode, applicationId: string): string {
  return source.repartition === null
    ? source.topic
    : repartitionTopic(applicationId, source.repartition);
}

/**
 * All internal topics; `partitions` holds the counts of the topics that are not internal.
 *
 * A repartition topic without a count of its own gets that of the inputs it is co-partitioned with,
 * else the largest of the inputs it is made from (Kafka Streams: CopartitionedTopicsEnforcer,
 * RepartitionTopics). Throws `TOPIC_MISMATCH` when inputs of one sub-topology differ, naming all of
 * them, and `TOPOLOGY_INVALID` when a name is too long or taken.
 */
export function internalTopics(
  topology: Topology,
  applicationId: string,
  partitions: ReadonlyMap<string, number>,
): readonly InternalTopic[] {
  const parts = subTopologies(topology);
  const counts = repartitionCounts(topology, parts, partitions);
  const found: InternalTopic[] = [];
  for (const node of topology.nodes) {
    if (node.kind !== 'repartition') continue;
    const topic = repartitionTopic(applicationId, node.name);
    const count = counts.get(node.name)!;
    found.push({ kind: 'repartition', topic, partitions: count, name: node.name, node });
  }
  const all = new Map(partitions);
  for (const { topic, partitions: count } of found) all.set(topic, count);
  for (const part of parts) {
    const count = inputPartitions(part, applicationId, all);
    const stores = new Set<string>();
    for (const node of part.nodes) {
      if (!isStateful(node) || stores.has(node.store)) continue;
      stores.add(node.store);
      const topic = changelogTopic(applicationId, node.store);
      found.push({ kind: 'changelog', topic, partitions: count, store: node.store, node });
    }
  }
  refuseNames(found, topology);
  return found;
}

/**
 * How many partitions the inputs of a sub-topology have. Records of one key meet in one task only
 * when all of them have as many: throws `TOPIC_MISMATCH` listing them otherwise.
 */
export function inputPartitions(
  part: SubTopology,
  applicationId: string,
  partitions: ReadonlyMap<string, number>,
): number {
  const topics = part.sources.map((source) => topicOf(source, applicationId));
  const missing = topics.filter((topic) => !((partitions.get(topic) ?? 0) > 0));
  if (missing.length > 0) {
    throw new EscapementError(
      'TOPIC_MISMATCH',
      `Sub-topology ${part.name} reads ${missing.join(', ')}, not found on the broker: create ` +
        `the input topics before the application starts.`,
    );
  }
  const counts = topics.map((topic) => partitions.get(topic)!);
  if (new Set(counts).size > 1) {
    const listed = topics.map((topic, index) => `${topic} has ${counts[index]}`).join(', ');
    throw new EscapementError(
      'TOPIC_MISMATCH',
      `The inputs of sub-topology ${part.name} must have the same number of partitions: ` +
        `${listed}. Create them alike, or put repartition() behind one of them.`,
    );
  }
  return counts[0]!;
}

/**
 * Counts by short name. A count may depend on that of another repartition topic further up, so the
 * passes go on until nothing new is known; what stays unknown then feeds itself.
 */
function repartitionCounts(
  topology: Topology,
  parts: readonly SubTopology[],
  partitions: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  const writes = topology.nodes.filter((node) => node.kind === 'repartition');
  const counts = new Map<string, number>();
  for (const { name, partitions: fixed } of writes) if (fixed !== null) counts.set(name, fixed);
  const countOf = (source: SourceNode): number | null =>
    source.repartition === null
      ? (partitions.get(source.topic) ?? null)
      : (counts.get(source.repartition) ?? null);
  const partOf = (node: RepartitionNode): SubTopology =>
    parts.find(({ nodes }) => nodes.includes(node))!;
  const settle = (waitFor: 'all inputs' | 'any input'): boolean => {
    const before = counts.size;
    for (const part of parts) {
      const open = part.sources.filter((source) => countOf(source) === null);
      const siblings = part.sources.map(countOf).find((count) => count !== null);
      for (const source of open) {
        if (source.repartition === null) continue;
        const above = writes
          .filter(({ name }) => part.sources.some(({ repartition }) => repartition === name))
          .flatMap((write) => partOf(write).sources.map(countOf));
        const known = above.filter((count) => count !== null);
        const ready = waitFor === 'all inputs' ? known.length === above.length : known.length > 0;
        if (siblings !== undefined) counts.set(source.repartition, siblings);
        else if (ready && known.length > 0) counts.set(source.repartition, Math.max(...known));
      }
    }
    return counts.size > before;
  };
  while (settle('all inputs') || settle('any input'));
  const unknown = writes.filter(({ name }) => !counts.has(name)).map(({ name }) => name);
  if (unknown.length > 0) {
    throw new EscapementError(
      'TOPIC_MISMATCH',
      `The partitions of repartition ${unknown.join(', ')} follow from topics that are not on the ` +
        `broker: create the input topics, or set partitions.`,
    );
  }
  return counts;
}

function refuseNames(internal: readonly InternalTopic[], topology: Topology): void {
  const users = new Set<string>();
  for (const node of topology.nodes) {
    if (node.kind === 'sink' || (node.kind === 'source' && node.repartition === null)) {
      users.add(node.topic);
    }
  }
  const problems: string[] = [];
  for (const { topic } of internal) {
    if (topic.length > NAME_LENGTH_MAX) {
      problems.push(`${topic} has ${topic.length} characters, at most ${NAME_LENGTH_MAX}`);
    }
    if (users.has(topic)) problems.push(`${topic} is also a topic of the topology's own streams`);
  }
  if (problems.length === 0) return;
  throw new EscapementError(
    'TOPOLOGY_INVALID',
    `Internal topics: ${problems.join('; ')}. Choose another applicationId or store name.`,
  );
}
