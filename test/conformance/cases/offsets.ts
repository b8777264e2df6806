/** Committed offsets of groups, in transactions and outside. */
import { expect } from 'vitest';
import { deleteGroups } from '../../../src/kafka/protocol/delete-groups.ts';
import { deleteTopics } from '../../../src/kafka/protocol/delete-topics.ts';
import { offsetFetch } from '../../../src/kafka/protocol/offset-fetch.ts';
import { fact } from '../case.ts';
import { nameOf } from '../client.ts';
import { ABORTABLE_OF_OLD, definite, type Stage, until } from '../stage.ts';

async function group(stage: Stage) {
  return { topic: await stage.topic(2), groupId: stage.name('group') };
}

/** A producer with offset 5 pending over a committed offset 2. */
async function pending(stage: Stage) {
  const { topic, groupId } = await group(stage);
  expect(await stage.client.commitOffset(groupId, { topic, offset: 2 })).toBe('NONE');
  const producer = await stage.producer();
  await producer.sendOffset(groupId, { topic, offset: 5 });
  return { topic, groupId, producer };
}

async function deleteGroup(stage: Stage, groupId: string): Promise<string> {
  const answer = await stage.client.ask(deleteGroups, 2, { groupsNames: [groupId] });
  return nameOf(answer.results[0]!.errorCode);
}

const PLAIN = [
  fact('a committed offset is read back with its metadata', async (stage) => {
    const { topic, groupId } = await group(stage);
    const entry = { topic, offset: 7, metadata: 'm' };
    expect(await stage.client.commitOffset(groupId, entry)).toBe('NONE');
    expect(await stage.client.committed(groupId, topic)).toEqual({
      error: 'NONE',
      offset: 7,
      metadata: 'm',
    });
  }),
  fact('a partition without a committed offset gives -1 and no error', async (stage) => {
    const { topic, groupId } = await group(stage);
    const none = { error: 'NONE', offset: -1, metadata: '' };
    expect(await stage.client.committed(groupId, topic)).toEqual(none);
    await stage.client.commitOffset(groupId, { topic, offset: 7 });
    expect(await stage.client.committed(groupId, topic, { partition: 1 })).toEqual(none);
  }),
  fact('offsets may go back', async (stage) => {
    const { topic, groupId } = await group(stage);
    await stage.client.commitOffset(groupId, { topic, offset: 7 });
    await stage.client.commitOffset(groupId, { topic, offset: 3 });
    expect(await stage.stable(groupId, topic)).toBe(3);
  }),
  fact('null metadata is stored as an empty string', async (stage) => {
    const { topic, groupId } = await group(stage);
    await stage.client.commitOffset(groupId, { topic, offset: 7, metadata: null });
    expect((await stage.client.committed(groupId, topic)).metadata).toBe('');
  }),
  fact('all offsets of a group are given when no topic is named', async (stage) => {
    const { topic, groupId } = await group(stage);
    await stage.client.commitOffset(groupId, { topic, offset: 7, partition: 0 });
    await stage.client.commitOffset(groupId, { topic, offset: 8, partition: 1 });
    const answer = await stage.client.ask(offsetFetch, 7, {
      groupId,
      topics: null,
      requireStable: true,
    });
    const found = answer.topics.flatMap(({ name, partitions }) =>
      partitions.map((each) => [name, each.partitionIndex, each.committedOffset] as const),
    );
    expect(found.sort((a, b) => a[1] - b[1])).toEqual([
      [topic, 0, 7],
      [topic, 1, 8],
    ]);
  }),
  fact(
    'metadata of 4,096 letters is taken, of one more OFFSET_METADATA_TOO_LARGE',
    async (stage) => {
      const { topic, groupId } = await group(stage);
      const commit = (length: number) =>
        stage.client.commitOffset(groupId, { topic, offset: 1, metadata: 'x'.repeat(length) });
      expect(await commit(4_096)).toBe('NONE');
      expect(await commit(4_097)).toBe('OFFSET_METADATA_TOO_LARGE');
    },
  ),
  fact('the limit of metadata counts UTF-16 units, not bytes', async (stage) => {
    const { topic, groupId } = await group(stage);
    const commit = (length: number) =>
      stage.client.commitOffset(groupId, { topic, offset: 1, metadata: 'ä'.repeat(length) });
    expect(await commit(4_096)).toBe('NONE');
    expect(await commit(4_097)).toBe('OFFSET_METADATA_TOO_LARGE');
  }),
  fact(
    'an offset of a partition that does not exist is UNKNOWN_TOPIC_OR_PARTITION',
    async (stage) => {
      const { topic, groupId } = await group(stage);
      const missing = stage.name('missing');
      const commit = (name: string, partition: number) =>
        stage.client.commitOffset(groupId, { topic: name, partition, offset: 1 });
      expect(await commit(missing, 0)).toBe('UNKNOWN_TOPIC_OR_PARTITION');
      expect(await commit(topic, 9)).toBe('UNKNOWN_TOPIC_OR_PARTITION');
    },
  ),
  fact('an offset of a topic that is deleted is gone', async (stage) => {
    const { topic, groupId } = await group(stage);
    await stage.client.commitOffset(groupId, { topic, offset: 7 });
    await stage.client.ask(deleteTopics, 5, { topicNames: [topic], timeoutMs: 30_000 });
    await until(
      () => stage.client.committed(groupId, topic),
      ({ offset }) => offset === -1,
    );
  }),
  fact(
    'a deleted group has no offsets, and deleting it again is GROUP_ID_NOT_FOUND',
    async (stage) => {
      const { topic, groupId } = await group(stage);
      await stage.client.commitOffset(groupId, { topic, offset: 7 });
      expect(await deleteGroup(stage, groupId)).toBe('NONE');
      expect((await stage.client.committed(groupId, topic)).offset).toBe(-1);
      expect(await deleteGroup(stage, groupId)).toBe('GROUP_ID_NOT_FOUND');
    },
  ),
  fact('a group with members is not deleted: NON_EMPTY_GROUP', async (stage) => {
    const { groupId } = await group(stage);
    await (await stage.member(groupId)).settle();
    expect(await deleteGroup(stage, groupId)).toBe('NON_EMPTY_GROUP');
  }),
];

