import { describe, expect, test } from 'vitest';
import { GroupOffsets } from '../../src/broker/offsets.ts';
import { KafkaErrorCode as Code } from '../../src/kafka/protocol/error-codes.ts';
import { joinGroup } from '../../src/kafka/protocol/join-group.ts';
import { offsetCommit } from '../../src/kafka/protocol/offset-commit.ts';
import { offsetFetch } from '../../src/kafka/protocol/offset-fetch.ts';
import { type Client, stage } from './client.ts';
import { VirtualPorts } from './ports.ts';

const ID = 'id';
const G = 'g';

function commit(
  client: Client,
  offset: number,
  member: { generation?: number; memberId?: string; metadata?: string | null } = {},
): number {
  const partition = {
    partitionIndex: 0,
    committedOffset: offset,
    committedMetadata: member.metadata ?? null,
  };
  return client.ask(offsetCommit, 7, {
    groupId: G,
    generationIdOrMemberEpoch: member.generation ?? -1,
    memberId: member.memberId ?? '',
    topics: [{ name: 'in', partitions: [partition] }],
  }).topics[0]!.partitions[0]!.errorCode;
}

function inTransaction() {
  const staged = stage();
  const { client } = staged;
  client.createTopic('in');
  const producer = client.init(ID);
  client.addOffsets(ID, producer, G);
  return { ...staged, producer };
}

const BY_V1 = { coordinatorEpoch: 0, rules: 'v1' } as const;

/** One member, in generation 1, before its SyncGroup. */
function join(client: Client): string {
  const request = {
    groupId: G,
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    memberId: '',
    protocolType: 'consumer',
    protocols: [{ name: 'p', metadata: Buffer.alloc(0) }],
  };
  return client.ask(joinGroup, 3, request).memberId;
}

describe('transactional offsets', () => {
  test('rule 13: are pending until the marker, which a stable fetch is told', () => {
    const { client, ports, producer } = inTransaction();
    commit(client, 3);
    expect(client.txnOffsetCommit(ID, producer, G, 5, { metadata: 'step 7' })).toBe(Code.NONE);
    const refused = { committedOffset: -1, errorCode: Code.UNSTABLE_OFFSET_COMMIT };
    expect(client.committed(G, 'stable')).toMatchObject(refused);
    expect(client.committed(G, 'any')).toMatchObject({ committedOffset: 3, errorCode: 0 });
    client.end(ID, producer, 'commit');
    expect(client.committed(G, 'stable')).toMatchObject(refused);
    expect(client.committed(G, 'any')).toMatchObject({ committedOffset: 3 });
    ports.advance(20);
    expect(client.committed(G)).toEqual({ committedOffset: 5, errorCode: 0, metadata: 'step 7' });
  });

  test('rule 13: are dropped by an abort', () => {
    const { client, ports, producer } = inTransaction();
    client.txnOffsetCommit(ID, producer, G, 5);
    client.end(ID, producer, 'abort');
    ports.advance(20);
    expect(client.committed(G)).toMatchObject({ committedOffset: -1, errorCode: 0 });
  });

  test('do not overwrite a commit that was written after them', () => {
    const { client, ports, producer } = inTransaction();
    client.txnOffsetCommit(ID, producer, G, 5);
    expect(commit(client, 9)).toBe(Code.NONE);
    client.end(ID, producer, 'commit');
    ports.advance(20);
    expect(client.committed(G).committedOffset).toBe(9);
  });

  test('rule 8: are refused when the group is not part of the ongoing transaction', () => {
    const { client, ports, producer } = inTransaction();
    expect(client.txnOffsetCommit(ID, producer, 'other', 5)).toBe(Code.INVALID_TXN_STATE);
    client.txnOffsetCommit(ID, producer, G, 5);
    client.end(ID, producer, 'commit');
    ports.advance(20);
    expect(client.txnOffsetCommit(ID, producer, G, 6)).toBe(Code.INVALID_TXN_STATE);
    expect(client.committed(G).committedOffset).toBe(5);
  });

  test('rule 5: of an older epoch are refused', () => {
    const { client, ports, producer } = inTransaction();
    client.txnOffsetCommit(ID, producer, G, 5);
    client.init(ID);
    ports.advance(20);
    expect(client.txnOffsetCommit(ID, producer, G, 6)).toBe(Code.INVALID_PRODUCER_EPOCH);
    expect(client.committed(G)).toMatchObject({ committedOffset: -1, errorCode: 0 });
  });

  test('rule 14: are checked for membership only when they carry it', () => {
    const { client, producer } = inTransaction();
    const memberId = join(client);
    const send = (generationId: number, id: string, groupInstanceId: string | null = null) =>
      client.txnOffsetCommit(ID, producer, G, 5, { generationId, memberId: id, groupInstanceId });
    expect(send(2, memberId)).toBe(Code.ILLEGAL_GENERATION);
    expect(send(1, 'stranger')).toBe(Code.UNKNOWN_MEMBER_ID);
    expect(send(1, memberId, 'nobody')).toBe(Code.UNKNOWN_MEMBER_ID);
    expect(client.committed(G).errorCode).toBe(Code.NONE);
    expect(send(-1, '')).toBe(Code.NONE);
    expect(send(1, memberId)).toBe(Code.NONE);
  });

  test('rule 14: are refused when the group that they name is gone', () => {
    const { client, producer } = inTransaction();
    const membership = { generationId: 3, memberId: 'm' };
    for (let times = 0; times < 2; times++) {
      expect(client.txnOffsetCommit(ID, producer, G, 5, membership)).toBe(Code.ILLEGAL_GENERATION);
    }
    expect(client.broker.groups.find(G)).toBeUndefined();
  });

  test('rule 14: are taken in the middle of a rebalance, plain commits are not', () => {
    const { client, producer } = inTransaction();
    const memberId = join(client);
    expect(commit(client, 1, { generation: 1, memberId })).toBe(Code.REBALANCE_IN_PROGRESS);
    const membership = { generationId: 1, memberId };
    expect(client.txnOffsetCommit(ID, producer, G, 5, membership)).toBe(Code.NONE);
  });

  test('rule 9: know the newest epoch of a producer by themselves', () => {
    const offsets = new GroupOffsets(new VirtualPorts().clock);
    offsets.mark({ producerId: 7, producerEpoch: 3, result: 'abort', ...BY_V1 }, 'newer');
    expect(offsets.checkEpoch(7, 2)).toBe(Code.INVALID_PRODUCER_EPOCH);
    expect(offsets.checkEpoch(7, 3)).toBe(Code.NONE);
  });

  test('rule 7: keep out a v2 marker of the very epoch that holds offsets back', () => {
    const offsets = new GroupOffsets({ now: () => 0, monotonic: () => 0 });
    const entry = { topic: 'in', partition: 0, offset: 5, leaderEpoch: -1, metadata: '' };
    const marker = { producerId: 7, coordinatorEpoch: 0, result: 'commit', rules: 'v2' } as const;
    offsets.commitPending(7, 3, entry);
    expect(offsets.mark({ ...marker, producerEpoch: 3 }, 'newer')).toBe('refused');
    expect(offsets.mark({ ...marker, producerEpoch: 4 }, 'newer')).toBe('written');
    expect(offsets.find('in', 0)?.offset).toBe(5);
    // Once more, after a move of the coordinator.
    expect(offsets.mark({ ...marker, producerEpoch: 4 }, 'newer')).toBe('written');
  });

  test('keep out the marker of an older epoch', () => {
    const offsets = new GroupOffsets(new VirtualPorts().clock);
    const entry = { topic: 'in', partition: 0, offset: 5, leaderEpoch: -1, metadata: '' };
    offsets.commitPending(7, 3, entry);
    offsets.mark({ producerId: 7, producerEpoch: 2, result: 'commit', ...BY_V1 }, 'newer');
    expect(offsets.isPending('in', 0)).toBe(true);
    expect(offsets.find('in', 0)).toBeUndefined();
  });
});

