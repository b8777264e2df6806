/** The states of a transactional id: which request is answered what in which of them. */
import { expect } from 'vitest';
import { fact } from '../case.ts';
import type { Producer } from '../client.ts';
import { definite, pause, type Stage, type TransactionalProducer } from '../stage.ts';

const ROUNDS_MAX = 2_000;
/** Markers of many partitions take longer: the state between is easier to meet. */
const WIDE = 12;

/** Asks right behind EndTxn, on the same connection, until the transaction is still half ended. */
async function whilePrepared(
  stage: Stage,
  result: 'commit' | 'abort',
  ask: (producer: TransactionalProducer, topic: string) => Promise<string>,
  expected: string,
): Promise<void> {
  const topic = await stage.topic(WIDE);
  const producer = await stage.producer();
  const partitions = Array.from({ length: WIDE }, (_, index) => index);
  const seen = new Set<string>();
  for (let round = 0; round < ROUNDS_MAX && !seen.has(expected); round++) {
    expect(await producer.init()).toBe('NONE');
    const { transactionalId } = producer;
    const topics = [{ name: topic, partitions }];
    await definite(
      async () => (await stage.client.addPartitionsOf(transactionalId, producer, topics))[0]!,
    );
    const [ended, asked] = await Promise.all([
      stage.client.end(transactionalId, producer, result),
      ask(producer, topic),
    ]);
    expect(ended.error).toBe('NONE');
    seen.add(asked);
    await stage.settled(transactionalId);
  }
  expect([...seen]).toContain(expected);
}

async function ended(stage: Stage, result: 'commit' | 'abort'): Promise<TransactionalProducer> {
  const topic = await stage.topic();
  const producer = await stage.producer();
  await producer.send(topic, ['a']);
  await producer.finish(result);
  return producer;
}

async function ongoing(stage: Stage): Promise<{ producer: TransactionalProducer; topic: string }> {
  const topic = await stage.topic();
  const producer = await stage.producer();
  await producer.send(topic, ['a']);
  return { producer, topic };
}

const shifted = ({ producerId, producerEpoch }: Producer, epochs: number): Producer => ({
  producerId,
  producerEpoch: producerEpoch + epochs,
});

const foreign = ({ producerId, producerEpoch }: Producer): Producer => ({
  producerId: producerId + 1_000_000,
  producerEpoch,
});

