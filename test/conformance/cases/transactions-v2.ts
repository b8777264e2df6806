/** Transactions v2 (KIP-890): implicit adds, an epoch for each transaction, and the way back to v1. */
import { expect } from 'vitest';
import { apiVersions } from '../../../src/kafka/protocol/api-versions.ts';
import { fact, factOfV2 } from '../case.ts';
import type { Producer } from '../client.ts';
import { valuesOf } from '../reader.ts';
import { definite, type Stage } from '../stage.ts';

const shifted = ({ producerId, producerEpoch }: Producer, epochs: number): Producer => ({
  producerId,
  producerEpoch: producerEpoch + epochs,
});

/** A producer of v2 and what it was before it ended a transaction. */
async function ended(stage: Stage, result: 'commit' | 'abort') {
  const topic = await stage.topic();
  const producer = await stage.producer({ protocol: 'v2' });
  await producer.send(topic, ['a']);
  const before = producer.identity;
  await producer.finish(result);
  return { topic, producer, before };
}

async function endAgain(
  stage: Stage,
  transactionalId: string,
  identity: Producer,
  result: 'commit' | 'abort',
) {
  return definite(() => stage.client.end(transactionalId, identity, result, 5));
}

const SPOKEN = [
  fact(
    'transaction.version is finalized at 2 by Kafka 4.3 and not at all by 3.9',
    async (stage) => {
      const answer = await stage.client.ask(apiVersions, 3, {
        clientSoftwareName: 'conformance',
        clientSoftwareVersion: '1',
      });
      const found = answer.finalizedFeatures.find(({ name }) => name === 'transaction.version');
      expect(found?.maxVersionLevel).toBe(stage.by({ '3.9': undefined, '4.3': 2 }));
    },
  ),
  fact('a client of v1 keeps its epoch through EndTxn on every broker', async (stage) => {
    const topic = await stage.topic();
    const producer = await stage.producer();
    await producer.send(topic, ['a']);
    await producer.finish('commit');
    await producer.send(topic, ['b']);
    await producer.finish('commit');
    expect(await stage.client.log(topic)).toEqual(['a', 'commit@0', 'b', 'commit@0']);
  }),
];

const ADDED = [
  factOfV2('Produce 12 adds its partition to the transaction', async (stage) => {
    const topic = await stage.topic();
    const producer = await stage.producer({ protocol: 'v2' });
    await producer.write(topic, ['a']);
    expect((await stage.state(producer.transactionalId)).state).toBe('Ongoing');
    await producer.finish('commit');
    expect(await valuesOf(stage.client, topic)).toEqual(['a']);
  }),
  factOfV2('TxnOffsetCommit 5 adds its group to the transaction', async (stage) => {
    const topic = await stage.topic();
    const groupId = stage.name('group');
    const producer = await stage.producer({ protocol: 'v2' });
    expect(await producer.commitOffset(groupId, { topic, offset: 4 })).toBe('NONE');
    expect((await stage.state(producer.transactionalId)).state).toBe('Ongoing');
    await producer.finish('commit');
    expect(await stage.stable(groupId, topic)).toBe(4);
  }),
  factOfV2('Produce 11 does not add its partition: TRANSACTION_ABORTABLE', async (stage) => {
    const topic = await stage.topic();
    const { transactionalId, producerId, producerEpoch } = await stage.producer({ protocol: 'v2' });
    const records = {
      values: ['a'],
      sequence: 0,
      producerId,
      epoch: producerEpoch,
      transactional: 'transactional',
    } as const;
    const { error } = await definite(() =>
      stage.client.produce(topic, 0, records, { transactionalId, version: 11 }),
    );
    expect(error).toBe('TRANSACTION_ABORTABLE');
  }),
  factOfV2(
    'a partition added by AddPartitionsToTxn is in a transaction of v2, too',
    async (stage) => {
      const topic = await stage.topic();
      const producer = await stage.producer({ protocol: 'v2' });
      expect(await producer.add(topic)).toBe('NONE');
      await producer.finish('abort');
      expect(await stage.client.log(topic)).toEqual(['abort@1']);
    },
  ),
  factOfV2('a refused membership leaves the group in the transaction of v2', async (stage) => {
    const topic = await stage.topic();
    const groupId = stage.name('group');
    await (await stage.member(groupId)).settle();
    const producer = await stage.producer({ protocol: 'v2' });
    const stranger = { generationId: 1, memberId: 'stranger' };
    const error = await producer.commitOffset(groupId, { topic, offset: 4 }, stranger);
    expect(error).toBe('UNKNOWN_MEMBER_ID');
    expect((await stage.state(producer.transactionalId)).state).toBe('Ongoing');
  }),
  factOfV2('a first batch of v2 starts at sequence 0', async (stage) => {
    const topic = await stage.topic();
    const producer = await stage.producer({ protocol: 'v2' });
    expect((await producer.writeAt(topic, 3, ['a'])).error).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
  }),
];

