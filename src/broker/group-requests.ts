/** Membership: JoinGroup, SyncGroup, Heartbeat, LeaveGroup. */
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import { heartbeat } from '../kafka/protocol/heartbeat.ts';
import { joinGroup } from '../kafka/protocol/join-group.ts';
import { leaveGroup } from '../kafka/protocol/leave-group.ts';
import { syncGroup } from '../kafka/protocol/sync-group.ts';
import type { ApiTable } from './api-table.ts';
import { type JoinAnswer, joinRefused, type SyncAnswer, syncRefused } from './membership.ts';
import type { BrokerState } from './state.ts';

const MEMBER_ID_REQUIRED_VERSION = 4;
const INSTANCE_LEAVE_VERSION = 3;
const SKIP_ASSIGNMENT_VERSION = 9;
/** From it on SyncGroup must name the protocol that the group chose. */
const NAMED_PROTOCOL_VERSION = 5;
const NOTHING = Buffer.alloc(0);

export function serveGroupRequests(table: ApiTable, state: BrokerState): void {
  const { groups, settings } = state;
  /** The error code that precedes every look at the group, or 0. */
  const misplaced = (groupId: string, node: number) => {
    if (groupId === '') return KafkaErrorCode.INVALID_GROUP_ID;
    return state.coordinatorFault('group', groupId, node);
  };

  table.serve(joinGroup, (request, answer, { connection, version }) => {
    const { groupId, memberId, sessionTimeoutMs } = request;
    const respond = (joined: JoinAnswer) =>
      answer({
        throttleTimeMs: 0,
        errorCode: joined.errorCode,
        generationId: joined.generation,
        protocolType: joined.protocolType,
        // Nullable only from v7 on.
        protocolName: version < 7 ? (joined.protocolName ?? '') : joined.protocolName,
        leader: joined.leader,
        skipAssignment: joined.skipAssignment,
        memberId: joined.memberId,
        members: joined.members.map((each) => ({
          memberId: each.memberId,
          groupInstanceId: each.instanceId,
          metadata: each.metadata,
        })),
      });
    const refuse = (errorCode: number) => respond(joinRefused(errorCode, memberId));
    const errorCode = misplaced(groupId, connection.node);
    if (errorCode !== KafkaErrorCode.NONE) return refuse(errorCode);
    if (
      sessionTimeoutMs < settings.sessionTimeoutMinMs ||
      sessionTimeoutMs > settings.sessionTimeoutMaxMs
    ) {
      return refuse(KafkaErrorCode.INVALID_SESSION_TIMEOUT);
    }
    if (memberId !== '' && groups.find(groupId) === undefined) {
      return refuse(KafkaErrorCode.UNKNOWN_MEMBER_ID);
    }
    groups.findOrCreate(groupId).group.join({
      memberId,
      instanceId: request.groupInstanceId,
      clientId: connection.clientId,
      clientHost: `/${connection.host}`,
      sessionTimeoutMs,
      // v0 has no rebalance timeout of its own.
      rebalanceTimeoutMs: version === 0 ? sessionTimeoutMs : request.rebalanceTimeoutMs,
      protocolType: request.protocolType,
      protocols: request.protocols.map((each) => ({
        name: each.name,
        metadata: each.metadata ?? NOTHING,
      })),
      newcomer: version >= MEMBER_ID_REQUIRED_VERSION ? 'asked-to-return' : 'let-in',
      skipAssignment: version >= SKIP_ASSIGNMENT_VERSION ? 'known' : 'unknown',
      answer: respond,
    });
  });

  table.serve(syncGroup, (request, answer, { connection, version }) => {
    const respond = (synced: SyncAnswer) =>
      answer({
        throttleTimeMs: 0,
        errorCode: synced.errorCode,
        protocolType: synced.protocolType,
        protocolName: synced.protocolName,
        assignment: synced.assignment,
      });
    const refuse = (errorCode: number) => respond(syncRefused(errorCode));
    const isUnnamed = request.protocolType === null || request.protocolName === null;
    if (version >= NAMED_PROTOCOL_VERSION && isUnnamed) {
      return refuse(KafkaErrorCode.INCONSISTENT_GROUP_PROTOCOL);
    }
    const errorCode = misplaced(request.groupId, connection.node);
    if (errorCode !== KafkaErrorCode.NONE) return refuse(errorCode);
    const record = groups.find(request.groupId);
    if (record === undefined) return refuse(KafkaErrorCode.UNKNOWN_MEMBER_ID);
    record.group.sync({
      memberId: request.memberId,
      instanceId: request.groupInstanceId,
      generation: request.generationId,
      protocolType: request.protocolType,
      protocolName: request.protocolName,
      assignments: request.assignments.map((each) => ({
        memberId: each.memberId,
        assignment: each.assignment ?? NOTHING,
      })),
      answer: respond,
    });
  });

  table.serve(heartbeat, (request, answer, { connection }) => {
    const misplacedCode = misplaced(request.groupId, connection.node);
    const errorCode =
      misplacedCode !== KafkaErrorCode.NONE
        ? misplacedCode
        : (groups
            .find(request.groupId)
            ?.group.heartbeat(request.memberId, request.groupInstanceId, request.generationId) ??
          KafkaErrorCode.UNKNOWN_MEMBER_ID);
    answer({ throttleTimeMs: 0, errorCode });
  });

  table.serve(leaveGroup, (request, answer, { connection, version }) => {
    const misplacedCode = misplaced(request.groupId, connection.node);
    if (misplacedCode !== KafkaErrorCode.NONE) {
      answer({ throttleTimeMs: 0, errorCode: misplacedCode, members: [] });
      return;
    }
    const leave = (memberId: string, instanceId: string | null) =>
      groups.find(request.groupId)?.group.leave(memberId, instanceId) ??
      KafkaErrorCode.UNKNOWN_MEMBER_ID;
    if (version < INSTANCE_LEAVE_VERSION) {
      answer({ throttleTimeMs: 0, errorCode: leave(request.memberId, null), members: [] });
      return;
    }
    const members = request.members.map(({ memberId, groupInstanceId }) => ({
      memberId,
      groupInstanceId,
      errorCode: leave(memberId, groupInstanceId),
    }));
    answer({ throttleTimeMs: 0, errorCode: KafkaErrorCode.NONE, members });
  });
}