describe('committed offsets', () => {
  test('are -1 where there are none', () => {
    const { client } = inTransaction();
    expect(client.committed('new')).toEqual({ committedOffset: -1, errorCode: 0, metadata: '' });
  });

  test('are refused to strangers of a group with members', () => {
    const { client } = inTransaction();
    expect(commit(client, 1, { generation: 4, memberId: 'm' })).toBe(Code.ILLEGAL_GENERATION);
    expect(commit(client, 1)).toBe(Code.NONE);
    join(client);
    expect(commit(client, 2)).toBe(Code.UNKNOWN_MEMBER_ID);
    expect(commit(client, 2, { generation: 1, memberId: 'm' })).toBe(Code.UNKNOWN_MEMBER_ID);
    expect(client.committed(G).committedOffset).toBe(1);
  });

  test('carry metadata up to the limit', () => {
    const { client, producer } = inTransaction();
    const [most, more] = ['m'.repeat(4_096), 'm'.repeat(4_097)];
    expect(commit(client, 1, { metadata: more })).toBe(Code.OFFSET_METADATA_TOO_LARGE);
    expect(client.txnOffsetCommit(ID, producer, G, 1, { metadata: more })).toBe(
      Code.OFFSET_METADATA_TOO_LARGE,
    );
    expect(commit(client, 1, { metadata: most })).toBe(Code.NONE);
    expect(client.committed(G).metadata).toBe(most);
  });

  test('are refused for unknown partitions', () => {
    const { client, producer } = inTransaction();
    expect(client.txnOffsetCommit(ID, producer, G, 1, { topic: 'nowhere' })).toBe(
      Code.UNKNOWN_TOPIC_OR_PARTITION,
    );
  });

  test('are listed when no topic is named, and for several groups at once in v8', () => {
    const { client } = inTransaction();
    commit(client, 4);
    const all = client.ask(offsetFetch, 7, { groupId: G, topics: null });
    expect(all.topics[0]).toMatchObject({ name: 'in', partitions: [{ committedOffset: 4 }] });
    const both = client.ask(offsetFetch, 8, {
      groups: [
        { groupId: G, topics: null },
        { groupId: 'none', topics: null },
      ],
    });
    expect(both.groups.map((each) => each.topics.length)).toEqual([1, 0]);
  });

  test('go with their topic', () => {
    const { client, broker } = inTransaction();
    commit(client, 4);
    broker.groups.forgetTopic('in');
    expect(client.committed(G).committedOffset).toBe(-1);
  });
});
