/** Groups from outside: DescribeGroups, ListGroups, DeleteGroups, OffsetDelete. */
import { deleteGroups } from '../kafka/protocol/delete-groups.ts';
import { describeGroups } from '../kafka/protocol/describe-groups.ts';
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import { listGroups } from '../kafka/protocol/list-groups.ts';
import { offsetDelete } from '../kafka/protocol/offset-delete.ts';
import type { Request } from '../kafka/protocol/schema.ts';
import type { ApiTable } from './api-table.ts';
import type { Group } from './group.ts';
import type { BrokerState } from './state.ts';

const NO_OPERATIONS = -2_147_483_648;
const UNKNOWN_GROUP_VERSION = 6;
const NOTHING = Buffer.alloc(0);

export function serveGroupAdministration(table: ApiTable, state: BrokerState): void {
  const { groups } = state;
  /** Why the node cannot speak for the group, or 0. */
  const misplaced = (groupId: string, node: number) =>
    state.coordinatorFault('group', groupId, node);

  table.serve(describeGroups, (request, answer, { connection, version }) => {
    const described = request.groups.map((groupId) => {
      const misplacedCode = misplaced(groupId, connection.node);
      if (misplacedCode !== KafkaErrorCode.NONE) return notDescribed(groupId, misplacedCode, '');
      const group = groups.find(groupId)?.group;
      if (group !== undefined) return describedGroup(group);
      return version < UNKNOWN_GROUP_VERSION
        ? notDescribed(groupId, KafkaErrorCode.NONE, 'Dead')
        : notDescribed(groupId, KafkaErrorCode.GROUP_ID_NOT_FOUND, 'Dead');
    });
    answer({ throttleTimeMs: 0, groups: described });
  });

  table.serve(listGroups, (request, answer, { connection }) => {
    const wanted = (filter: readonly string[], name: string) =>
      filter.length === 0 || filter.some((each) => each.trim().toLowerCase() === name);
    const listed = groups
      .all()
      .filter(
        ({ groupId, state: its }) =>
          misplaced(groupId, connection.node) === KafkaErrorCode.NONE &&
          wanted(request.statesFilter, its.toLowerCase()) &&
          wanted(request.typesFilter, 'classic'),
      )
      .map((group) => ({
        groupId: group.groupId,
        protocolType: group.protocolType ?? '',
        groupState: group.state,
        groupType: 'classic',
      }));
    answer({ throttleTimeMs: 0, errorCode: KafkaErrorCode.NONE, groups: listed });
  });

  table.serve(deleteGroups, (request, answer, { connection }) => {
    const codes = {
      deleted: KafkaErrorCode.NONE,
      unknown: KafkaErrorCode.GROUP_ID_NOT_FOUND,
      occupied: KafkaErrorCode.NON_EMPTY_GROUP,
    };
    const results = [...new Set(request.groupsNames)].map((groupId) => ({
      groupId,
      errorCode: misplaced(groupId, connection.node) || codes[groups.delete(groupId)],
    }));
    answer({ throttleTimeMs: 0, results });
  });

  table.serve(offsetDelete, (request, answer, { connection }) => {
    const { groupId } = request;
    const record = groups.find(groupId);
    const refuse = (errorCode: number) => answer({ errorCode, throttleTimeMs: 0, topics: [] });
    const misplacedCode = misplaced(groupId, connection.node);
    if (misplacedCode !== KafkaErrorCode.NONE) return refuse(misplacedCode);
    if (record === undefined) return refuse(KafkaErrorCode.GROUP_ID_NOT_FOUND);
    const isConsumers = record.group.protocolType === 'consumer';
    if (record.group.state !== 'Empty' && !isConsumers) {
      return refuse(KafkaErrorCode.NON_EMPTY_GROUP);
    }
    const topics = request.topics.map((topic) => ({
      name: topic.name,
      partitions: topic.partitions.map(({ partitionIndex }) => ({
        partitionIndex,
        errorCode: deleteOffset(state, groupId, topic, partitionIndex),
      })),
    }));
    // Kafka 3.9 has no group that has neither members nor offsets.
    if (state.settings.transactionVersion === 1) groups.retire(groupId);
    answer({ errorCode: KafkaErrorCode.NONE, throttleTimeMs: 0, topics });
  });
}

type OffsetTopic = Request<typeof offsetDelete>['topics'][number];

function deleteOffset(
  state: BrokerState,
  groupId: string,
  { name }: OffsetTopic,
  partition: number,
): number {
  const { group, offsets } = state.groups.find(groupId)!;
  if (state.topics.partition(name, partition) === undefined) {
    return KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
  }
  if (group.isSubscribed(name)) return KafkaErrorCode.GROUP_SUBSCRIBED_TO_TOPIC;
  offsets.delete(name, partition);
  return KafkaErrorCode.NONE;
}

/** What the members say is shown only while the group is stable, as in Kafka. */
function describedGroup(group: Group): ReturnType<typeof notDescribed> {
  const isStable = group.state === 'Stable';
  return {
    ...notDescribed(group.groupId, KafkaErrorCode.NONE, group.state),
    protocolType: group.protocolType ?? '',
    protocolData: isStable ? (group.protocolName ?? '') : '',
    members: group.members().map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      memberMetadata: isStable ? member.metadata : NOTHING,
      memberAssignment: isStable ? member.assignment : NOTHING,
    })),
  };
}

interface DescribedMember {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly memberMetadata: Buffer;
  readonly memberAssignment: Buffer;
}

function notDescribed(groupId: string, errorCode: number, groupState: string) {
  const isUnknown = errorCode === KafkaErrorCode.GROUP_ID_NOT_FOUND;
  return {
    errorCode,
    errorMessage: isUnknown ? `Group ${groupId} not found.` : null,
    groupId,
    groupState,
    protocolType: '',
    protocolData: '',
    members: [] as DescribedMember[],
    authorizedOperations: NO_OPERATIONS,
  };
}
