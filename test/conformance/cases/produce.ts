/** What a partition accepts: verification, epochs, sequences, duplicates and the shape of batches. */
import { expect } from 'vitest';
import { produce } from '../../../src/kafka/protocol/produce.ts';
import type { BatchSpec } from '../../broker/batch.ts';
import { fact } from '../case.ts';
import { freshBatch, produceBody } from '../client.ts';
import { ABORTABLE_OF_OLD, definite, type Stage, until } from '../stage.ts';

const SEQUENCE_MAX = 2_147_483_647;

/** An idempotent producer, and a way to write for it at any sequence and epoch. */
async function idempotent(stage: Stage) {
  const topic = await stage.topic();
  const producerId = await stage.producerId();
  const write = (sequence: number, values: readonly string[] = ['v'], epoch = 0) =>
    stage.client.produce(topic, 0, { values, sequence, producerId, epoch });
  return { topic, producerId, write };
}

async function transactional(stage: Stage) {
  const topic = await stage.topic(2);
  const producer = await stage.producer();
  const { transactionalId } = producer;
  const write = (
    spec: Partial<BatchSpec>,
    options: { transactionalId?: string; version?: number } = { transactionalId },
    partition = 0,
  ) =>
    definite(() =>
      stage.client.produce(
        topic,
        partition,
        {
          values: ['v'],
          sequence: 0,
          producerId: producer.producerId,
          epoch: producer.producerEpoch,
          transactional: 'transactional',
          ...spec,
        },
        options,
      ),
    );
  return { topic, producer, transactionalId, write };
}

