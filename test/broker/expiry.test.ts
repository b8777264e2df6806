import { describe, expect, test } from 'vitest';
import { KafkaErrorCode as Code } from '../../src/kafka/protocol/error-codes.ts';
import { joinGroup } from '../../src/kafka/protocol/join-group.ts';
import { offsetCommit } from '../../src/kafka/protocol/offset-commit.ts';
import { syncGroup } from '../../src/kafka/protocol/sync-group.ts';
import { type Client, stage as openStage } from './client.ts';

const ID = 'app-in-0';
const G = 'g';
const RETENTION_MS = 60_000;

function stage() {
  const staged = openStage({
    offsetsRetentionMs: RETENTION_MS,
    transactionalIdExpirationMs: 1_000,
  });
  for (const topic of ['in', 'other']) staged.client.createTopic(topic);
  const later = (ms: number) => {
    staged.ports.advance(ms);
    staged.broker.clean();
  };
  return { ...staged, later };
}

function commit(client: Client, topic: string, member = { generation: -1, memberId: '' }) {
  return client.ask(offsetCommit, 7, {
    groupId: G,
    generationIdOrMemberEpoch: member.generation,
    memberId: member.memberId,
    topics: [
      {
        name: topic,
        partitions: [{ partitionIndex: 0, committedOffset: 5, committedMetadata: '' }],
      },
    ],
  }).topics[0]!.partitions[0]!.errorCode;
}

/** A member that subscribes to `in`, in a group of its own, with its assignment. */
function join(client: Client, sessionTimeoutMs = 1_800_000) {
  const name = Buffer.from('in');
  const subscription = Buffer.alloc(2 + 4 + 2 + name.length + 4);
  subscription.writeInt32BE(1, 2);
  subscription.writeInt16BE(name.length, 6);
  name.copy(subscription, 8);
  const answer = client.ask(joinGroup, 3, {
    groupId: G,
    sessionTimeoutMs,
    rebalanceTimeoutMs: 60_000,
    memberId: '',
    protocolType: 'consumer',
    protocols: [{ name: 'p', metadata: subscription }],
  });
  const { memberId, generationId } = answer;
  const assignments = [{ memberId, assignment: Buffer.alloc(0) }];
  client.ask(syncGroup, 2, { groupId: G, generationId, memberId, assignments });
  return { memberId, generation: generationId };
}

function committed(client: Client, topic: string): number {
  return client.committed(G, 'any', topic).committedOffset;
}

describe('rule 24: committed offsets', () => {
  test('of a group that never had members expire after their commit', () => {
    const { client, broker, later } = stage();
    commit(client, 'in');
    later(RETENTION_MS - 1);
    commit(client, 'other');
    expect(committed(client, 'in')).toBe(5);
    later(1);
    expect([committed(client, 'in'), committed(client, 'other')]).toEqual([-1, 5]);
    later(RETENTION_MS);
    expect(broker.groups.find(G)).toBeUndefined();
  });

  test('of a subscribed topic stay while the group has members, others go', () => {
    const { client, later } = stage();
    const member = join(client);
    commit(client, 'in', member);
    commit(client, 'other', member);
    later(RETENTION_MS);
    expect([committed(client, 'in'), committed(client, 'other')]).toEqual([5, -1]);
  });

  test('of a group that lost its members count from then on', () => {
    const { client, later } = stage();
    const member = join(client, 30_000);
    commit(client, 'in', member);
    later(30_001);
    later(RETENTION_MS - 2);
    expect(committed(client, 'in')).toBe(5);
    later(2);
    expect(committed(client, 'in')).toBe(-1);
  });

  test('stay while a transaction holds newer ones back', () => {
    const { client, later } = stage();
    commit(client, 'in');
    const producer = client.init(ID, undefined, 900_000);
    client.txnOffsetCommit(ID, producer, G, 9, { version: 5 });
    later(RETENTION_MS);
    expect(committed(client, 'in')).toBe(5);
    client.endV2(ID, producer, 'abort');
    later(20);
    expect(committed(client, 'in')).toBe(-1);
  });
});

describe('a transactional id', () => {
  test('expires when nothing goes on, and its producer is unknown from then on', () => {
    const { client, later } = stage();
    const producer = client.init(ID);
    const other = client.init('other', undefined, 900_000);
    client.txnOffsetCommit('other', other, G, 9, { version: 5 });
    later(999);
    expect(client.addOffsets(ID, producer, G)).toBe(Code.NONE);
    client.endV2(ID, producer, 'abort');
    later(2_000);
    expect(client.init(ID, producer).producerId).not.toBe(producer.producerId);
    expect(client.addOffsets('other', other, 'h')).toBe(Code.NONE);
  });
});
