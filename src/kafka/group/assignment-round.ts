/**
 * Between JoinGroup and SyncGroup: what a member says about itself, what the leader makes of it.
 *
 * Used by `member.ts`; pure but for the log.
 *
 * I1. A member whose data cannot be read, or whose topology cannot live beside the others', gets
 *     nothing and is told why. It stops nobody else.
 */
import { EscapementError } from '../../errors.ts';
import type { Log } from '../../telemetry/log.ts';
import type { TopicPartition } from '../topic-partition.ts';
import { assignTasks, type TaskAssignment } from './assignor.ts';
import {
  type AssignmentData,
  type Claim,
  decodeAssignmentData,
  decodeMemberData,
  encodeAssignmentData,
  encodeMemberData,
  type MemberProfile,
} from './member-words.ts';
import {
  type Admitted,
  type Applicant,
  admit,
  canRun,
  profileHash,
  type TaskPlan,
  tasksOf,
  topicHash,
} from './profile.ts';
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from './subscription.ts';

/** Version 2 is the first that carries the generation; brokers read what they know of it. */
const SUBSCRIPTION_VERSION = 2;
const ASSIGNMENT_VERSION = 1;

export interface Joining {
  readonly topics: readonly string[];
  readonly plans: readonly TaskPlan[];
  readonly profile: MemberProfile;
  readonly claims: readonly Claim[];
  readonly generation: number;
}

export function subscriptionOf({ topics, plans, profile, claims, generation }: Joining): Buffer {
  const claimed = new Set(claims.map(({ task }) => task));
  return encodeSubscription(SUBSCRIPTION_VERSION, {
    topics,
    userData: encodeMemberData({ profile, claims }),
    ownedPartitions: partitionsOf(plans, claimed),
    generation,
    rackId: null,
  });
}

/** The leader's part. `plans` are its own: the partitions of other tasks it cannot show to tools. */
export function assignmentsFor(
  members: readonly { readonly memberId: string; readonly metadata: Buffer }[],
  plans: readonly TaskPlan[],
  log: Log,
): { memberId: string; assignment: Buffer }[] {
  const applicants = members.map(({ memberId, metadata }) => applicantOf(memberId, metadata));
  const { admitted, refused } = admit(applicants, namesOf(plans));
  for (const [member, reason] of refused) log.warn({ member, reason }, 'group member refused');
  tellDifferences(admitted, log);
  const profiles = admitted.map(({ data }) => data.profile);
  const assigned = assignTasks(
    admitted.map(({ memberId, data }) => ({
      memberId,
      claims: data.claims,
      canRun: canRun(data.profile),
    })),
    tasksOf(profiles),
  );
  const hosts = hostsOf(admitted, assigned);
  return applicants.map(({ memberId, data }) => {
    const tasks = assigned.get(memberId) ?? [];
    const given = new Set(tasks);
    const known = typeof data !== 'string';
    const userData = encodeAssignmentData({
      tasks,
      revoked: known ? data.claims.filter(({ task }) => !given.has(task)).length : 0,
      profile: known ? profileHash(data.profile) : NO_PROFILE,
      refusal: refused.get(memberId) ?? null,
      hosts,
    });
    const partitions = partitionsOf(plans, given);
    return { memberId, assignment: encodeAssignment(ASSIGNMENT_VERSION, { partitions, userData }) };
  });
}

const NO_PROFILE = '0'.repeat(16);

/** What a SyncGroup answer gives us; null: the leader has nothing for us. */
export function assignedIn(assignment: Buffer): AssignmentData | null {
  if (assignment.length === 0) return null;
  return decodeAssignmentData(decodeAssignment(assignment).userData);
}

function applicantOf(memberId: string, metadata: Buffer): Applicant {
  try {
    return { memberId, data: decodeMemberData(decodeSubscription(metadata).userData) };
  } catch (cause) {
    if (!(cause instanceof EscapementError)) throw cause;
    return { memberId, data: cause.message };
  }
}

function namesOf(plans: readonly TaskPlan[]): (hash: string) => string | undefined {
  const topics = plans.flatMap(({ inputs, changelogs }) => [...inputs, ...changelogs]);
  const names = new Set(topics.map(({ topic }) => topic));
  const byHash = new Map([...names].map((topic) => [topicHash(topic), topic]));
  return (hash) => byHash.get(hash);
}

/** Normal while a new version is rolled out; for ever, it is a mistake. */
function tellDifferences(admitted: readonly Admitted[], log: Log): void {
  const fingerprints = new Set(admitted.map(({ data }) => data.profile.fingerprint));
  if (fingerprints.size > 1) {
    log.info({ fingerprints: [...fingerprints] }, 'members run different topologies');
  }
  const ids = new Map<string, Set<number>>();
  for (const { data } of admitted) {
    for (const [subject, id] of data.profile.schemas) {
      ids.set(subject, (ids.get(subject) ?? new Set()).add(id));
    }
  }
  const subjects = [...ids].filter(([, known]) => known.size > 1).map(([subject]) => subject);
  if (subjects.length > 0) log.info({ subjects }, 'members write different schemas');
}

function hostsOf(admitted: readonly Admitted[], assigned: TaskAssignment): AssignmentData['hosts'] {
  return admitted.flatMap(({ memberId, data }) => {
    const { host } = data.profile;
    return host === null ? [] : [{ host, tasks: assigned.get(memberId) ?? [] }];
  });
}

function partitionsOf(plans: readonly TaskPlan[], tasks: ReadonlySet<string>): TopicPartition[] {
  return plans.filter(({ id }) => tasks.has(id)).flatMap(({ inputs }) => inputs);
}