const VERIFICATION = [
  fact('a partition that was not added is refused to Produce 10', async (stage) => {
    const { topic, transactionalId, write } = await transactional(stage);
    const { error } = await write({}, { transactionalId, version: 10 });
    expect(ABORTABLE_OF_OLD[stage.kafka]).toContain(error);
    expect(await stage.client.log(topic)).toEqual([]);
  }),
  fact('a partition that was not added is TRANSACTION_ABORTABLE to Produce 11', async (stage) => {
    const { topic, transactionalId, write } = await transactional(stage);
    const { error } = await write({}, { transactionalId, version: 11 });
    expect(error).toBe('TRANSACTION_ABORTABLE');
    expect(await stage.client.log(topic)).toEqual([]);
  }),
  fact('another partition of the topic than the one added is refused', async (stage) => {
    const { topic, producer, transactionalId, write } = await transactional(stage);
    await producer.add(topic, 0);
    const { error } = await write({}, { transactionalId, version: 10 }, 1);
    expect(ABORTABLE_OF_OLD[stage.kafka]).toContain(error);
  }),
  fact(
    'a transactional batch without a transactional id is TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
    async (stage) => {
      const { topic, producer, write } = await transactional(stage);
      await producer.add(topic, 0);
      expect((await write({}, {})).error).toBe('TRANSACTIONAL_ID_AUTHORIZATION_FAILED');
      expect(await stage.client.log(topic)).toEqual([]);
    },
  ),
  fact('a batch of the same epoch after the commit is refused', async (stage) => {
    const { topic, producer, transactionalId, write } = await transactional(stage);
    await producer.send(topic, ['a']);
    await producer.finish('commit');
    const { error } = await write({ sequence: 1 }, { transactionalId, version: 10 });
    expect(ABORTABLE_OF_OLD[stage.kafka]).toContain(error);
    expect(await stage.client.log(topic)).toEqual(['a', 'commit@0']);
  }),
  fact(
    'a transactional batch with a foreign producer id is INVALID_PRODUCER_ID_MAPPING',
    async (stage) => {
      const { topic, producer, write } = await transactional(stage);
      await producer.add(topic, 0);
      const { error } = await write({ producerId: producer.producerId + 1_000_000 });
      expect(error).toBe('INVALID_PRODUCER_ID_MAPPING');
    },
  ),
  fact('a first batch with an older epoch is INVALID_PRODUCER_EPOCH', async (stage) => {
    const { topic, producer, write } = await transactional(stage);
    await producer.init();
    await producer.add(topic, 0);
    const { error } = await write({ epoch: producer.producerEpoch - 1 });
    expect(error).toBe('INVALID_PRODUCER_EPOCH');
  }),
  fact('a first batch with a newer epoch is INVALID_PRODUCER_EPOCH', async (stage) => {
    const { topic, producer, write } = await transactional(stage);
    await producer.add(topic, 0);
    const { error } = await write({ epoch: producer.producerEpoch + 1 });
    expect(error).toBe('INVALID_PRODUCER_EPOCH');
  }),
  fact(
    'a plain batch of a producer with an open transaction is INVALID_TXN_STATE',
    async (stage) => {
      const { topic, producer, write } = await transactional(stage);
      await producer.send(topic, ['a']);
      const { error } = await write({ sequence: 1, transactional: 'plain' });
      expect(error).toBe('INVALID_TXN_STATE');
    },
  ),
  fact('a late batch of v1 slips into the next transaction of its epoch', async (stage) => {
    const { topic, producer, write } = await transactional(stage);
    await producer.send(topic, ['a']);
    await producer.finish('commit');
    expect(await producer.add(topic)).toBe('NONE');
    expect((await write({ values: ['late'], sequence: 1 })).error).toBe('NONE');
    await producer.finish('commit');
    expect(await stage.client.log(topic)).toEqual(['a', 'commit@0', 'late', 'commit@0']);
  }),
  fact('a newer epoch slips into an open transaction of Kafka 3.9 alone', async (stage) => {
    const { topic, producer, write } = await transactional(stage);
    await producer.send(topic, ['a']);
    const { error } = await write({ epoch: producer.producerEpoch + 1 });
    expect(error).toBe(stage.by({ '3.9': 'NONE', '4.3': 'INVALID_PRODUCER_EPOCH' }));
  }),
  fact('sequences go on across the transactions of an epoch', async (stage) => {
    const { topic, producer, write } = await transactional(stage);
    await producer.send(topic, ['a', 'b']);
    await producer.finish('abort');
    expect(await producer.add(topic)).toBe('NONE');
    expect((await write({ sequence: 2, values: ['c'] })).error).toBe('NONE');
  }),
  fact(
    'a first batch below its sequence is refused and holds back later sequences',
    async (stage) => {
      const { topic, producer, write } = await transactional(stage);
      await producer.send(topic, ['a', 'b']);
      await producer.finish('abort');
      expect(await producer.add(topic)).toBe('NONE');
      const first = await write({ sequence: 0, values: ['c'] });
      expect(first.error).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
      const second = await write({ sequence: 2, values: ['c'] });
      expect(second.error).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    },
  ),
  fact('sequences start at 0 again in a newer epoch', async (stage) => {
    const { topic, producer, write } = await transactional(stage);
    await producer.send(topic, ['a', 'b']);
    await producer.finish('commit');
    await producer.init();
    expect(await producer.add(topic)).toBe('NONE');
    expect((await write({ sequence: 2 })).error).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    expect((await write({ sequence: 0 })).error).toBe('NONE');
  }),
  fact(
    'a batch repeated within its transaction is answered with its first offset',
    async (stage) => {
      const { topic, producer, write } = await transactional(stage);
      await producer.send(topic, ['a']);
      await producer.write(topic, ['b']);
      expect(await write({ sequence: 1, values: ['b'] })).toMatchObject({
        error: 'NONE',
        baseOffset: 1,
      });
      await producer.finish('commit');
      expect(await stage.client.log(topic)).toEqual(['a', 'b', 'commit@0']);
    },
  ),
  fact('a batch repeated after its transaction ended is refused by verification', async (stage) => {
    const { topic, producer, transactionalId, write } = await transactional(stage);
    await producer.send(topic, ['a']);
    await producer.finish('commit');
    const { error } = await write({ sequence: 0, values: ['a'] }, { transactionalId, version: 10 });
    expect(ABORTABLE_OF_OLD[stage.kafka]).toContain(error);
  }),
];

