/** Rule 24: committed offsets that nobody reads on from are gone after a while. */
import { describe, expect, test } from 'vitest';
import { deleteGroups } from '../../src/kafka/protocol/delete-groups.ts';
import { describeGroups } from '../../src/kafka/protocol/describe-groups.ts';
import { KafkaErrorCode as Code } from '../../src/kafka/protocol/error-codes.ts';
import { heartbeat } from '../../src/kafka/protocol/heartbeat.ts';
import { joinGroup } from '../../src/kafka/protocol/join-group.ts';
import { leaveGroup } from '../../src/kafka/protocol/leave-group.ts';
import { listGroups } from '../../src/kafka/protocol/list-groups.ts';
import { offsetCommit } from '../../src/kafka/protocol/offset-commit.ts';
import { offsetDelete } from '../../src/kafka/protocol/offset-delete.ts';
import { syncGroup } from '../../src/kafka/protocol/sync-group.ts';
import { type Client, stage } from './client.ts';

const G = 'g';
const RETENTION_MS = 100_000;
const NOBODY = { generationIdOrMemberEpoch: -1, memberId: '' };

function ready() {
  const staged = stage({ offsetsRetentionMs: RETENTION_MS, transactionVersion: 1 });
  for (const topic of ['in', 'other']) staged.client.createTopic(topic, 2);
  return staged;
}

function commit(client: Client, topic: string, offset: number, who = NOBODY): number {
  const partitions = [{ partitionIndex: 0, committedOffset: offset, committedMetadata: '' }];
  const answer = client.ask(offsetCommit, 8, {
    groupId: G,
    ...who,
    topics: [{ name: topic, partitions }],
  });
  return answer.topics[0]!.partitions[0]!.errorCode;
}

/** The subscription of a consumer to these topics. */
function subscription(...topics: string[]): Buffer {
  const parts: Buffer[] = [Buffer.from([0, 0]), Buffer.from([0, 0, 0, topics.length])];
  for (const topic of topics) parts.push(Buffer.from([0, topic.length]), Buffer.from(topic));
  return Buffer.concat([...parts, Buffer.alloc(4)]);
}

/** Makes the client the only member of the group, with an assignment. */
function join(client: Client, ...topics: string[]) {
  const answer = client.ask(joinGroup, 3, {
    groupId: G,
    sessionTimeoutMs: 60_000,
    rebalanceTimeoutMs: 60_000,
    memberId: '',
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: subscription(...topics) }],
  });
  const { memberId, generationId } = answer;
  const assignments = [{ memberId, assignment: Buffer.from('a') }];
  client.ask(syncGroup, 3, { groupId: G, generationId, memberId, assignments });
  return { memberId, generationId, generationIdOrMemberEpoch: generationId };
}

const beat = (client: Client, { memberId, generationId }: ReturnType<typeof join>) =>
  client.ask(heartbeat, 3, { groupId: G, memberId, generationId }).errorCode;

const offsetOf = (client: Client, topic = 'in') =>
  client.committed(G, 'stable', topic).committedOffset;

describe('rule 24: committed offsets', () => {
  test('of a group that never had members are gone a retention after their commit', () => {
    const { client, ports } = ready();
    commit(client, 'in', 5);
    ports.advance(RETENTION_MS / 2);
    commit(client, 'other', 6);
    ports.advance(RETENTION_MS / 2 - 1);
    expect([offsetOf(client), offsetOf(client, 'other')]).toEqual([5, 6]);
    ports.advance(1);
    expect([offsetOf(client), offsetOf(client, 'other')]).toEqual([-1, 6]);
    ports.advance(RETENTION_MS / 2);
    expect(client.ask(listGroups, 4, { statesFilter: [] }).groups).toEqual([]);
  });

  test('stay as long as members read their topic, however old they are', () => {
    const { client, ports } = ready();
    const member = join(client, 'in');
    commit(client, 'in', 5, member);
    for (let beats = 0; beats < 10; beats++) {
      ports.advance(50_000);
      expect(beat(client, member)).toBe(Code.NONE);
    }
    expect(offsetOf(client)).toBe(5);
  });

  test('of a topic that no member reads any more are gone', () => {
    const { client, ports } = ready();
    commit(client, 'other', 6);
    const member = join(client, 'in');
    commit(client, 'in', 5, member);
    for (let beats = 0; beats < 3; beats++) {
      ports.advance(50_000);
      beat(client, member);
    }
    expect([offsetOf(client), offsetOf(client, 'other')]).toEqual([5, -1]);
  });

  test('count from the time at which the last member left', () => {
    const { client, ports } = ready();
    const { memberId, ...member } = join(client, 'in');
    commit(client, 'in', 5, { memberId, ...member });
    ports.advance(50_000);
    expect(client.ask(leaveGroup, 2, { groupId: G, memberId }).errorCode).toBe(Code.NONE);
    ports.advance(RETENTION_MS - 1);
    expect(offsetOf(client)).toBe(5);
    ports.advance(1);
    expect(offsetOf(client)).toBe(-1);
  });

  test('are kept while a transaction holds others of the partition back', () => {
    const { client, ports } = ready();
    commit(client, 'in', 5);
    const producer = client.init('id', undefined, RETENTION_MS * 5);
    client.addOffsets('id', producer, G);
    expect(client.txnOffsetCommit('id', producer, G, 9)).toBe(Code.NONE);
    ports.advance(RETENTION_MS * 2);
    expect(client.committed(G, 'any').committedOffset).toBe(5);
    client.end('id', producer, 'abort');
    ports.advance(100);
    expect(offsetOf(client)).toBe(-1);
  });
});