const INITIALISING = [
  fact('a new transactional id starts at epoch 0', async (stage) => {
    const got = await definite(() => stage.client.init(stage.name('txn')));
    expect(got).toMatchObject({ error: 'NONE', producerEpoch: 0 });
    expect(got.producerId).toBeGreaterThanOrEqual(0);
  }),
  fact('two transactional ids have different producer ids', async (stage) => {
    const [one, two] = [await stage.producer(), await stage.producer()];
    expect(one.producerId).not.toBe(two.producerId);
  }),
  fact(
    'an idempotent producer without transactional id gets an id of its own each time',
    async (stage) => {
      const init = () => definite(() => stage.client.init(null));
      const [one, two] = [await init(), await init()];
      expect([one.error, one.producerEpoch, two.error, two.producerEpoch]).toEqual([
        'NONE',
        0,
        'NONE',
        0,
      ]);
      expect(one.producerId).not.toBe(two.producerId);
    },
  ),
  fact('an initialised id is Empty', async (stage) => {
    const producer = await stage.producer();
    expect(await stage.state(producer.transactionalId)).toMatchObject({
      state: 'Empty',
      ...producer.identity,
    });
  }),
  fact('a transactional id that nobody initialised is unknown', async (stage) => {
    expect((await stage.state(stage.name('nobody'))).state).toBe('unknown');
  }),
  fact('an empty transactional id is INVALID_REQUEST', async (stage) => {
    expect((await stage.client.init('')).error).toBe('INVALID_REQUEST');
  }),
  ...[0, -1, 900_001].map((timeoutMs) =>
    fact(
      `a transaction timeout of ${timeoutMs} ms is INVALID_TRANSACTION_TIMEOUT`,
      async (stage) => {
        const { error } = await definite(() => stage.client.init(stage.name('txn'), { timeoutMs }));
        expect(error).toBe('INVALID_TRANSACTION_TIMEOUT');
      },
    ),
  ),
  fact('a transaction timeout of 900,000 ms is allowed', async (stage) => {
    const got = await definite(() => stage.client.init(stage.name('txn'), { timeoutMs: 900_000 }));
    expect(got.error).toBe('NONE');
  }),
  fact('InitProducerId with the current identity bumps the epoch', async (stage) => {
    const producer = await stage.producer();
    const before = producer.identity;
    expect(await producer.init({ expected: before })).toBe('NONE');
    expect(producer.identity).toEqual(shifted(before, 1));
  }),
  fact(
    'InitProducerId repeated with the identity before a bump gets the same bump again',
    async (stage) => {
      const producer = await stage.producer();
      const before = producer.identity;
      await producer.init({ expected: before });
      const once = producer.identity;
      expect(await producer.init({ expected: before })).toBe('NONE');
      expect(producer.identity).toEqual(once);
    },
  ),
  fact('InitProducerId with an identity two bumps old is PRODUCER_FENCED', async (stage) => {
    const producer = await stage.producer();
    const before = producer.identity;
    await producer.init({ expected: before });
    await producer.init({ expected: producer.identity });
    const again = await definite(() =>
      stage.client.init(producer.transactionalId, { expected: before }),
    );
    expect(again.error).toBe('PRODUCER_FENCED');
  }),
  fact('InitProducerId with the epoch before an unnamed bump is PRODUCER_FENCED', async (stage) => {
    const producer = await stage.producer();
    const before = producer.identity;
    await producer.init();
    const again = await definite(() =>
      stage.client.init(producer.transactionalId, { expected: before }),
    );
    expect(again.error).toBe('PRODUCER_FENCED');
  }),
  fact('InitProducerId with a newer epoch is PRODUCER_FENCED', async (stage) => {
    const producer = await stage.producer();
    const expected = shifted(producer, 1);
    const got = await definite(() => stage.client.init(producer.transactionalId, { expected }));
    expect(got.error).toBe('PRODUCER_FENCED');
  }),
  fact('InitProducerId with a foreign producer id is PRODUCER_FENCED', async (stage) => {
    const producer = await stage.producer();
    const expected = foreign(producer);
    const got = await definite(() => stage.client.init(producer.transactionalId, { expected }));
    expect(got.error).toBe('PRODUCER_FENCED');
  }),
  fact(
    'InitProducerId before version 4 is told INVALID_PRODUCER_EPOCH where others are fenced',
    async (stage) => {
      const producer = await stage.producer();
      const expected = foreign(producer);
      const got = await definite(() =>
        stage.client.init(producer.transactionalId, { expected, version: 3 }),
      );
      expect(got.error).toBe('INVALID_PRODUCER_EPOCH');
    },
  ),
  fact(
    'InitProducerId with an identity for an id that nobody initialised starts a new one',
    async (stage) => {
      const expected = { producerId: 123_456, producerEpoch: 7 };
      const got = await definite(() => stage.client.init(stage.name('txn'), { expected }));
      expect(got).toMatchObject({ error: 'NONE', producerEpoch: 0 });
      expect(got.producerId).not.toBe(expected.producerId);
    },
  ),
];

