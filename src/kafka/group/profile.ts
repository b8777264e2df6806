/**
 * What the topology of a member means for its group: which tasks it can run, and whether it can live
 * beside members of another topology.
 *
 * A task is fenced by its id alone. Should a topic that one topology reads or logs to under one id
 * belong to another id in the next one, owners of both ids would work on it at once, and neither
 * would fence the other (I1). And a task that goes back and forth between versions of which one keeps
 * a state more than the other would miss records in it (I2). Everything else may differ: tasks go to
 * members that know them.
 *
 * I1. All admitted members agree on the sub-topology that a topic belongs to.
 * I2. They agree on the changelogs of each sub-topology that several of them have.
 * I3. Of members that do not agree, those that run tasks stay, and newcomers are refused.
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
  const parts = new Map<string, TaskPlan[]>();
  for (const plan of plans) {
    const { subTopology } = taskName(plan.id);
    const known = parts.get(subTopology);
    if (known === undefined) parts.set(subTopology, [plan]);
    else known.push(plan);
  }
  const subTopologies = [...parts].map(([name, tasks]) => ({
    name,
    partitions: Math.max(...tasks.map(({ id }) => taskName(id).partition + 1)),
    inputs: hashesOf(tasks.flatMap(({ inputs }) => inputs)),
    changelogs: hashesOf(tasks.flatMap(({ changelogs }) => changelogs)),
  }));
  return { ...rest, subTopologies };
}

function hashesOf(partitions: readonly TopicPartition[]): string[] {
  return [...new Set(partitions.map(({ topic }) => topic))].map(topicHash);
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

/** I1 to I3. `nameOf` tells the topic of a hash, where the leader knows it. */
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
  const agreed: Agreed = { places: new Map(), changelogs: new Map() };
  const shown = (hash: string) => nameOf(hash) ?? `the topic with hash ${hash}`;
  for (const applicant of readable.sort(bySeniority)) {
    const { profile } = applicant.data;
    const reason = movedTopic(profile, agreed, shown) ?? otherState(profile, agreed, shown);
    if (reason === null) {
      admitted.push(applicant);
      agree(profile, agreed);
    } else {
      refused.set(applicant.memberId, reason);
    }
  }
  return { admitted, refused };
}

/** What the admitted members have in common. */
interface Agreed {
  /** Sub-topology by hash of a topic. */
  readonly places: Map<string, string>;
  /** By sub-topology. */
  readonly changelogs: Map<string, ReadonlySet<string>>;
}

function agree({ subTopologies }: MemberProfile, agreed: Agreed): void {
  for (const { name, inputs, changelogs } of subTopologies) {
    for (const hash of [...inputs, ...changelogs]) agreed.places.set(hash, name);
    agreed.changelogs.set(name, new Set(changelogs));
  }
}

function taskCount({ subTopologies }: MemberProfile): number {
  return subTopologies.reduce((sum, { partitions }) => sum + Math.max(0, partitions), 0);
}

/** I1. */
function movedTopic(
  { subTopologies }: MemberProfile,
  { places }: Agreed,
  shown: (hash: string) => string,
): string | null {
  for (const { name: ours, inputs, changelogs } of subTopologies) {
    for (const hash of [...inputs, ...changelogs]) {
      const theirs = places.get(hash);
      if (theirs === undefined || theirs === ours) continue;
      return `${shown(hash)} belongs to sub-topology ${theirs} there and to ${ours} here`;
    }
  }
  return null;
}

/** I2. */
function otherState(
  { subTopologies }: MemberProfile,
  agreed: Agreed,
  shown: (hash: string) => string,
): string | null {
  for (const { name, changelogs } of subTopologies) {
    const theirs = agreed.changelogs.get(name);
    if (theirs === undefined) continue;
    const ours = new Set(changelogs);
    const [added] = changelogs.filter((hash) => !theirs.has(hash));
    const [gone] = [...theirs].filter((hash) => !ours.has(hash));
    if (added !== undefined) return `sub-topology ${name} has ${shown(added)} here and not there`;
    if (gone !== undefined) return `sub-topology ${name} has ${shown(gone)} there and not here`;
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
