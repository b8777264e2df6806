/** The behaviours that Kafka's own suite of client-visible transaction rules holds a broker to. */
import { expect } from 'vitest';
import { fact } from '../case.ts';
import { readAll, valuesOf } from '../reader.ts';
import { pause, type Stage, type TransactionalProducer } from '../stage.ts';

/** An older producer with an open transaction of `old`, and a newer one that has written `new`. */
async function displaced(stage: Stage): Promise<{
  topic: string;
  older: TransactionalProducer;
  newer: TransactionalProducer;
}> {
  const topic = await stage.topic();
  const older = await stage.producer();
  await older.send(topic, ['old']);
  const newer = await stage.producer({ transactionalId: older.transactionalId });
  await newer.send(topic, ['new']);
  return { topic, older, newer };
}

async function expectOnlyNew(stage: Stage, topic: string, newer: TransactionalProducer) {
  await newer.finish('commit');
  expect(await valuesOf(stage.client, topic)).toEqual(['new']);
}

/** Consumes `in` transaction by transaction, aborting every second one, and copies it to `out`. */
async function copyWithAborts(
  stage: Stage,
  sendOffset: (producer: TransactionalProducer, offset: number, input: string) => Promise<void>,
  group: string,
): Promise<void> {
  const input = await stage.topic();
  const output = await stage.topic();
  const values = Array.from({ length: 60 }, (_, index) => String(index));
  for (const value of values) await stage.client.produce(input, 0, { values: [value] });
  const producer = await stage.producer();
  for (let round = 0; ; round++) {
    const start = Math.max(0, await stage.stable(group, input));
    if (start === values.length) break;
    const batch = values.slice(start, start + 10);
    await producer.send(output, batch);
    await sendOffset(producer, start + batch.length, input);
    await producer.finish(round % 2 === 0 ? 'abort' : 'commit');
  }
  expect(await valuesOf(stage.client, output)).toEqual(values);
}