const FENCED = [
  fact(
    'a commit of a generation in a group that does not exist is ILLEGAL_GENERATION',
    async (stage) => {
      const { topic, groupId } = await group(stage);
      const member = { generationId: 1, memberId: 'm' };
      const error = await stage.client.commitOffset(groupId, { topic, offset: 1 }, member);
      expect(error).toBe('ILLEGAL_GENERATION');
    },
  ),
  fact(
    'a commit without membership to a group with members is UNKNOWN_MEMBER_ID',
    async (stage) => {
      const { topic, groupId } = await group(stage);
      await (await stage.member(groupId)).settle();
      const error = await stage.client.commitOffset(groupId, { topic, offset: 1 });
      expect(error).toBe('UNKNOWN_MEMBER_ID');
    },
  ),
  fact(
    'a commit of a wrong generation is ILLEGAL_GENERATION, of a stranger UNKNOWN_MEMBER_ID',
    async (stage) => {
      const { topic, groupId } = await group(stage);
      const member = await stage.member(groupId);
      await member.settle();
      const commit = (generationId: number, memberId: string) =>
        stage.client.commitOffset(groupId, { topic, offset: 1 }, { generationId, memberId });
      expect(await commit(member.generationId, member.memberId)).toBe('NONE');
      expect(await commit(member.generationId - 1, member.memberId)).toBe('ILLEGAL_GENERATION');
      expect(await commit(member.generationId + 1, member.memberId)).toBe('ILLEGAL_GENERATION');
      expect(await commit(member.generationId, 'stranger')).toBe('UNKNOWN_MEMBER_ID');
    },
  ),
  fact('a commit of a member amid a rebalance is taken while others join', async (stage) => {
    const { topic, groupId } = await group(stage);
    const one = await stage.member(groupId);
    await one.settle();
    const two = await stage.member(groupId);
    const joining = two.join();
    await until(
      () => one.heartbeat(),
      (error) => error === 'REBALANCE_IN_PROGRESS',
    );
    const { generationId, memberId } = one;
    const commit = () =>
      stage.client.commitOffset(groupId, { topic, offset: 4 }, { generationId, memberId });
    expect(await commit()).toBe('NONE');
    await Promise.all([one.join(), joining]);
    // Now the new generation waits for the leader's assignment.
    const current = { generationId: one.generationId, memberId };
    expect(await stage.client.commitOffset(groupId, { topic, offset: 5 }, current)).toBe(
      'REBALANCE_IN_PROGRESS',
    );
    expect(await stage.stable(groupId, topic)).toBe(4);
  }),
  fact('a commit of an instance that was replaced is FENCED_INSTANCE_ID', async (stage) => {
    const { topic, groupId } = await group(stage);
    const one = await stage.member(groupId, { instanceId: 'i' });
    await one.settle();
    const again = await stage.member(groupId, { instanceId: 'i' });
    await again.join();
    const { generationId, memberId } = one;
    const membership = { generationId, memberId, groupInstanceId: 'i' };
    const error = await stage.client.commitOffset(groupId, { topic, offset: 1 }, membership);
    expect(error).toBe('FENCED_INSTANCE_ID');
  }),
];

