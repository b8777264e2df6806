/**
 * Groups from outside: who is in them, and their offsets while nobody is.
 *
 * I1. Offsets are changed only while the group has no members. The broker refuses it too, for a
 *     member may join between the look and the change; both refusals are `GROUP_ACTIVE`.
 */
import { EscapementError } from '../../errors.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { deleteGroups } from '../protocol/delete-groups.ts';
import { describeGroups } from '../protocol/describe-groups.ts';
import { type BrokerError, brokerError, KafkaErrorCode } from '../protocol/error-codes.ts';
import { offsetCommit } from '../protocol/offset-commit.ts';
import { offsetDelete } from '../protocol/offset-delete.ts';
import { offsetFetch } from '../protocol/offset-fetch.ts';
import type { TopicPartition } from '../topic-partition.ts';
import { atCoordinator } from './at-coordinator.ts';

const LANE = { lane: 'transaction' } as const;
/** The first version that refuses to answer while a transaction holds the offsets. */
const STABLE_VERSION_MIN = 7;
const GROUPS_VERSION = 8;

export interface GroupMemberDescription {
  readonly memberId: string;
  /** Null: a dynamic member. */
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly host: string;
}

export interface GroupDescription {
  readonly groupId: string;
  /** As the broker names it: `Stable`, `PreparingRebalance`, `CompletingRebalance`, `Empty`, `Dead`. */
  readonly state: string;
  readonly members: readonly GroupMemberDescription[];
}

export interface GroupOffset extends TopicPartition {
  /** Of the next record to read. */
  readonly offset: number;
  readonly metadata: string;
}