const ENDING = [
  fact('EndTxn of a committed transaction leads to CompleteCommit', async (stage) => {
    const producer = await ended(stage, 'commit');
    expect((await stage.state(producer.transactionalId)).state).toBe('CompleteCommit');
  }),
  fact('EndTxn of an aborted transaction leads to CompleteAbort', async (stage) => {
    const producer = await ended(stage, 'abort');
    expect((await stage.state(producer.transactionalId)).state).toBe('CompleteAbort');
  }),
  fact('EndTxn of v1 keeps the epoch', async (stage) => {
    const producer = await ended(stage, 'commit');
    const { producerEpoch } = await stage.state(producer.transactionalId);
    expect(producerEpoch).toBe(producer.producerEpoch);
  }),
  ...(['commit', 'abort'] as const).flatMap((result) => {
    const other = result === 'commit' ? 'abort' : 'commit';
    return [
      fact(`EndTxn(${result}) with nothing added is INVALID_TXN_STATE`, async (stage) => {
        const producer = await stage.producer();
        expect(await producer.end(result)).toBe('INVALID_TXN_STATE');
      }),
      fact(`EndTxn(${result}) repeated after completion succeeds again`, async (stage) => {
        const producer = await ended(stage, result);
        expect(await producer.end(result)).toBe('NONE');
        const { state } = await stage.settled(producer.transactionalId);
        expect(state).toBe(result === 'commit' ? 'CompleteCommit' : 'CompleteAbort');
      }),
      fact(`EndTxn(${other}) after a completed ${result} is INVALID_TXN_STATE`, async (stage) => {
        const producer = await ended(stage, result);
        expect(await producer.end(other)).toBe('INVALID_TXN_STATE');
      }),
      fact(`EndTxn(${result}) repeated while it is prepared is CONCURRENT_TRANSACTIONS`, (stage) =>
        whilePrepared(
          stage,
          result,
          async (producer) =>
            (await stage.client.end(producer.transactionalId, producer, result)).error,
          'CONCURRENT_TRANSACTIONS',
        ),
      ),
      fact(`EndTxn(${other}) while ${result} is prepared is CONCURRENT_TRANSACTIONS`, (stage) =>
        whilePrepared(
          stage,
          result,
          async (producer) =>
            (await stage.client.end(producer.transactionalId, producer, other)).error,
          'CONCURRENT_TRANSACTIONS',
        ),
      ),
      fact(`AddPartitionsToTxn while ${result} is prepared is CONCURRENT_TRANSACTIONS`, (stage) =>
        whilePrepared(
          stage,
          result,
          (producer, topic) =>
            stage.client.addPartition(producer.transactionalId, producer, topic, 0),
          'CONCURRENT_TRANSACTIONS',
        ),
      ),
      fact(`AddOffsetsToTxn while ${result} is prepared is CONCURRENT_TRANSACTIONS`, (stage) =>
        whilePrepared(
          stage,
          result,
          (producer) => stage.client.addOffsets(producer.transactionalId, producer, 'some-group'),
          'CONCURRENT_TRANSACTIONS',
        ),
      ),
      fact(`InitProducerId while ${result} is prepared is CONCURRENT_TRANSACTIONS`, (stage) =>
        whilePrepared(
          stage,
          result,
          async (producer) => (await stage.client.init(producer.transactionalId)).error,
          'CONCURRENT_TRANSACTIONS',
        ),
      ),
    ];
  }),
  fact(
    'EndTxn after initialising again is INVALID_TXN_STATE although the last one committed',
    async (stage) => {
      const producer = await ended(stage, 'commit');
      await producer.init();
      expect(await producer.end('commit')).toBe('INVALID_TXN_STATE');
    },
  ),
  fact('EndTxn of an id that nobody initialised is INVALID_PRODUCER_ID_MAPPING', async (stage) => {
    const nobody = { producerId: 1, producerEpoch: 0 };
    const id = stage.name('nobody');
    const got = await definite(() => stage.client.end(id, nobody, 'commit'));
    expect(got.error).toBe('INVALID_PRODUCER_ID_MAPPING');
  }),
  fact('EndTxn with a foreign producer id is INVALID_PRODUCER_ID_MAPPING', async (stage) => {
    const { producer } = await ongoing(stage);
    const got = await stage.client.end(producer.transactionalId, foreign(producer), 'commit');
    expect(got.error).toBe('INVALID_PRODUCER_ID_MAPPING');
  }),
  fact('EndTxn with a newer epoch is PRODUCER_FENCED', async (stage) => {
    const { producer } = await ongoing(stage);
    const got = await stage.client.end(producer.transactionalId, shifted(producer, 1), 'commit');
    expect(got.error).toBe('PRODUCER_FENCED');
  }),
  fact(
    'EndTxn before version 2 is told INVALID_PRODUCER_EPOCH where others are fenced',
    async (stage) => {
      const { producer } = await ongoing(stage);
      const wrong = shifted(producer, 1);
      const got = await stage.client.end(producer.transactionalId, wrong, 'commit', 1);
      expect(got.error).toBe('INVALID_PRODUCER_EPOCH');
    },
  ),
  fact('EndTxn of an empty transactional id is INVALID_REQUEST', async (stage) => {
    const got = await definite(() =>
      stage.client.end('', { producerId: 1, producerEpoch: 0 }, 'commit'),
    );
    expect(got.error).toBe('INVALID_REQUEST');
  }),
  fact('a transaction of offsets alone commits', async (stage) => {
    const producer = await stage.producer();
    expect(await producer.addOffsets(stage.name('group'))).toBe('NONE');
    await producer.finish('commit');
    expect((await stage.state(producer.transactionalId)).state).toBe('CompleteCommit');
  }),
  fact('a transaction of a partition without records writes its marker', async (stage) => {
    const topic = await stage.topic();
    const producer = await stage.producer();
    expect(await producer.add(topic)).toBe('NONE');
    await producer.finish('commit');
    expect(await stage.client.log(topic)).toEqual(['commit@0']);
  }),
  fact('a partition added twice gets one marker', async (stage) => {
    const topic = await stage.topic();
    const producer = await stage.producer();
    expect([await producer.add(topic), await producer.add(topic)]).toEqual(['NONE', 'NONE']);
    await producer.write(topic, ['a']);
    await producer.finish('commit');
    expect(await stage.client.log(topic)).toEqual(['a', 'commit@0']);
  }),
];