const PENDING = [
  fact(
    'a pending offset is UNSTABLE_OFFSET_COMMIT to a reader that wants stable ones',
    async (stage) => {
      const { topic, groupId } = await pending(stage);
      const found = await stage.client.committed(groupId, topic);
      expect([found.error, found.offset]).toEqual(['UNSTABLE_OFFSET_COMMIT', -1]);
    },
  ),
  fact('another reader gets the offset before the pending one', async (stage) => {
    const { topic, groupId } = await pending(stage);
    const found = await stage.client.committed(groupId, topic, { stability: 'any' });
    expect([found.error, found.offset]).toEqual(['NONE', 2]);
  }),
  fact('a partition without a pending offset is stable beside one that has', async (stage) => {
    const { topic, groupId } = await pending(stage);
    const found = await stage.client.committed(groupId, topic, { partition: 1 });
    expect([found.error, found.offset]).toEqual(['NONE', -1]);
  }),
  fact('a commit makes the pending offset the committed one', async (stage) => {
    const { topic, groupId, producer } = await pending(stage);
    await producer.finish('commit');
    expect(await stage.stable(groupId, topic)).toBe(5);
  }),
  fact('an abort drops the pending offset', async (stage) => {
    const { topic, groupId, producer } = await pending(stage);
    await producer.finish('abort');
    expect(await stage.stable(groupId, topic)).toBe(2);
  }),
  fact('the abort of a fenced producer drops its pending offset', async (stage) => {
    const { topic, groupId, producer } = await pending(stage);
    await stage.producer({ transactionalId: producer.transactionalId });
    expect(await stage.stable(groupId, topic)).toBe(2);
    const error = await producer.commitOffset(groupId, { topic, offset: 9 });
    expect(error).toBe('INVALID_PRODUCER_EPOCH');
  }),
  fact('the last of several offsets of a transaction counts', async (stage) => {
    const { topic, groupId, producer } = await pending(stage);
    await producer.sendOffset(groupId, { topic, offset: 8 });
    await producer.sendOffset(groupId, { topic, offset: 6 });
    await producer.finish('commit');
    expect(await stage.stable(groupId, topic)).toBe(6);
  }),
  fact(
    'a plain commit behind a pending one wins although the transaction commits later',
    async (stage) => {
      const { topic, groupId, producer } = await pending(stage);
      expect(await stage.client.commitOffset(groupId, { topic, offset: 9 })).toBe('NONE');
      await producer.finish('commit');
      expect(await stage.stable(groupId, topic)).toBe(9);
    },
  ),
  fact(
    'of two producers pending on a partition the later write wins, whoever ends last',
    async (stage) => {
      const { topic, groupId, producer: one } = await pending(stage);
      const two = await stage.producer();
      await two.sendOffset(groupId, { topic, offset: 7 });
      await two.finish('commit');
      const held = await stage.client.committed(groupId, topic);
      expect(held.error).toBe('UNSTABLE_OFFSET_COMMIT');
      await one.finish('commit');
      expect(await stage.stable(groupId, topic)).toBe(7);
    },
  ),
  fact('offsets of two groups in one transaction are committed together', async (stage) => {
    const [one, two] = [await group(stage), await group(stage)];
    const producer = await stage.producer();
    await producer.sendOffset(one.groupId, { topic: one.topic, offset: 3 });
    await producer.sendOffset(two.groupId, { topic: two.topic, offset: 4 });
    await producer.finish('commit');
    expect(await stage.stable(one.groupId, one.topic)).toBe(3);
    expect(await stage.stable(two.groupId, two.topic)).toBe(4);
  }),
  fact('an offset of a group that was not added is refused', async (stage) => {
    const { topic, groupId } = await group(stage);
    const producer = await stage.producer();
    const commit = (version: number) =>
      definite(() =>
        stage.client.commitOffsetIn(
          producer.transactionalId,
          producer,
          groupId,
          { topic, offset: 1 },
          { version },
        ),
      );
    expect(ABORTABLE_OF_OLD[stage.kafka]).toContain(await commit(3));
    expect(await commit(4)).toBe('TRANSACTION_ABORTABLE');
    expect(await stage.stable(groupId, topic)).toBe(-1);
  }),
  fact('an offset after the commit of its transaction is refused', async (stage) => {
    const { topic, groupId, producer } = await pending(stage);
    await producer.finish('commit');
    expect(await stage.stable(groupId, topic)).toBe(5);
    const error = await producer.commitOffset(groupId, { topic, offset: 9 });
    expect(error).toBe('TRANSACTION_ABORTABLE');
  }),
  fact('an offset with a foreign producer id is INVALID_PRODUCER_ID_MAPPING', async (stage) => {
    const { topic, groupId, producer } = await pending(stage);
    const foreign = { producerId: producer.producerId + 1_000_000, producerEpoch: 0 };
    const error = await definite(() =>
      stage.client.commitOffsetIn(producer.transactionalId, foreign, groupId, { topic, offset: 1 }),
    );
    expect(error).toBe('INVALID_PRODUCER_ID_MAPPING');
  }),
  fact('metadata too large in a transaction is OFFSET_METADATA_TOO_LARGE', async (stage) => {
    const { topic, groupId, producer } = await pending(stage);
    const metadata = 'x'.repeat(4_097);
    const error = await producer.commitOffset(groupId, { topic, offset: 1, metadata });
    expect(error).toBe('OFFSET_METADATA_TOO_LARGE');
  }),
  fact(
    'an offset of a topic that does not exist is refused in a transaction, too',
    async (stage) => {
      const { groupId, producer } = await pending(stage);
      const error = await producer.commitOffset(groupId, {
        topic: stage.name('missing'),
        offset: 1,
      });
      expect(error).toBe('UNKNOWN_TOPIC_OR_PARTITION');
    },
  ),
];