const SEQUENCES = [
  fact('offsets of batches follow one another without a gap', async (stage) => {
    const { write } = await idempotent(stage);
    expect((await write(0, ['a', 'b', 'c'])).baseOffset).toBe(0);
    expect((await write(3, ['d'])).baseOffset).toBe(3);
    expect((await write(4, ['e', 'f'])).baseOffset).toBe(4);
  }),
  fact('a gap in the sequence is OUT_OF_ORDER_SEQUENCE_NUMBER', async (stage) => {
    const { topic, write } = await idempotent(stage);
    await write(0);
    expect(await write(2)).toMatchObject({
      error: 'OUT_OF_ORDER_SEQUENCE_NUMBER',
      baseOffset: -1,
    });
    expect(await stage.client.log(topic)).toEqual(['v']);
  }),
  fact('a refused batch does not move the sequence', async (stage) => {
    const { write } = await idempotent(stage);
    await write(0);
    await write(2);
    expect((await write(1)).error).toBe('NONE');
  }),
  fact('each of the last five batches is known again, in any order', async (stage) => {
    const { topic, write } = await idempotent(stage);
    for (let sequence = 0; sequence < 6; sequence++) await write(sequence);
    for (const sequence of [3, 1, 5, 2, 4]) {
      expect(await write(sequence)).toMatchObject({ error: 'NONE', baseOffset: sequence });
    }
    expect((await stage.client.listOffset(topic)).offset).toBe(6);
  }),
  fact('the sixth batch back is not known any more', async (stage) => {
    const { topic, write } = await idempotent(stage);
    for (let sequence = 0; sequence < 6; sequence++) await write(sequence);
    expect((await write(0)).error).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    expect((await stage.client.listOffset(topic)).offset).toBe(6);
  }),
  fact(
    'a batch that begins like a known one and is longer is OUT_OF_ORDER_SEQUENCE_NUMBER',
    async (stage) => {
      const { write } = await idempotent(stage);
      await write(0, ['a', 'b']);
      expect((await write(0, ['a', 'b', 'c'])).error).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    },
  ),
  fact('a producer that the partition does not know may start at any sequence', async (stage) => {
    const { write } = await idempotent(stage);
    expect((await write(17)).error).toBe('NONE');
    expect((await write(18)).error).toBe('NONE');
  }),
  fact('the sequence after 2^31 - 1 is 0', async (stage) => {
    const { write } = await idempotent(stage);
    expect((await write(SEQUENCE_MAX)).error).toBe('NONE');
    expect((await write(1)).error).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    expect((await write(0)).error).toBe('NONE');
  }),
  fact('a batch may reach over the wrap of the sequence', async (stage) => {
    const { write } = await idempotent(stage);
    expect((await write(SEQUENCE_MAX - 1, ['a', 'b', 'c', 'd'])).error).toBe('NONE');
    expect((await write(2)).error).toBe('NONE');
    expect(await write(SEQUENCE_MAX - 1, ['a', 'b', 'c', 'd'])).toMatchObject({
      error: 'NONE',
      baseOffset: 0,
    });
  }),
  fact('an older epoch of an idempotent producer is INVALID_PRODUCER_EPOCH', async (stage) => {
    const { write } = await idempotent(stage);
    await write(0, ['v'], 3);
    expect((await write(1, ['v'], 2)).error).toBe('INVALID_PRODUCER_EPOCH');
  }),
  fact('a newer epoch of an idempotent producer starts at sequence 0', async (stage) => {
    const { write } = await idempotent(stage);
    await write(0);
    expect((await write(1, ['v'], 1)).error).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    expect((await write(0, ['v'], 1)).error).toBe('NONE');
    expect((await write(1, ['v'], 0)).error).toBe('INVALID_PRODUCER_EPOCH');
  }),
  fact('sequences of two partitions are counted apart', async (stage) => {
    const topic = await stage.topic(2);
    const producerId = await stage.producerId();
    const spec = { values: ['v'], sequence: 0, producerId, epoch: 0 };
    expect((await stage.client.produce(topic, 0, spec)).error).toBe('NONE');
    expect((await stage.client.produce(topic, 1, spec)).error).toBe('NONE');
  }),
];

