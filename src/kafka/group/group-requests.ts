/**
 * The requests of one group member to its coordinator: one attempt each, answers as they come.
 *
 * Used by `member.ts`, which knows what each error code means at its point of the protocol. All of
 * them travel on the lane `group`, where a JoinGroup or SyncGroup that the broker holds keeps only
 * requests of this member waiting.
 */
import type { Cluster } from '../cluster/cluster.ts';
import { heartbeat } from '../protocol/heartbeat.ts';
import { joinGroup } from '../protocol/join-group.ts';
import { leaveGroup } from '../protocol/leave-group.ts';
import type { Response } from '../protocol/schema.ts';
import { syncGroup } from '../protocol/sync-group.ts';
import type { Lane } from '../transport/transport.ts';

export type GroupCluster = Pick<Cluster, 'send' | 'coordinator' | 'forgetCoordinator'>;

/** Of the group protocol, as kafka-consumer-groups.sh shows it as the assignment strategy. */
export const PROTOCOL_NAME = 'escapement';
/** The standard type: the broker reads the subscribed topics, tools the assigned partitions. */
export const PROTOCOL_TYPE = 'consumer';

export interface GroupRequestsOptions {
  readonly cluster: GroupCluster;
  readonly groupId: string;
  readonly instanceId: string | null;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
}

export interface Joined {
  readonly errorCode: number;
  readonly generation: number;
  readonly memberId: string;
  /** Set when this member is to assign the tasks. */
  readonly members: readonly { readonly memberId: string; readonly metadata: Buffer }[] | null;
}

/** The broker answers a JoinGroup by the end of the rebalance timeout; this is for the way. */
const GRACE_MS = 5_000;
const LEAVE_TIMEOUT_MS = 5_000;

export class GroupRequests {
  readonly #options: GroupRequestsOptions;

  constructor(options: GroupRequestsOptions) {
    this.#options = options;
  }

  async join(memberId: string, metadata: Buffer): Promise<Joined> {
    const { cluster, groupId, instanceId, sessionTimeoutMs, rebalanceTimeoutMs } = this.#options;
    // A dynamic newcomer is not held: it is given its id at once (KIP-394).
    const isHeld = memberId !== '' || instanceId !== null;
    const answer = await cluster.send(
      await this.#node(),
      joinGroup,
      {
        groupId,
        sessionTimeoutMs,
        rebalanceTimeoutMs,
        memberId,
        groupInstanceId: instanceId,
        protocolType: PROTOCOL_TYPE,
        protocols: [{ name: PROTOCOL_NAME, metadata }],
      },
      {
        lane: 'group',
        versionMin: 5,
        timeoutMs: isHeld ? rebalanceTimeoutMs + GRACE_MS : sessionTimeoutMs,
      },
    );
    // A returning static leader is told to leave the assignment that stands alone (KIP-814).
    const assigns = answer.leader === answer.memberId && !answer.skipAssignment;
    return {
      errorCode: answer.errorCode,
      generation: answer.generationId,
      memberId: answer.memberId,
      members: assigns ? answer.members : null,
    };
  }

  async sync(
    generation: number,
    memberId: string,
    assignments: readonly { readonly memberId: string; readonly assignment: Buffer }[],
  ): Promise<Response<typeof syncGroup>> {
    const { cluster, groupId, instanceId, sessionTimeoutMs } = this.#options;
    return cluster.send(
      await this.#node(),
      syncGroup,
      {
        groupId,
        generationId: generation,
        memberId,
        groupInstanceId: instanceId,
        protocolType: PROTOCOL_TYPE,
        protocolName: PROTOCOL_NAME,
        assignments,
      },
      // Held until the leader's own comes, which a later one of ours finds as well.
      { lane: 'group', versionMin: 3, timeoutMs: sessionTimeoutMs },
    );
  }

  async heartbeat(generation: number, memberId: string): Promise<number> {
    const { cluster, groupId, instanceId, sessionTimeoutMs } = this.#options;
    const answer = await cluster.send(
      await this.#node(),
      heartbeat,
      { groupId, generationId: generation, memberId, groupInstanceId: instanceId },
      // Short enough for another attempt within the session.
      { lane: 'group', versionMin: 3, timeoutMs: Math.ceil(sessionTimeoutMs / 3) },
    );
    return answer.errorCode;
  }

  async leave(memberId: string, lane: Lane): Promise<number> {
    const { cluster, groupId, instanceId } = this.#options;
    const answer = await cluster.send(
      await this.#node(),
      leaveGroup,
      (version) =>
        version < 3
          ? { groupId, memberId }
          : { groupId, members: [{ memberId, groupInstanceId: instanceId, reason: 'stopped' }] },
      { lane, timeoutMs: LEAVE_TIMEOUT_MS },
    );
    return answer.errorCode === 0 ? (answer.members[0]?.errorCode ?? 0) : answer.errorCode;
  }

  forgetCoordinator(): void {
    this.#options.cluster.forgetCoordinator('group', this.#options.groupId);
  }

  #node(): Promise<number> {
    return this.#options.cluster.coordinator('group', this.#options.groupId);
  }
}
