/**
 * What members of a group say and are told: requests, answers, and the choice of a protocol.
 *
 * `group.ts` owns the members and decides; nothing here keeps state.
 */
import type { Timer } from '../ports.ts';

export interface GroupProtocol {
  readonly name: string;
  readonly metadata: Buffer;
}

export interface JoinAnswer {
  readonly errorCode: number;
  readonly generation: number;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly leader: string;
  readonly skipAssignment: boolean;
  readonly memberId: string;
  readonly members: readonly {
    readonly memberId: string;
    readonly instanceId: string | null;
    readonly metadata: Buffer;
  }[];
}

export interface SyncAnswer {
  readonly errorCode: number;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly assignment: Buffer;
}

export interface JoinRequest {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly protocolType: string;
  readonly protocols: readonly GroupProtocol[];
  /** KIP-394: JoinGroup v4 and later asks a newcomer to come again with its id. */
  readonly newcomer: 'asked-to-return' | 'let-in';
  /** KIP-814: JoinGroup v9 tells a returning static leader to skip the assignment. */
  readonly skipAssignment: 'known' | 'unknown';
  readonly answer: (answer: JoinAnswer) => void;
}

export interface SyncRequest {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly generation: number;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly assignments: readonly { readonly memberId: string; readonly assignment: Buffer }[];
  readonly answer: (answer: SyncAnswer) => void;
}

export interface Member {
  memberId: string;
  readonly instanceId: string | null;
  clientId: string;
  clientHost: string;
  sessionTimeoutMs: number;
  rebalanceTimeoutMs: number;
  protocols: readonly GroupProtocol[];
  assignment: Buffer;
  join: ((answer: JoinAnswer) => void) | null;
  sync: ((answer: SyncAnswer) => void) | null;
  session: Timer | null;
}

export interface MemberView {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly metadata: Buffer;
  readonly assignment: Buffer;
}

export const NOTHING = Buffer.alloc(0);

/** The protocol that most members prefer among those that all speak. */
export function selectProtocol(members: readonly Member[]): string {
  const votes = new Map<string, number>();
  for (const member of members) {
    const choice = member.protocols.find((protocol) =>
      members.every((other) => speaks(other.protocols, protocol.name)),
    );
    if (choice !== undefined) votes.set(choice.name, (votes.get(choice.name) ?? 0) + 1);
  }
  let best = '';
  for (const [name, count] of votes) if (count > (votes.get(best) ?? 0)) best = name;
  return best;
}

export function joinRefused(errorCode: number, memberId: string): JoinAnswer {
  return {
    errorCode,
    generation: -1,
    protocolType: null,
    protocolName: null,
    leader: '',
    skipAssignment: false,
    memberId,
    members: [],
  };
}

export function syncRefused(errorCode: number): SyncAnswer {
  return { errorCode, protocolType: null, protocolName: null, assignment: NOTHING };
}

export function speaks(protocols: readonly GroupProtocol[], name: string): boolean {
  return protocols.some((protocol) => protocol.name === name);
}

export function metadataOf(member: Member, protocolName: string | null): Buffer {
  return member.protocols.find((protocol) => protocol.name === protocolName)?.metadata ?? NOTHING;
}

export function sameProtocols(a: readonly GroupProtocol[], b: readonly GroupProtocol[]): boolean {
  return (
    a.length === b.length &&
    a.every((protocol, index) => {
      const other = b[index]!;
      return protocol.name === other.name && protocol.metadata.equals(other.metadata);
    })
  );
}

/**
 * The topics that members of protocol type `consumer` subscribe to, or null when one of them says
 * it in a way that is not the consumers'.
 */
export function topicsOf(members: readonly Member[]): ReadonlySet<string> | null {
  const topics = new Set<string>();
  for (const { protocols } of members) {
    for (const { metadata } of protocols) {
      const its = subscription(metadata);
      if (its === null) return null;
      for (const topic of its) topics.add(topic);
    }
  }
  return topics;
}

/** Version and topic names are what every version of a subscription begins with. */
function subscription(metadata: Buffer): string[] | null {
  const COUNT_AT = 2;
  if (metadata.length < COUNT_AT + 4) return null;
  const names: string[] = [];
  let at = COUNT_AT + 4;
  for (let left = metadata.readInt32BE(COUNT_AT); left > 0; left--) {
    if (at + 2 > metadata.length) return null;
    const length = metadata.readInt16BE(at);
    at += 2;
    if (length < 0 || at + length > metadata.length) return null;
    names.push(metadata.toString('utf8', at, at + length));
    at += length;
  }
  return names;
}