/** A group that does not exist is `Dead`, without members. */
export function describeGroup(cluster: Cluster, groupId: string): Promise<GroupDescription> {
  return atCoordinator(cluster, 'group', groupId, async (node) => {
    const answer = await cluster.send(node, describeGroups, { groups: [groupId] }, LANE);
    const group = answer.groups[0];
    const code = group?.errorCode ?? KafkaErrorCode.UNKNOWN_SERVER_ERROR;
    if (group === undefined || code !== 0) {
      throw brokerError(code, `DescribeGroups of '${groupId}'`);
    }
    const members = group.members.map((member) => ({
      memberId: member.memberId,
      instanceId: member.groupInstanceId,
      clientId: member.clientId,
      host: member.clientHost.replace(/^\//, ''),
    }));
    return { groupId, state: group.groupState, members };
  });
}

/** Every committed offset of the group; waits for transactions that hold some. */
export function groupOffsets(cluster: Cluster, groupId: string): Promise<readonly GroupOffset[]> {
  return atCoordinator(cluster, 'group', groupId, async (node) => {
    const what = `OffsetFetch of group '${groupId}'`;
    const answer = await cluster.send(
      node,
      offsetFetch,
      (version) =>
        version >= GROUPS_VERSION
          ? { groups: [{ groupId, topics: null }], requireStable: true }
          : { groupId, topics: null, requireStable: true },
      { ...LANE, versionMin: STABLE_VERSION_MIN },
    );
    const { errorCode, topics } = answer.groups[0] ?? answer;
    if (errorCode !== 0) throw brokerError(errorCode, what);
    return topics.flatMap(({ name: topic, partitions }) =>
      partitions.flatMap((each): readonly GroupOffset[] => {
        const partition = each.partitionIndex;
        if (each.errorCode !== 0) {
          throw brokerError(each.errorCode, `${what} for ${topic}-${partition}`, {
            topic,
            partition,
          });
        }
        if (each.committedOffset < 0) return [];
        return [{ topic, partition, offset: each.committedOffset, metadata: each.metadata ?? '' }];
      }),
    );
  });
}

/** Sets offsets; `metadata` is what the application wrote beside them, and empty means none. */
export async function alterGroupOffsets(
  cluster: Cluster,
  groupId: string,
  offsets: readonly GroupOffset[],
): Promise<void> {
  await refuseActive(cluster, groupId);
  await atCoordinator(cluster, 'group', groupId, async (node) => {
    const topics = byTopic(offsets, ({ partition, offset, metadata }) => ({
      partitionIndex: partition,
      committedOffset: offset,
      committedMetadata: metadata,
    }));
    // Without a generation and a member: the broker takes it from nobody while there are members.
    const body = { groupId, generationIdOrMemberEpoch: -1, memberId: '', topics };
    const answer = await cluster.send(node, offsetCommit, body, LANE);
    checkPartitions(answer.topics, `OffsetCommit of group '${groupId}'`, groupId);
  });
}

/** Offsets that are not there are passed over. */
export async function deleteGroupOffsets(
  cluster: Cluster,
  groupId: string,
  partitions: readonly TopicPartition[],
): Promise<void> {
  await refuseActive(cluster, groupId);
  await atCoordinator(cluster, 'group', groupId, async (node) => {
    const topics = byTopic(partitions, ({ partition }) => ({ partitionIndex: partition }));
    const answer = await cluster.send(node, offsetDelete, { groupId, topics }, LANE);
    const what = `OffsetDelete of group '${groupId}'`;
    if (answer.errorCode === KafkaErrorCode.GROUP_ID_NOT_FOUND) return;
    if (answer.errorCode !== 0) throw groupError(answer.errorCode, what, groupId, {});
    checkPartitions(answer.topics, what, groupId);
  });
}

/** Removes a group with its offsets. One that does not exist is passed over. */
export async function deleteGroup(cluster: Cluster, groupId: string): Promise<void> {
  await atCoordinator(cluster, 'group', groupId, async (node) => {
    const answer = await cluster.send(node, deleteGroups, { groupsNames: [groupId] }, LANE);
    const code = answer.results[0]?.errorCode ?? -1;
    if (code === 0 || code === KafkaErrorCode.GROUP_ID_NOT_FOUND) return;
    throw groupError(code, `DeleteGroups of '${groupId}'`, groupId, {});
  });
}

async function refuseActive(cluster: Cluster, groupId: string): Promise<void> {
  const { members } = await describeGroup(cluster, groupId);
  if (members.length === 0) return;
  const names = members.map(({ memberId, instanceId }) => instanceId ?? memberId).join(', ');
  throw active(groupId, `it has the members ${names}`);
}

function active(groupId: string, why: string): EscapementError {
  return new EscapementError(
    'GROUP_ACTIVE',
    `The group '${groupId}' is active: ${why}. Stop all instances of the application, or wait until ` +
      'their sessions end.',
  );
}

const OF_ACTIVE = new Set<number>([
  KafkaErrorCode.UNKNOWN_MEMBER_ID,
  KafkaErrorCode.NON_EMPTY_GROUP,
  KafkaErrorCode.GROUP_SUBSCRIBED_TO_TOPIC,
]);

function groupError(
  code: number,
  what: string,
  groupId: string,
  at: Partial<TopicPartition>,
): EscapementError {
  const error: BrokerError = brokerError(code, what, at);
  return OF_ACTIVE.has(code) ? active(groupId, `the broker answers ${error.kafkaName}`) : error;
}

function checkPartitions(
  topics: readonly {
    readonly name: string;
    readonly partitions: readonly { readonly partitionIndex: number; readonly errorCode: number }[];
  }[],
  what: string,
  groupId: string,
): void {
  for (const { name: topic, partitions } of topics) {
    for (const { partitionIndex: partition, errorCode } of partitions) {
      if (errorCode === 0) continue;
      const place = { topic, partition };
      throw groupError(errorCode, `${what} for ${topic}-${partition}`, groupId, place);
    }
  }
}

function byTopic<P extends TopicPartition, Row>(
  partitions: readonly P[],
  row: (partition: P) => Row,
): { name: string; partitions: Row[] }[] {
  const topics = new Map<string, Row[]>();
  for (const each of partitions) {
    const rows = topics.get(each.topic) ?? [];
    rows.push(row(each));
    topics.set(each.topic, rows);
  }
  return [...topics].map(([name, rows]) => ({ name, partitions: rows }));
}
