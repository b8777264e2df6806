/** A member of a classic consumer group over a connection of its own, each request one attempt. */
import { heartbeat } from '../../src/kafka/protocol/heartbeat.ts';
import { joinGroup } from '../../src/kafka/protocol/join-group.ts';
import { leaveGroup } from '../../src/kafka/protocol/leave-group.ts';
import { syncGroup } from '../../src/kafka/protocol/sync-group.ts';
import { type Client, nameOf } from './client.ts';

export interface JoinOptions {
  readonly memberId?: string;
  readonly instanceId?: string | null;
  readonly sessionTimeoutMs?: number;
  readonly rebalanceTimeoutMs?: number;
  readonly protocolType?: string;
  /** `name=metadata`; default `range=m`. */
  readonly protocols?: readonly string[];
  readonly version?: number;
}

export interface Joined {
  readonly error: string;
  readonly generationId: number;
  readonly memberId: string;
  readonly leader: string;
  readonly protocolName: string | null;
  readonly skipAssignment: boolean;
  /** Metadata by member id; empty for followers. */
  readonly members: ReadonlyMap<string, string>;
}

/** Bytes of version, number of topics (none) and length of the user data. */
const SUBSCRIPTION_HEADER_BYTES = 10;

/** A consumer's subscription to nothing: Kafka fails a whole rebalance over bytes that are none. */
function subscription(userData: string): Buffer {
  const header = Buffer.alloc(SUBSCRIPTION_HEADER_BYTES);
  header.writeInt32BE(Buffer.byteLength(userData), 6);
  return Buffer.concat([header, Buffer.from(userData)]);
}

export function userDataOf(metadata: Buffer): string {
  return metadata.subarray(SUBSCRIPTION_HEADER_BYTES).toString();
}

export async function join(
  client: Client,
  groupId: string,
  options: JoinOptions = {},
): Promise<Joined> {
  const { version = 7, protocols = ['range=m'] } = options;
  const answer = await client.ask(joinGroup, version, {
    groupId,
    sessionTimeoutMs: options.sessionTimeoutMs ?? 600_000,
    rebalanceTimeoutMs: options.rebalanceTimeoutMs ?? 120_000,
    memberId: options.memberId ?? '',
    groupInstanceId: options.instanceId ?? null,
    protocolType: options.protocolType ?? 'consumer',
    protocols: protocols.map((each) => {
      const [name, metadata] = each.split('=') as [string, string];
      return { name, metadata: subscription(metadata) };
    }),
  });
  return {
    error: nameOf(answer.errorCode),
    generationId: answer.generationId,
    memberId: answer.memberId,
    leader: answer.leader,
    protocolName: answer.protocolName,
    skipAssignment: answer.skipAssignment,
    members: new Map(answer.members.map((each) => [each.memberId, userDataOf(each.metadata)])),
  };
}

export class Member {
  readonly client: Client;
  readonly groupId: string;
  memberId = '';
  generationId = -1;
  instanceId: string | null;
  leader = '';
  readonly #options: JoinOptions;

  constructor(client: Client, groupId: string, options: JoinOptions = {}) {
    this.client = client;
    this.groupId = groupId;
    this.instanceId = options.instanceId ?? null;
    this.#options = options;
  }

  get isLeader(): boolean {
    return this.leader === this.memberId;
  }

  /** Joins, coming again with the id that the coordinator gives to a newcomer. */
  async join(options: JoinOptions = {}): Promise<Joined> {
    const ask = () =>
      join(this.client, this.groupId, {
        ...this.#options,
        instanceId: this.instanceId,
        memberId: this.memberId,
        ...options,
      });
    let answer = await ask();
    while (answer.error === 'MEMBER_ID_REQUIRED') {
      this.memberId = answer.memberId;
      answer = await ask();
      // Kafka 3.9 forgets an empty group, and whom it expects, whenever some topic is deleted.
      if (answer.error !== 'UNKNOWN_MEMBER_ID') break;
      this.memberId = '';
      answer = await ask();
    }
    if (answer.error === 'NONE') {
      this.memberId = answer.memberId;
      this.generationId = answer.generationId;
      this.leader = answer.leader;
    }
    return answer;
  }

  /** `assignments` by member id, given by the leader. */
  async sync(
    assignments: Readonly<Record<string, string>> = {},
    options: { generationId?: number } = {},
  ): Promise<{ readonly error: string; readonly assignment: string }> {
    const answer = await this.client.ask(syncGroup, 3, {
      groupId: this.groupId,
      generationId: options.generationId ?? this.generationId,
      memberId: this.memberId,
      groupInstanceId: this.instanceId,
      assignments: Object.entries(assignments).map(([memberId, text]) => ({
        memberId,
        assignment: Buffer.from(text),
      })),
    });
    return { error: nameOf(answer.errorCode), assignment: answer.assignment.toString() };
  }

  /** Joins as the only member and takes the assignment `mine`. */
  async settle(): Promise<void> {
    const joined = await this.join();
    if (joined.error !== 'NONE') throw new Error(`JoinGroup: ${joined.error}`);
    const synced = await this.sync({ [this.memberId]: 'mine' });
    if (synced.error !== 'NONE') throw new Error(`SyncGroup: ${synced.error}`);
  }

  async heartbeat(generationId = this.generationId): Promise<string> {
    const { groupId, memberId, instanceId: groupInstanceId } = this;
    const body = { groupId, generationId, memberId, groupInstanceId };
    return nameOf((await this.client.ask(heartbeat, 3, body)).errorCode);
  }

  async leave(): Promise<string> {
    const answer = await this.client.ask(leaveGroup, 3, {
      groupId: this.groupId,
      members: [{ memberId: this.memberId, groupInstanceId: this.instanceId }],
    });
    return nameOf(answer.members[0]?.errorCode ?? answer.errorCode);
  }
}