const ADDING = [
  fact('a transaction with a partition is Ongoing', async (stage) => {
    const { producer } = await ongoing(stage);
    expect((await stage.state(producer.transactionalId)).state).toBe('Ongoing');
  }),
  fact('a partition that does not exist keeps the others of the request out', async (stage) => {
    const topic = await stage.topic();
    const producer = await stage.producer();
    const missing = stage.name('missing');
    const { transactionalId } = producer;
    const answers = await stage.client.addPartitionsOf(transactionalId, producer, [
      { name: topic, partitions: [0, 7] },
      { name: missing, partitions: [0] },
    ]);
    expect(answers).toEqual([
      'OPERATION_NOT_ATTEMPTED',
      'UNKNOWN_TOPIC_OR_PARTITION',
      'UNKNOWN_TOPIC_OR_PARTITION',
    ]);
    expect((await stage.state(transactionalId)).state).toBe('Empty');
  }),
  fact(
    'AddPartitionsToTxn of an id that nobody initialised is INVALID_PRODUCER_ID_MAPPING',
    async (stage) => {
      const topic = await stage.topic();
      const nobody = { producerId: 1, producerEpoch: 0 };
      const id = stage.name('nobody');
      const error = await definite(() => stage.client.addPartition(id, nobody, topic));
      expect(error).toBe('INVALID_PRODUCER_ID_MAPPING');
    },
  ),
  ...(
    [
      ['a foreign producer id', foreign, 3, 'INVALID_PRODUCER_ID_MAPPING'],
      ['an older epoch', (p: Producer) => shifted(p, -1), 3, 'PRODUCER_FENCED'],
      ['a newer epoch', (p: Producer) => shifted(p, 1), 3, 'PRODUCER_FENCED'],
      ['an older epoch in version 1', (p: Producer) => shifted(p, -1), 1, 'INVALID_PRODUCER_EPOCH'],
    ] as const
  ).flatMap(([what, wrong, version, expected]) => [
    fact(`AddPartitionsToTxn with ${what} is ${expected}`, async (stage) => {
      const topic = await stage.topic();
      const producer = await stage.producer();
      await producer.init();
      const { transactionalId } = producer;
      const error = await definite(() =>
        stage.client.addPartition(transactionalId, wrong(producer), topic, 0, version),
      );
      expect(error).toBe(expected);
    }),
    fact(`AddOffsetsToTxn with ${what} is ${expected}`, async (stage) => {
      const producer = await stage.producer();
      await producer.init();
      const { transactionalId } = producer;
      const group = stage.name('group');
      const error = await definite(() =>
        stage.client.addOffsets(transactionalId, wrong(producer), group, version),
      );
      expect(error).toBe(expected);
    }),
  ]),
];