describe('OffsetDelete', () => {
  const remove = (client: Client, topic: string, partitionIndex = 0) => {
    const answer = client.ask(offsetDelete, 0, {
      groupId: G,
      topics: [{ name: topic, partitions: [{ partitionIndex }] }],
    });
    return answer.topics[0]?.partitions[0]?.errorCode ?? answer.errorCode;
  };

  test('drops offsets that no member subscribes to', () => {
    const { client } = ready();
    expect(remove(client, 'in')).toBe(Code.GROUP_ID_NOT_FOUND);
    commit(client, 'in', 5);
    commit(client, 'other', 6);
    join(client, 'in');
    expect(remove(client, 'in')).toBe(Code.GROUP_SUBSCRIBED_TO_TOPIC);
    expect(remove(client, 'other')).toBe(Code.NONE);
    expect(remove(client, 'other', 7)).toBe(Code.UNKNOWN_TOPIC_OR_PARTITION);
    expect([offsetOf(client), offsetOf(client, 'other')]).toEqual([5, -1]);
  });

  test('takes an offset that a transaction has not committed yet with it', () => {
    const { client, ports } = ready();
    commit(client, 'in', 5);
    const producer = client.init('id');
    client.addOffsets('id', producer, G);
    client.txnOffsetCommit('id', producer, G, 9);
    expect(remove(client, 'in')).toBe(Code.NONE);
    client.end('id', producer, 'commit');
    ports.advance(100);
    expect(offsetOf(client)).toBe(-1);
  });
});

describe('a group seen from outside', () => {
  test('shows what its members say only while it is stable', () => {
    const { client } = ready();
    const member = join(client, 'in');
    const described = () => client.ask(describeGroups, 5, { groups: [G] }).groups[0]!;
    expect(described()).toMatchObject({ groupState: 'Stable', protocolData: 'range' });
    expect(described().members[0]!.memberMetadata).toEqual(subscription('in'));
    client.post(joinGroup, 3, {
      groupId: G,
      sessionTimeoutMs: 60_000,
      rebalanceTimeoutMs: 60_000,
      memberId: '',
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: subscription('in') }],
    });
    expect(described()).toMatchObject({ groupState: 'PreparingRebalance', protocolData: '' });
    expect(described().members).toHaveLength(2);
    expect(described().members[0]).toMatchObject({ memberId: member.memberId });
    expect(described().members[0]!.memberMetadata).toHaveLength(0);
  });

  test('that nobody knows is dead, and from version 6 on an error', () => {
    const two = stage({ transactionVersion: 2 }).client;
    const at = (version: number) => two.ask(describeGroups, version, { groups: ['x'] }).groups[0];
    expect(at(5)).toMatchObject({ errorCode: Code.NONE, groupState: 'Dead' });
    expect(at(6)).toMatchObject({ errorCode: Code.GROUP_ID_NOT_FOUND, groupState: 'Dead' });
  });

  test('may be deleted while somebody who was given an id has not come back', () => {
    const { client } = ready();
    commit(client, 'in', 5);
    client.ask(joinGroup, 5, {
      groupId: G,
      sessionTimeoutMs: 60_000,
      rebalanceTimeoutMs: 60_000,
      memberId: '',
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: subscription('in') }],
    });
    const { results } = client.ask(deleteGroups, 1, { groupsNames: [G, G] });
    expect(results.map((each) => each.errorCode)).toEqual([Code.NONE]);
    expect(offsetOf(client)).toBe(-1);
  });
});
