/**
 * What the topology of a member means for its group: which tasks it can run, and whether it can live
 * beside members of another topology.
 *
 * A task is fenced by its id alone. Should a topic that one topology reads or logs to under one id
 * belong to another id in the next one, owners of both ids would work on it at once, and neither
 * would fence the other (I1). Everything else may differ: tasks go to members that know them.
 *
 * I1. All admitted members agree on the sub-topology that a topic belongs to.
 * I2. Of members that do not agree, those that run tasks stay, and newcomers are refused.
 */
import { createHash } from 'node:crypto';
import type { TopicPartition } from '../topic-partition.ts';
import { encodeProfile, type MemberData, type MemberProfile } from './member-words.ts';
import { compare, taskId, taskName } from './task-name.ts';

/** A task as the group sees it: an id, and the topic partitions that go with it. */
export interface TaskPlan {
  /** Sub-topology name and partition: `orders_3`. */
  readonly id: string;
  readonly inputs: readonly TopicPartition[];
  readonly changelogs: readonly TopicPartition[];
}

/** Of one member, so that nobody's numbers make the leader work without bound. */
const TASKS_MAX = 100_000;

export function profileOf(
  plans: readonly TaskPlan[],
  rest: Pick<MemberProfile, 'host' | 'fingerprint' | 'schemas'>,
): MemberProfile {
  const parts = new Map<string, { partitions: number; topics: Set<string> }>();
  for (const { id, inputs, changelogs } of plans) {
    const { subTopology, partition } = taskName(id);
    const part = parts.get(subTopology) ?? { partitions: 0, topics: new Set() };
    parts.set(subTopology, part);
    part.partitions = Math.max(part.partitions, partition + 1);
    for (const { topic } of [...inputs, ...changelogs]) part.topics.add(topicHash(topic));
  }
  const subTopologies = [...parts].map(([name, { partitions, topics }]) => ({
    name,
    partitions,
    topics: [...topics],
  }));
  return { ...rest, subTopologies };
}

export function profileHash(profile: MemberProfile): string {
  return hashOf(encodeProfile(profile));
}

export function topicHash(topic: string): string {
  return hashOf(topic);
}

function hashOf(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex').slice(0, 16);
}

export function canRun({ subTopologies }: MemberProfile): (task: string) => boolean {
  const partitions = new Map(subTopologies.map((part) => [part.name, part.partitions]));
  return (task) => {
    const { subTopology, partition } = taskName(task);
    return partition < (partitions.get(subTopology) ?? -1);
  };
}

/** Every task that one of the members knows. */
export function tasksOf(profiles: readonly MemberProfile[]): string[] {
  const tasks = new Set<string>();
  for (const { subTopologies } of profiles) {
    for (const { name, partitions } of subTopologies) {
      for (let i = 0; i < partitions; i++) tasks.add(taskId(name, i));
    }
  }
  return [...tasks];
}

/** A member, or why what it said about itself cannot be read. */
export interface Applicant {
  readonly memberId: string;
  readonly data: MemberData | string;
}

export interface Admitted extends Applicant {
  readonly data: MemberData;
}

export interface Admission {
  readonly admitted: readonly Admitted[];
  /** Why, by member id. */
  readonly refused: ReadonlyMap<string, string>;
}

/** I1, I2. `nameOf` tells the topic of a hash, where the leader knows it. */
export function admit(
  applicants: readonly Applicant[],
  nameOf: (hash: string) => string | undefined,
): Admission {
  const admitted: Admitted[] = [];
  const refused = new Map<string, string>();
  const readable: Admitted[] = [];
  for (const { memberId, data } of applicants) {
    if (typeof data === 'string') refused.set(memberId, data);
    else if (taskCount(data.profile) > TASKS_MAX) refused.set(memberId, `it names too many tasks`);
    else readable.push({ memberId, data });
  }
  const places = new Map<string, string>();
  for (const applicant of readable.sort(bySeniority)) {
    const moved = movedTopic(applicant.data.profile, places);
    if (moved === null) {
      admitted.push(applicant);
      for (const { name, topics } of applicant.data.profile.subTopologies) {
        for (const hash of topics) places.set(hash, name);
      }
    } else {
      const topic = nameOf(moved.hash) ?? `the topic with hash ${moved.hash}`;
      refused.set(
        applicant.memberId,
        `${topic} belongs to sub-topology ${moved.theirs} there and to ${moved.ours} here`,
      );
    }
  }
  return { admitted, refused };
}

function taskCount({ subTopologies }: MemberProfile): number {
  return subTopologies.reduce((sum, { partitions }) => sum + Math.max(0, partitions), 0);
}

function movedTopic({ subTopologies }: MemberProfile, places: ReadonlyMap<string, string>) {
  for (const { name: ours, topics } of subTopologies) {
    for (const hash of topics) {
      const theirs = places.get(hash);
      if (theirs !== undefined && theirs !== ours) return { hash, theirs, ours };
    }
  }
  return null;
}

/** Who runs tasks by the newest assignment comes first; of several the order is the same everywhere. */
function bySeniority(a: Admitted, b: Admitted): number {
  return newestClaim(b.data) - newestClaim(a.data) || compare(a.memberId, b.memberId);
}

function newestClaim({ claims }: MemberData): number {
  return claims.reduce((newest, { generation }) => Math.max(newest, generation), -1);
}