const EPOCHS = [
  ...(['commit', 'abort'] as const).flatMap((result) => [
    factOfV2(`EndTxn(${result}) of v2 answers the epoch of the next transaction`, async (stage) => {
      const { producer, before } = await ended(stage, result);
      expect(producer.identity).toEqual(shifted(before, 1));
    }),
    factOfV2(`the marker of a v2 ${result} carries the bumped epoch`, async (stage) => {
      const { topic } = await ended(stage, result);
      expect(await stage.client.log(topic)).toEqual(['a', `${result}@1`]);
    }),
    factOfV2(
      `EndTxn(${result}) of v2 repeated is answered with the same epoch again`,
      async (stage) => {
        const { producer, before } = await ended(stage, result);
        const again = await endAgain(stage, producer.transactionalId, before, result);
        expect(again).toEqual({ error: 'NONE', ...producer.identity });
      },
    ),
    factOfV2(
      `EndTxn of v2 with the other result after a ${result} is INVALID_TXN_STATE`,
      async (stage) => {
        const { producer, before } = await ended(stage, result);
        const other = result === 'commit' ? 'abort' : 'commit';
        const again = await endAgain(stage, producer.transactionalId, before, other);
        expect(again.error).toBe('INVALID_TXN_STATE');
      },
    ),
  ]),
  factOfV2('EndTxn of v2 with an epoch two transactions old is PRODUCER_FENCED', async (stage) => {
    const { topic, producer, before } = await ended(stage, 'commit');
    await producer.send(topic, ['b']);
    await producer.finish('commit');
    const again = await endAgain(stage, producer.transactionalId, before, 'commit');
    expect(again.error).toBe('PRODUCER_FENCED');
  }),
  factOfV2(
    'EndTxn of v2 with the epoch before amid the next transaction is PRODUCER_FENCED',
    async (stage) => {
      const { topic, producer, before } = await ended(stage, 'commit');
      await producer.send(topic, ['b']);
      const late = await endAgain(stage, producer.transactionalId, before, 'commit');
      expect(late.error).toBe('PRODUCER_FENCED');
      await producer.finish('abort');
      expect(await valuesOf(stage.client, topic)).toEqual(['a']);
    },
  ),
  factOfV2('a late batch of the transaction before is INVALID_PRODUCER_EPOCH', async (stage) => {
    const { topic, producer, before } = await ended(stage, 'commit');
    const { transactionalId } = producer;
    const records = {
      values: ['late'],
      sequence: 1,
      producerId: before.producerId,
      epoch: before.producerEpoch,
      transactional: 'transactional',
    } as const;
    const { error } = await definite(() =>
      stage.client.produce(topic, 0, records, { transactionalId, version: 12 }),
    );
    expect(error).toBe('INVALID_PRODUCER_EPOCH');
  }),
  factOfV2('a late offset of the transaction before is INVALID_PRODUCER_EPOCH', async (stage) => {
    const { topic, producer, before } = await ended(stage, 'commit');
    const groupId = stage.name('group');
    const error = await definite(() =>
      stage.client.commitOffsetIn(
        producer.transactionalId,
        before,
        groupId,
        { topic, offset: 1 },
        { version: 5 },
      ),
    );
    expect(error).toBe('INVALID_PRODUCER_EPOCH');
  }),
  factOfV2('sequences of v2 start at 0 in every transaction', async (stage) => {
    const { topic, producer } = await ended(stage, 'commit');
    expect((await producer.writeAt(topic, 1, ['b'])).error).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    expect((await producer.writeAt(topic, 0, ['b'])).error).toBe('NONE');
  }),
  factOfV2('EndTxn(commit) of v2 with nothing added is INVALID_TXN_STATE', async (stage) => {
    const producer = await stage.producer({ protocol: 'v2' });
    expect(await producer.end('commit')).toBe('INVALID_TXN_STATE');
  }),
  factOfV2('EndTxn(abort) of v2 with nothing added bumps the epoch', async (stage) => {
    const producer = await stage.producer({ protocol: 'v2' });
    const before = producer.identity;
    expect(await producer.end('abort')).toBe('NONE');
    expect(producer.identity).toEqual(shifted(before, 1));
  }),
  factOfV2(
    'EndTxn(abort) of v2 after a commit, with the new epoch, bumps it again',
    async (stage) => {
      const { producer } = await ended(stage, 'commit');
      const before = producer.identity;
      expect(await producer.end('abort')).toBe('NONE');
      expect(producer.identity).toEqual(shifted(before, 1));
    },
  ),
  factOfV2('records of aborted and committed transactions of v2 are told apart', async (stage) => {
    const topic = await stage.topic();
    const producer = await stage.producer({ protocol: 'v2' });
    for (const [value, result] of [
      ['a', 'abort'],
      ['b', 'commit'],
      ['c', 'abort'],
      ['d', 'commit'],
    ] as const) {
      await producer.send(topic, [value]);
      await producer.finish(result);
    }
    expect(await valuesOf(stage.client, topic)).toEqual(['b', 'd']);
    const epochs = ['a', 'abort@1', 'b', 'commit@2', 'c', 'abort@3', 'd', 'commit@4'];
    expect(await stage.client.log(topic)).toEqual(epochs);
  }),
  factOfV2(
    'InitProducerId amid a transaction of v2 aborts it and leads two epochs on',
    async (stage) => {
      const topic = await stage.topic();
      const older = await stage.producer({ protocol: 'v2' });
      await older.send(topic, ['a']);
      const newer = await stage.producer({
        transactionalId: older.transactionalId,
        protocol: 'v2',
      });
      expect(newer.identity).toEqual(shifted(older, 2));
      expect(await valuesOf(stage.client, topic)).toEqual([]);
      expect(await older.end('commit')).toBe('PRODUCER_FENCED');
    },
  ),
];

export const TRANSACTIONS_V2 = [...SPOKEN, ...ADDED, ...EPOCHS];
