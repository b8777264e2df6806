/**
 * Between JoinGroup and SyncGroup: what a member says about itself, what the leader makes of it.
 *
 * Used by `member.ts`; pure but for the log.
 */
import { EscapementError } from '../../errors.ts';
import type { Log } from '../../telemetry/log.ts';
import type { TopicPartition } from '../topic-partition.ts';
import { assignTasks } from './assignor.ts';
import {
  type AssignedTasks,
  type Claim,
  decodeAssignment,
  decodeClaims,
  decodeSubscription,
  decodeTasks,
  encodeAssignment,
  encodeClaims,
  encodeSubscription,
  encodeTasks,
  fingerprintOf,
} from './subscription.ts';

/** A task as the group sees it: an id, and the input partitions that go with it. */
export interface TaskPlan {
  /** Sub-topology name and partition: `orders_3`. */
  readonly id: string;
  readonly partitions: readonly TopicPartition[];
}

/** Version 2 is the first that carries the generation; brokers read what they know of it. */
const SUBSCRIPTION_VERSION = 2;
const ASSIGNMENT_VERSION = 1;

export function subscriptionOf(
  topics: readonly string[],
  plans: readonly TaskPlan[],
  claims: readonly Claim[],
  generation: number,
): Buffer {
  const claimed = new Set(claims.map(({ task }) => task));
  return encodeSubscription(SUBSCRIPTION_VERSION, {
    topics,
    userData: encodeClaims(claims),
    ownedPartitions: partitionsOf(plans.filter(({ id }) => claimed.has(id))),
    generation,
    rackId: null,
  });
}

/** The leader's part. A member whose metadata cannot be read claims nothing. */
export function assignmentsFor(
  members: readonly { readonly memberId: string; readonly metadata: Buffer }[],
  plans: readonly TaskPlan[],
  log: Log,
): { memberId: string; assignment: Buffer }[] {
  const claiming = members.map(({ memberId, metadata }) => ({
    memberId,
    claims: claimsIn(memberId, metadata, log),
  }));
  const ids = plans.map(({ id }) => id);
  const fingerprint = fingerprintOf(ids);
  const assigned = assignTasks(claiming, ids);
  return claiming.map(({ memberId, claims }) => {
    const tasks = assigned.get(memberId) ?? [];
    const given = new Set(tasks);
    const revoked = claims.filter(({ task }) => !given.has(task)).length;
    return {
      memberId,
      assignment: encodeAssignment(ASSIGNMENT_VERSION, {
        partitions: partitionsOf(plans.filter(({ id }) => given.has(id))),
        userData: encodeTasks({ tasks, fingerprint, revoked }),
      }),
    };
  });
}

/** What a SyncGroup answer gives us. */
export function tasksIn(assignment: Buffer): AssignedTasks | null {
  return decodeTasks(decodeAssignment(assignment).userData);
}

function claimsIn(memberId: string, metadata: Buffer, log: Log): Claim[] {
  try {
    return decodeClaims(decodeSubscription(metadata).userData);
  } catch (cause) {
    if (!(cause instanceof EscapementError)) throw cause;
    log.warn({ member: memberId, reason: cause.message }, 'member metadata unreadable');
    return [];
  }
}

function partitionsOf(plans: readonly TaskPlan[]): TopicPartition[] {
  return plans.flatMap(({ partitions }) => partitions);
}