export const KAFKA_TRANSACTIONS = [
  fact('aborted records are for read_uncommitted alone, committed ones for both', async (stage) => {
    const [one, two] = [await stage.topic(2), await stage.topic(3)];
    const producer = await stage.producer();
    await producer.send(two, ['2'], 2);
    await producer.send(one, ['4'], 1);
    await producer.finish('abort');
    await producer.send(one, ['1'], 1);
    await producer.send(two, ['3'], 2);
    await producer.finish('commit');
    expect(await valuesOf(stage.client, one, 'read_committed', 1)).toEqual(['1']);
    expect(await valuesOf(stage.client, two, 'read_committed', 2)).toEqual(['3']);
    expect(await valuesOf(stage.client, one, 'read_uncommitted', 1)).toEqual(['4', '1']);
    expect(await valuesOf(stage.client, two, 'read_uncommitted', 2)).toEqual(['2', '3']);
  }),

  fact('an aborted transaction leaves the log start where it was', async (stage) => {
    const topic = await stage.topic();
    const producer = await stage.producer();
    await producer.send(topic, ['a']);
    await producer.finish('abort');
    const got = await stage.client.fetch(topic, 0, 0);
    expect(got.logStartOffset).toBe(0);
  }),

  fact(
    'a reader of committed records does not see past an undecided transaction',
    async (stage) => {
      const topic = await stage.topic();
      const [one, two] = [await stage.producer(), await stage.producer()];
      await two.send(topic, ['x1']);
      await one.send(topic, ['a', 'b']);
      await two.write(topic, ['x2']);
      await two.finish('commit');
      expect(await valuesOf(stage.client, topic, 'read_uncommitted')).toEqual([
        'x1',
        'a',
        'b',
        'x2',
      ]);
      expect(await valuesOf(stage.client, topic)).toEqual(['x1']);
      expect((await stage.client.listOffset(topic)).offset).toBe(1);
    },
  ),

  fact('times of undecided records are found by read_uncommitted alone', async (stage) => {
    const topic = await stage.topic();
    const producer = await stage.producer();
    const timestamp = Date.now() + 60_000;
    await stage.client.produce(topic, 0, { values: ['before'] });
    await producer.add(topic);
    const records = {
      values: ['a'],
      sequence: 0,
      timestamp,
      transactional: 'transactional',
    } as const;
    const { transactionalId, producerId, producerEpoch: epoch } = producer;
    await stage.client.produce(topic, 0, { ...records, producerId, epoch }, { transactionalId });
    const find = (isolation: 'read_committed' | 'read_uncommitted') =>
      stage.client.listOffset(topic, 0, { timestamp, isolation });
    expect(await find('read_uncommitted')).toEqual({ error: 'NONE', offset: 1, timestamp });
    expect(await find('read_committed')).toEqual({ error: 'NONE', offset: -1, timestamp: -1 });
  }),

  fact('a fetch that waited tells the aborted transactions of what it returns', async (stage) => {
    const topic = await stage.topic();
    const [one, two] = [await stage.producer(), await stage.producer()];
    await two.send(topic, ['x1']);
    await one.send(topic, ['y1', 'y2']);
    await two.write(topic, ['x2']);
    await one.finish('abort');
    await two.finish('commit');
    const got = await stage.client.fetch(topic, 0, 0, { minBytes: 100_000, maxWaitMs: 100 });
    expect(got.aborted).toEqual([{ producerId: one.producerId, firstOffset: 1 }]);
    const { records } = await readAll(stage.client, topic, 'read_committed');
    expect(records).toEqual([
      { offset: 0, value: 'x1' },
      { offset: 3, value: 'x2' },
    ]);
  }),

  fact('a copy that commits offsets by group id is exact although it aborts', async (stage) => {
    const group = stage.name('group');
    const send = (producer: TransactionalProducer, offset: number, topic: string) =>
      producer.sendOffset(group, { topic, offset });
    await copyWithAborts(stage, send, group);
  }),

  fact(
    'a copy that commits offsets by group metadata is exact although it aborts',
    async (stage) => {
      const group = stage.name('group');
      const member = await stage.member(group);
      await member.settle();
      const { generationId, memberId } = member;
      const send = async (producer: TransactionalProducer, offset: number, topic: string) => {
        expect(await producer.addOffsets(group)).toBe('NONE');
        const entry = { topic, offset };
        expect(await producer.commitOffset(group, entry, { generationId, memberId })).toBe('NONE');
      };
      await copyWithAborts(stage, send, group);
    },
  ),

  fact('a displaced producer cannot commit, and what it wrote is aborted', async (stage) => {
    const { topic, older, newer } = await displaced(stage);
    expect(await older.end('commit')).toBe('PRODUCER_FENCED');
    await expectOnlyNew(stage, topic, newer);
  }),

  fact('a displaced producer cannot send offsets', async (stage) => {
    const { topic, older, newer } = await displaced(stage);
    const group = stage.name('group');
    expect(await older.addOffsets(group)).toBe('PRODUCER_FENCED');
    expect(await older.commitOffset(group, { topic, offset: 110 })).toBe('INVALID_PRODUCER_EPOCH');
    await expectOnlyNew(stage, topic, newer);
  }),

  fact('metadata of offsets sent in a transaction is stored with them', async (stage) => {
    const topic = await stage.topic();
    const group = stage.name('group');
    const producer = await stage.producer();
    await producer.send(topic, ['a']);
    await producer.sendOffset(group, { topic, offset: 110, metadata: 'some metadata' });
    await producer.finish('commit');
    expect(await stage.stable(group, topic)).toBe(110);
    const found = await stage.client.committed(group, topic);
    expect(found).toEqual({ error: 'NONE', offset: 110, metadata: 'some metadata' });
  }),

  fact('a displaced producer cannot write to a partition it wrote to before', async (stage) => {
    const { topic, older, newer } = await displaced(stage);
    expect((await older.writeAt(topic, 1, ['late'])).error).toBe('INVALID_PRODUCER_EPOCH');
    await expectOnlyNew(stage, topic, newer);
  }),

  fact('a displaced producer cannot add partitions', async (stage) => {
    const topic = await stage.topic();
    const older = await stage.producer();
    await older.send(topic, ['old']);
    await older.finish('abort');
    const newer = await stage.producer({ transactionalId: older.transactionalId });
    await newer.send(topic, ['new']);
    expect(await older.add(topic)).toBe('PRODUCER_FENCED');
    await expectOnlyNew(stage, topic, newer);
  }),

  fact('an expired transaction is aborted, and its producer cannot go on', async (stage) => {
    const { topic, producer } = await stage.expired();
    expect(await producer.add(topic)).toBe('PRODUCER_FENCED');
    expect((await producer.writeAt(topic, 1, ['2'])).error).toBe('INVALID_PRODUCER_EPOCH');
    expect(await valuesOf(stage.client, topic, 'read_uncommitted')).toEqual(['a']);
    expect(await valuesOf(stage.client, topic)).toEqual([]);
  }),

  fact('markers of one transaction reach every partition of two topics', async (stage) => {
    const topics = [await stage.topic(10), await stage.topic(10)] as const;
    const producer = await stage.producer();
    const each = async (write: (topic: string, partition: number) => Promise<unknown>) => {
      for (const topic of topics) {
        for (let partition = 0; partition < 10; partition++) await write(topic, partition);
      }
    };
    await each((topic, partition) => producer.send(topic, ['aborted'], partition));
    await producer.finish('abort');
    await each((topic, partition) => producer.send(topic, ['committed'], partition));
    await producer.finish('commit');
    await each(async (topic, partition) => {
      const committed = await valuesOf(stage.client, topic, 'read_committed', partition);
      expect(committed).toEqual(['committed']);
      const all = await valuesOf(stage.client, topic, 'read_uncommitted', partition);
      expect(all).toEqual(['aborted', 'committed']);
    });
  }),

  fact('initialising twice in a row bumps the epoch each time', async (stage) => {
    const producer = await stage.producer();
    const first = producer.identity;
    expect(await producer.init()).toBe('NONE');
    const { producerId, producerEpoch } = first;
    expect(producer.identity).toEqual({ producerId, producerEpoch: producerEpoch + 1 });
  }),

  fact(
    'a producer that bumps its own epoch goes on with sequence 0 and loses nothing',
    async (stage) => {
      const topic = await stage.topic();
      const producer = await stage.producer();
      await producer.send(topic, ['4']);
      await producer.finish('commit');
      await producer.send(topic, ['2']);
      await producer.finish('abort');
      const before = producer.identity;
      expect(await producer.init({ expected: before })).toBe('NONE');
      expect(producer.producerId).toBe(before.producerId);
      expect(producer.producerEpoch).toBeGreaterThan(before.producerEpoch);
      await producer.send(topic, ['1', '3']);
      await producer.finish('commit');
      expect(await valuesOf(stage.client, topic)).toEqual(['4', '1', '3']);
    },
  ),

  fact('an abort marker of a bumped epoch fences the old epoch on the partition', async (stage) => {
    const topic = await stage.topic();
    const older = await stage.producer();
    await older.send(topic, ['a']);
    const newer = await stage.producer({ transactionalId: older.transactionalId });
    expect(newer.producerEpoch).toBe(older.producerEpoch + 2);
    expect((await older.writeAt(topic, 1, ['b'])).error).toBe('INVALID_PRODUCER_EPOCH');
    expect(await stage.client.log(topic)).toEqual(['a', `abort@${older.producerEpoch + 1}`]);
  }),

  fact(
    'a request on a connection that dies is never answered, and its fate is told by the log',
    async (stage) => {
      const topic = await stage.topic();
      const lost = await stage.connect();
      const request = lost.fetch(topic, 0, 0, { maxWaitMs: 30_000 });
      await pause(20);
      lost.connection.close();
      await expect(request).rejects.toThrow('closed');
      expect(await stage.client.log(topic)).toEqual([]);
    },
  ),
];