const SHAPES = [
  fact('acks 0 is not answered and is appended', async (stage) => {
    const topic = await stage.topic();
    const body = { topic, partition: 0, records: { values: ['a'] }, transactionalId: null };
    stage.client.connection.send(produce, 9, produceBody({ ...body, acks: 0 }));
    await until(
      () => stage.client.log(topic),
      (log) => log.length === 1,
    );
  }),
  fact('acks 1 is answered with the offset', async (stage) => {
    const topic = await stage.topic();
    const got = await stage.client.produce(topic, 0, { values: ['a'] }, { acks: 1 });
    expect(got).toEqual({ error: 'NONE', baseOffset: 0, logStartOffset: 0 });
  }),
  fact('acks 2 is INVALID_REQUIRED_ACKS', async (stage) => {
    const topic = await stage.topic();
    const got = await stage.client.produce(topic, 0, { values: ['a'] }, { acks: 2 });
    expect(got.error).toBe('INVALID_REQUIRED_ACKS');
  }),
  fact('a partition that does not exist is UNKNOWN_TOPIC_OR_PARTITION', async (stage) => {
    const topic = await stage.topic();
    const write = async (name: string, partition: number) =>
      (await stage.client.produce(name, partition, { values: ['a'] })).error;
    expect(await write(topic, 1)).toBe('UNKNOWN_TOPIC_OR_PARTITION');
    expect(await write(stage.name('missing'), 0)).toBe('UNKNOWN_TOPIC_OR_PARTITION');
  }),
  fact('a batch over max.message.bytes is MESSAGE_TOO_LARGE', async (stage) => {
    const topic = await stage.topic(1, { 'max.message.bytes': '1000' });
    const write = async (value: string) =>
      (await stage.client.produce(topic, 0, { values: [value] })).error;
    expect(await write('x'.repeat(1_000))).toBe('MESSAGE_TOO_LARGE');
    expect(await write('x'.repeat(500))).toBe('NONE');
  }),
  fact('a batch of exactly max.message.bytes is taken', async (stage) => {
    const records = freshBatch({ values: ['x'.repeat(500)] });
    const exact = await stage.topic(1, { 'max.message.bytes': String(records.length) });
    const short = await stage.topic(1, { 'max.message.bytes': String(records.length - 1) });
    expect((await stage.client.produce(exact, 0, records)).error).toBe('NONE');
    expect((await stage.client.produce(short, 0, records)).error).toBe('MESSAGE_TOO_LARGE');
  }),
  fact('a batch with a wrong checksum is CORRUPT_MESSAGE', async (stage) => {
    const topic = await stage.topic();
    const records = freshBatch({ values: ['a'] });
    records.writeUInt8(records.readUInt8(records.length - 3) ^ 1, records.length - 3);
    expect((await stage.client.produce(topic, 0, records)).error).toBe('CORRUPT_MESSAGE');
  }),
  fact('a record without a key is refused by a compacted topic', async (stage) => {
    const topic = await stage.topic(1, { 'cleanup.policy': 'compact' });
    const write = async (key: string | null) =>
      (await stage.client.produce(topic, 0, { values: ['a'], key })).error;
    expect(await write(null)).toBe('INVALID_RECORD');
    expect(await write('')).toBe('NONE');
  }),
  fact('a record without a key is taken by other topics', async (stage) => {
    const topic = await stage.topic();
    const got = await stage.client.produce(topic, 0, { values: ['a'], key: null });
    expect(got.error).toBe('NONE');
  }),
  fact('a control batch of a client is INVALID_RECORD', async (stage) => {
    const topic = await stage.topic();
    const producerId = await stage.producerId();
    const spec = { values: ['a'], sequence: 0, producerId, epoch: 0, attributes: 0x20 };
    expect((await stage.client.produce(topic, 0, spec)).error).toBe('INVALID_RECORD');
  }),
  fact('two batches for one partition are INVALID_RECORD', async (stage) => {
    const topic = await stage.topic();
    const records = Buffer.concat([freshBatch({ values: ['a'] }), freshBatch({ values: ['b'] })]);
    expect((await stage.client.produce(topic, 0, records)).error).toBe('INVALID_RECORD');
  }),
  fact('a record set without a batch is INVALID_RECORD', async (stage) => {
    const topic = await stage.topic();
    const got = await stage.client.produce(topic, 0, Buffer.alloc(0));
    expect(got.error).toBe('INVALID_RECORD');
  }),
  fact('a batch without records is INVALID_RECORD', async (stage) => {
    const topic = await stage.topic();
    const got = await stage.client.produce(topic, 0, { values: [] });
    expect(got.error).toBe('INVALID_RECORD');
  }),
  fact('a record beyond message.timestamp.after.max.ms is INVALID_TIMESTAMP', async (stage) => {
    const topic = await stage.topic(1, { 'message.timestamp.after.max.ms': '3600000' });
    const write = async (ahead: number) => {
      const timestamp = Date.now() + ahead;
      return (await stage.client.produce(topic, 0, { values: ['a'], timestamp })).error;
    };
    expect(await write(2 * 3_600_000)).toBe('INVALID_TIMESTAMP');
    expect(await write(60_000)).toBe('NONE');
  }),
  fact('a record of the far future is told by the default of the version', async (stage) => {
    const topic = await stage.topic();
    const timestamp = Date.now() + 2 * 3_600_000;
    const got = await stage.client.produce(topic, 0, { values: ['a'], timestamp });
    expect(got.error).toBe(stage.by({ '3.9': 'NONE', '4.3': 'INVALID_TIMESTAMP' }));
  }),
  fact('a record of the far past is taken', async (stage) => {
    const topic = await stage.topic();
    const got = await stage.client.produce(topic, 0, { values: ['a'], timestamp: 1_000 });
    expect(got.error).toBe('NONE');
  }),
  fact('a transactional batch without a producer id is taken as a plain one', async (stage) => {
    const topic = await stage.topic();
    const spec = { values: ['a'], transactional: 'transactional' } as const;
    const transactionalId = stage.name('txn');
    const got = await stage.client.produce(topic, 0, spec, { transactionalId });
    expect(got.error).toBe('NONE');
  }),
];

export const PRODUCE = [...VERIFICATION, ...SEQUENCES, ...SHAPES];