const MEMBERSHIP = [
  fact(
    'a transactional commit that names no member is not checked for membership',
    async (stage) => {
      const { topic, groupId } = await group(stage);
      await (await stage.member(groupId)).settle();
      const producer = await stage.producer();
      await producer.sendOffset(groupId, { topic, offset: 3 });
      await producer.finish('commit');
      expect(await stage.stable(groupId, topic)).toBe(3);
    },
  ),
  fact('a transactional commit of a wrong generation is ILLEGAL_GENERATION', async (stage) => {
    const { topic, groupId } = await group(stage);
    const member = await stage.member(groupId);
    await member.settle();
    const producer = await stage.producer();
    await producer.addOffsets(groupId);
    const { memberId } = member;
    for (const generationId of [member.generationId - 1, member.generationId + 1]) {
      const error = await producer.commitOffset(
        groupId,
        { topic, offset: 1 },
        { generationId, memberId },
      );
      expect(error).toBe('ILLEGAL_GENERATION');
    }
  }),
  fact('a transactional commit of a stranger is UNKNOWN_MEMBER_ID', async (stage) => {
    const { topic, groupId } = await group(stage);
    const member = await stage.member(groupId);
    await member.settle();
    const producer = await stage.producer();
    await producer.addOffsets(groupId);
    const stranger = { generationId: member.generationId, memberId: 'stranger' };
    expect(await producer.commitOffset(groupId, { topic, offset: 1 }, stranger)).toBe(
      'UNKNOWN_MEMBER_ID',
    );
  }),
  fact(
    'a transactional commit of an instance that was replaced is FENCED_INSTANCE_ID',
    async (stage) => {
      const { topic, groupId } = await group(stage);
      const one = await stage.member(groupId, { instanceId: 'i' });
      await one.settle();
      await (await stage.member(groupId, { instanceId: 'i' })).join();
      const producer = await stage.producer();
      await producer.addOffsets(groupId);
      const { generationId, memberId } = one;
      const membership = { generationId, memberId, groupInstanceId: 'i' };
      expect(await producer.commitOffset(groupId, { topic, offset: 1 }, membership)).toBe(
        'FENCED_INSTANCE_ID',
      );
    },
  ),
  fact(
    'a transactional commit of the generation before is taken while others join',
    async (stage) => {
      const { topic, groupId } = await group(stage);
      const one = await stage.member(groupId);
      await one.settle();
      const joining = (await stage.member(groupId)).join();
      await until(
        () => one.heartbeat(),
        (error) => error === 'REBALANCE_IN_PROGRESS',
      );
      const producer = await stage.producer();
      await producer.addOffsets(groupId);
      const { generationId, memberId } = one;
      const membership = { generationId, memberId };
      expect(await producer.commitOffset(groupId, { topic, offset: 3 }, membership)).toBe('NONE');
      await producer.finish('commit');
      await Promise.all([one.join(), joining]);
      // Nor does it matter that the new generation has no assignment yet.
      const next = await stage.producer();
      await next.addOffsets(groupId);
      const current = { generationId: one.generationId, memberId };
      expect(await next.commitOffset(groupId, { topic, offset: 4 }, current)).toBe('NONE');
      expect(await next.commitOffset(groupId, { topic, offset: 5 }, membership)).toBe(
        'ILLEGAL_GENERATION',
      );
    },
  ),
  fact(
    'a transactional commit of a generation in a group that does not exist is refused',
    async (stage) => {
      const { topic, groupId } = await group(stage);
      const producer = await stage.producer();
      await producer.addOffsets(groupId);
      const membership = { generationId: 1, memberId: 'm' };
      expect(await producer.commitOffset(groupId, { topic, offset: 1 }, membership)).toBe(
        stage.by({ '3.9': 'UNKNOWN_MEMBER_ID', '4.3': 'ILLEGAL_GENERATION' }),
      );
    },
  ),
];

export const OFFSETS = [...PLAIN, ...FENCED, ...PENDING, ...MEMBERSHIP];