const FENCING = [
  fact(
    'InitProducerId amid a transaction first answers CONCURRENT_TRANSACTIONS and aborts it',
    async (stage) => {
      const { producer, topic } = await ongoing(stage);
      const first = await stage.client.init(producer.transactionalId);
      expect(first).toEqual({
        error: 'CONCURRENT_TRANSACTIONS',
        producerId: -1,
        producerEpoch: -1,
      });
      const { state } = await stage.settled(producer.transactionalId);
      expect(state).toBe('CompleteAbort');
      expect(await stage.client.log(topic)).toEqual(['a', 'abort@1']);
    },
  ),
  fact('InitProducerId after an aborted predecessor is two epochs on', async (stage) => {
    const { producer } = await ongoing(stage);
    const before = producer.identity;
    expect(await producer.init()).toBe('NONE');
    expect(producer.identity).toEqual(shifted(before, 2));
  }),
  fact('InitProducerId with the own identity amid a transaction aborts it', async (stage) => {
    const { producer } = await ongoing(stage);
    const before = producer.identity;
    const { transactionalId } = producer;
    const first = await stage.client.init(transactionalId, { expected: before });
    expect(first.error).toBe('CONCURRENT_TRANSACTIONS');
    await stage.settled(transactionalId);
    const second = await stage.client.init(transactionalId, { expected: before });
    expect(second).toEqual(
      stage.by({
        '3.9': { error: 'PRODUCER_FENCED', producerId: -1, producerEpoch: -1 },
        '4.3': { error: 'NONE', ...shifted(before, 1) },
      }),
    );
  }),
  fact(
    'the fenced producer is refused by AddPartitionsToTxn, AddOffsetsToTxn and EndTxn',
    async (stage) => {
      const { producer, topic } = await ongoing(stage);
      await stage.producer({ transactionalId: producer.transactionalId });
      expect(await producer.add(topic)).toBe('PRODUCER_FENCED');
      expect(await producer.addOffsets(stage.name('group'))).toBe('PRODUCER_FENCED');
      expect(await producer.end('commit')).toBe('PRODUCER_FENCED');
      expect(await producer.end('abort')).toBe('PRODUCER_FENCED');
    },
  ),
  fact('a transaction that runs too long is aborted with a bumped epoch', async (stage) => {
    const { topic, producer } = await stage.expired();
    const { producerEpoch } = await stage.state(producer.transactionalId);
    expect(producerEpoch).toBe(producer.producerEpoch + 1);
    expect(await stage.client.log(topic)).toEqual(['a', 'abort@1']);
  }),
  fact('the producer of a transaction that ran too long cannot end it', async (stage) => {
    const { producer } = await stage.expired();
    expect(await producer.end('commit')).toBe('PRODUCER_FENCED');
    expect(await producer.end('abort')).toBe('PRODUCER_FENCED');
  }),
  fact(
    'the version tells what a producer whose transaction ran too long gets for its identity',
    async (stage) => {
      const { producer } = await stage.expired();
      const before = producer.identity;
      const error = await producer.init({ expected: before });
      expect(error).toBe(stage.by({ '3.9': 'PRODUCER_FENCED', '4.3': 'NONE' }));
      expect(producer.identity).toEqual(stage.by({ '3.9': before, '4.3': shifted(before, 1) }));
    },
  ),
  fact('an id that was initialised and not used does not time out', async (stage) => {
    const producer = await stage.producer({ timeoutMs: 100 });
    await pause(500);
    expect((await stage.state(producer.transactionalId)).state).toBe('Empty');
  }),
];

export const COORDINATOR = [...INITIALISING, ...ADDING, ...ENDING, ...FENCING];
