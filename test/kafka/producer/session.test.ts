import { describe, expect, test } from 'vitest';
import { KafkaErrorCode } from '../../../src/kafka/protocol/error-codes.ts';
import { TransportError } from '../../../src/kafka/transport/transport.ts';
import { RunningTime } from '../running-time.ts';
import { ScriptedCluster } from './scripted-cluster.ts';
import { failure, MEMBER, output, partitionsIn, session, step } from './steps.ts';

const STEP_APIS = ['AddPartitionsToTxn', 'Produce', 'AddOffsetsToTxn', 'TxnOffsetCommit', 'EndTxn'];

const time = new RunningTime();
const sessionOf: typeof session = (cluster, options) =>
  session(cluster, { ports: time.ports, ...options });

async function ready(options: { timeoutMs?: number } = {}) {
  const cluster = new ScriptedCluster();
  const producer = sessionOf(cluster, options);
  await producer.init();
  cluster.sent.length = 0;
  return { cluster, producer };
}

const lost = () => new TransportError('unknown', 'the reply was lost');
const unsent = () => new TransportError('never-sent', 'no connection');

describe('a step', () => {
  test('is five requests when it has one leader', async () => {
    const { cluster, producer } = await ready();
    await producer.commit(step([output('invoices', 0, ['a']), output('invoices', 1, ['b'])]));
    expect(cluster.names().sort()).toEqual([...STEP_APIS].sort());
    expect(cluster.names().at(0)).toBe('AddPartitionsToTxn');
    expect(cluster.names().at(-1)).toBe('EndTxn');
    expect(cluster.bodies('EndTxn')[0]).toMatchObject({ committed: true, producerId: 7 });
    expect(producer.state).toBe('ready');
  });

  test('carries generation, member and instance id with its offsets', async () => {
    const { cluster, producer } = await ready();
    await producer.commit(step([], 42));
    // Below version 3 the member would not be checked; above 4 the group would be added.
    expect(cluster.sent.find(({ api }) => api === 'TxnOffsetCommit')!.version).toBe(4);
    expect(cluster.bodies('TxnOffsetCommit')[0]).toMatchObject({
      generationId: MEMBER.generation,
      memberId: MEMBER.memberId,
      groupInstanceId: MEMBER.instanceId,
      topics: [
        {
          name: 'usage',
          partitions: [{ partitionIndex: 0, committedOffset: 42, committedMetadata: 'step-42' }],
        },
      ],
    });
  });

  test('looks coordinators and leaders up once for many steps', async () => {
    const { cluster, producer } = await ready();
    for (let i = 0; i < 3; i++) await producer.commit(step([output('invoices', 0, ['a'])], i));
    expect(cluster.lookups).toBe(3);
  });

  test('adds its partitions anew in each transaction', async () => {
    const { cluster, producer } = await ready();
    await producer.commit(step([output('invoices', 0, ['a'])]));
    await producer.commit(step([output('invoices', 1, ['a'])]));
    expect(cluster.bodies('AddPartitionsToTxn').map((body) => body.v3AndBelowTopics)).toEqual([
      [{ name: 'invoices', partitions: [0] }],
      [{ name: 'invoices', partitions: [1] }],
    ]);
  });

  test('without outputs and offsets sends nothing', async () => {
    const { cluster, producer } = await ready();
    const empty = step([]);
    await producer.commit({ outputs: [], offsets: { ...empty.offsets, partitions: [] } });
    expect(cluster.sent).toEqual([]);
    expect(producer.state).toBe('ready');
  });

  test('sends one request per leader with one batch per partition, then the other batches', async () => {
    const { cluster, producer } = await ready();
    cluster.leaders.set('invoices-1', 1);
    await producer.commit(
      step([
        output('invoices', 0, ['a'], ['b', 'c'], ['d']),
        output('changelog', 0, ['x']),
        output('invoices', 1, ['y']),
      ]),
    );
    const requests = cluster.sent.filter(({ api }) => api === 'Produce');
    expect(
      requests.map(({ node, body }) => [node, partitionsIn(body).map(({ place }) => place)]),
    ).toEqual([
      [0, ['invoices-0', 'changelog-0']],
      [1, ['invoices-1']],
      [0, ['invoices-0']],
      [0, ['invoices-0']],
    ]);
    const sequences = requests.flatMap(({ body }) =>
      partitionsIn(body)
        .filter(({ place }) => place === 'invoices-0')
        .map(({ baseSequence }) => baseSequence),
    );
    expect(sequences).toEqual([0, 1, 3]);
  });

  test('waits for a JoinGroup before it opens a transaction', async () => {
    const { cluster, producer } = await ready();
    let joined = () => {};
    const joining = new Promise<void>((resolve) => {
      joined = resolve;
    });
    const committing = producer.commit(
      step([output('invoices', 0, ['a'])], 1, () => joining.then(() => MEMBER)),
    );
    await time.ports.timers.sleep(5);
    expect(cluster.sent).toEqual([]);
    joined();
    await committing;
    expect(cluster.names()).toContain('EndTxn');
  });

  test('is undone when a JoinGroup outlasts half of the transaction timeout', async () => {
    const { cluster, producer } = await ready({ timeoutMs: 60 });
    let asked = 0;
    const membership = () => {
      asked += 1;
      return asked === 1 ? Promise.resolve(MEMBER) : new Promise<typeof MEMBER>(() => {});
    };
    const error = await failure(producer.commit(step([], 1, membership)));
    expect(error.decision).toBe('abort');
    await producer.abort();
    expect(cluster.bodies('EndTxn')).toMatchObject([{ committed: false }]);
  });
});

describe('an answer to repeat on', () => {
  test.each(STEP_APIS.filter((api) => api !== 'Produce'))(
    '%s repeats 51, 14, 15 and 16',
    async (api) => {
      const { cluster, producer } = await ready();
      cluster.script(
        api,
        KafkaErrorCode.CONCURRENT_TRANSACTIONS,
        KafkaErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaErrorCode.COORDINATOR_NOT_AVAILABLE,
        KafkaErrorCode.NOT_COORDINATOR,
      );
      await producer.commit(step([output('invoices', 0, ['a'])]));
      const bodies = cluster.bodies(api);
      expect(bodies).toHaveLength(5);
      expect(new Set(bodies.map((body) => JSON.stringify(body))).size).toBe(1);
      const kind = api === 'TxnOffsetCommit' ? 'group billing' : 'transaction billing-usage-0';
      // While it loads its state the coordinator stays where it is.
      expect(cluster.forgotten).toEqual([kind, kind]);
    },
  );

  test('InitProducerId repeats 51 after 20 ms or more', async () => {
    const cluster = new ScriptedCluster();
    cluster.script('InitProducerId', 51, 51, 16);
    const producer = sessionOf(cluster);
    const { clock } = time.ports;
    const began = clock.monotonic();
    await producer.init();
    expect(clock.monotonic() - began).toBeGreaterThanOrEqual(40);
    expect(cluster.names()).toHaveLength(4);
    expect(producer.state).toBe('ready');
  });

  test('Produce repeats a moved partition alone, with the same bytes and sequence', async () => {
    const { cluster, producer } = await ready();
    cluster.script(
      'Produce',
      { topic: 'invoices', partition: 1, code: KafkaErrorCode.NOT_LEADER_OR_FOLLOWER },
      KafkaErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    );
    await producer.commit(step([output('invoices', 0, ['a']), output('invoices', 1, ['b'])]));
    const [first, second, third] = cluster.bodies('Produce').map(partitionsIn);
    expect(first).toHaveLength(2);
    expect(second).toEqual([first![1]]);
    expect(third).toEqual(second);
    expect(cluster.forgotten).toEqual(['invoices-1']);
  });

  test('a moved partition is written at its new leader, though that has answered already', async () => {
    const { cluster, producer } = await ready();
    cluster.leaders.set('invoices-1', 1);
    cluster.script('Produce', undefined, KafkaErrorCode.NOT_LEADER_OR_FOLLOWER);
    const send = cluster.send.bind(cluster);
    cluster.send = (node, ...rest) => {
      // The partition moves to the leader of the other one.
      if (node === 1) cluster.leaders.set('invoices-1', 0);
      return send(node, ...rest);
    };
    await producer.commit(step([output('invoices', 0, ['a']), output('invoices', 1, ['b'])]));
    const produced = cluster.sent
      .filter(({ api }) => api === 'Produce')
      .map(({ node, body }) => [node, partitionsIn(body).map(({ place }) => place)]);
    expect(produced).toEqual([
      [0, ['invoices-0']],
      [1, ['invoices-1']],
      [0, ['invoices-1']],
    ]);
  });

  test('a leader that fails fast is not repeated into one that has not answered', async () => {
    const { cluster, producer } = await ready();
    cluster.leaders.set('invoices-1', 1);
    let answer = () => {};
    const slow = new Promise<void>((resolve) => {
      answer = resolve;
    });
    cluster.script('Produce', slow, KafkaErrorCode.MESSAGE_TOO_LARGE);
    let ended = 'no';
    const committing = failure(
      producer.commit(step([output('invoices', 0, ['a']), output('invoices', 1, ['b'])])),
    ).then((error) => {
      ended = 'yes';
      return error;
    });
    await time.ports.timers.sleep(10);
    // Aborted or written again now, the slow one would be there twice, or in the next transaction.
    expect(ended).toBe('no');
    answer();
    expect((await committing).decision).toBe('record');
    const written = cluster.bodies('Produce').flatMap(partitionsIn);
    expect(written.map(({ place }) => place)).toEqual(['invoices-0', 'invoices-1']);
    await producer.abort();
    await producer.commit(step([output('invoices', 0, ['c'])]));
    const again = cluster.bodies('Produce').flatMap(partitionsIn).at(-1)!;
    expect([again.place, again.baseSequence]).toEqual(['invoices-0', 1]);
  });

  test('a request that was never sent is sent to the coordinator found next', async () => {
    const { cluster, producer } = await ready();
    cluster.script('AddPartitionsToTxn', unsent());
    cluster.script('Produce', unsent());
    cluster.script('TxnOffsetCommit', unsent());
    cluster.script('EndTxn', unsent());
    await producer.commit(step([output('invoices', 0, ['a'])]));
    expect(cluster.names().filter((api) => api === 'Produce')).toHaveLength(2);
    expect(cluster.forgotten).toHaveLength(4);
  });

  test('stops being repeated after half of the transaction timeout, and is indefinite then', async () => {
    const { cluster, producer } = await ready({ timeoutMs: 100 });
    cluster.script('AddPartitionsToTxn', ...Array.from({ length: 100 }, () => 51));
    const error = await failure(producer.commit(step([output('invoices', 0, ['a'])])));
    expect(error.decision).toBe('indefinite');
    expect(error.message).toMatch(/did not succeed within 50 ms.*CONCURRENT_TRANSACTIONS/);
    expect(producer.state).toBe('unknown');
    expect(new Set(cluster.names())).toEqual(new Set(['AddPartitionsToTxn']));
  });
});

describe('an indefinite answer', () => {
  test.each(STEP_APIS)('of %s ends the session until init', async (api) => {
    const { cluster, producer } = await ready();
    cluster.script(api, lost());
    const error = await failure(producer.commit(step([output('invoices', 0, ['a'])])));
    expect(error.decision).toBe('indefinite');
    expect(producer.state).toBe('unknown');
    if (api !== 'EndTxn') expect(cluster.names()).not.toContain('EndTxn');
    const sent = cluster.sent.length;
    expect(await failure(producer.abort())).toBe(error);
    await expect(producer.commit(step([]))).rejects.toThrow('cannot change its state');
    expect(cluster.sent.length).toBe(sent);
    await producer.init();
    await producer.commit(step([output('invoices', 0, ['a'])]));
  });

  test('of one leader stops what the others would send next', async () => {
    const { cluster, producer } = await ready();
    cluster.leaders.set('invoices-1', 1);
    let answer = () => {};
    const slow = new Promise<void>((resolve) => {
      answer = resolve;
    });
    cluster.script('Produce', lost(), slow);
    cluster.script('AddOffsetsToTxn', slow);
    const committing = failure(
      producer.commit(step([output('invoices', 0, ['a']), output('invoices', 1, ['b'], ['c'])])),
    );
    await time.ports.timers.sleep(5);
    answer();
    expect((await committing).decision).toBe('indefinite');
    // Not the second batch of the other leader, not the offsets.
    expect(cluster.names().filter((api) => api === 'Produce')).toHaveLength(2);
    expect(cluster.names()).not.toContain('TxnOffsetCommit');
    expect(cluster.names()).not.toContain('EndTxn');
    expect(producer.state).toBe('unknown');
  });

  test.each(['AddPartitionsToTxn', 'Produce', 'TxnOffsetCommit'])(
    'is a partition that %s leaves out of its answer',
    async (api) => {
      const { cluster, producer } = await ready();
      cluster.script(api, { leavesOut: 1 });
      const outputs = [output('invoices', 0, ['a']), output('invoices', 1, ['b'])];
      const error = await failure(producer.commit(step(outputs)));
      expect(error.decision).toBe('indefinite');
      expect(cluster.names()).not.toContain('EndTxn');
    },
  );

  test.each([-1, 7, 13, 9_999])('is the code %i', async (code) => {
    const { cluster, producer } = await ready();
    cluster.script('EndTxn', code);
    expect((await failure(producer.commit(step([])))).decision).toBe('indefinite');
    expect(producer.state).toBe('unknown');
  });

  test('outweighs a definite one of the same step', async () => {
    const { cluster, producer } = await ready();
    cluster.script('AddOffsetsToTxn', KafkaErrorCode.GROUP_AUTHORIZATION_FAILED);
    cluster.script('Produce', lost());
    const error = await failure(producer.commit(step([output('invoices', 0, ['a'])])));
    expect(error.decision).toBe('indefinite');
    expect(producer.state).toBe('unknown');
  });

  test('to init leaves nothing to do but init again', async () => {
    const cluster = new ScriptedCluster();
    cluster.script('InitProducerId', lost());
    const producer = sessionOf(cluster);
    expect((await failure(producer.init())).decision).toBe('indefinite');
    expect(producer.state).toBe('unknown');
    await producer.init();
    expect(producer.state).toBe('ready');
  });
});

describe('a definite refusal', () => {
  const cases: [api: string, name: keyof typeof KafkaErrorCode, decision: string, code: string][] =
    [
      ['TxnOffsetCommit', 'ILLEGAL_GENERATION', 'abort', 'BROKER_ERROR'],
      ['TxnOffsetCommit', 'REBALANCE_IN_PROGRESS', 'abort', 'BROKER_ERROR'],
      ['TxnOffsetCommit', 'UNKNOWN_MEMBER_ID', 'lost', 'BROKER_ERROR'],
      ['TxnOffsetCommit', 'FENCED_INSTANCE_ID', 'stop', 'INSTANCE_FENCED'],
      ['TxnOffsetCommit', 'OFFSET_METADATA_TOO_LARGE', 'stop', 'METADATA_TOO_LARGE'],
      ['AddPartitionsToTxn', 'INVALID_PRODUCER_EPOCH', 'fenced', 'TASK_FENCED'],
      ['EndTxn', 'PRODUCER_FENCED', 'fenced', 'TASK_FENCED'],
      ['AddOffsetsToTxn', 'INVALID_PRODUCER_ID_MAPPING', 'fenced', 'BROKER_ERROR'],
      ['EndTxn', 'INVALID_TXN_STATE', 'fenced', 'BROKER_ERROR'],
      ['Produce', 'OUT_OF_ORDER_SEQUENCE_NUMBER', 'fenced', 'BROKER_ERROR'],
      ['Produce', 'UNKNOWN_PRODUCER_ID', 'fenced', 'BROKER_ERROR'],
      ['Produce', 'MESSAGE_TOO_LARGE', 'record', 'RECORD_TOO_LARGE'],
      ['Produce', 'INVALID_RECORD', 'record', 'BROKER_ERROR'],
      ['Produce', 'TRANSACTION_ABORTABLE', 'abort', 'BROKER_ERROR'],
      ['Produce', 'TOPIC_AUTHORIZATION_FAILED', 'stop', 'NOT_AUTHORIZED'],
    ];

  test.each(cases)('of %s with %s is %s', async (api, name, decision, code) => {
    const { cluster, producer } = await ready();
    cluster.script(api, KafkaErrorCode[name]);
    const error = await failure(producer.commit(step([output('invoices', 0, ['a'])])));
    expect([error.decision, error.code]).toEqual([decision, code]);
    expect(error.message).toContain(name);
    expect(producer.state).toBe(decision === 'fenced' ? 'fenced' : 'abortable');
    if (decision === 'fenced') return;
    expect(cluster.bodies('EndTxn')).toEqual([]);
    await producer.abort();
    expect(cluster.bodies('EndTxn')).toMatchObject([{ committed: false }]);
    expect(producer.state).toBe('ready');
    await producer.commit(step([output('invoices', 0, ['a'])]));
  });

  const rights: [string, keyof typeof KafkaErrorCode, string][] = [
    ['Produce', 'TOPIC_AUTHORIZATION_FAILED', "Write on topic 'invoices'"],
    ['TxnOffsetCommit', 'TOPIC_AUTHORIZATION_FAILED', "Read on topic 'usage'"],
    ['TxnOffsetCommit', 'GROUP_AUTHORIZATION_FAILED', "Read on group 'billing'"],
    [
      'AddPartitionsToTxn',
      'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
      "Write on transactional id 'billing-usage-0'",
    ],
  ];

  test.each(rights)('of %s with %s names the right', async (api, name, right) => {
    const { cluster, producer } = await ready();
    cluster.script(api, KafkaErrorCode[name]);
    const error = await failure(producer.commit(step([output('invoices', 0, ['a'])])));
    expect(error.decision).toBe('stop');
    expect(error.message).toContain(right);
  });

  test('of one partition in the middle keeps the step from being committed', async () => {
    const { cluster, producer } = await ready();
    cluster.script('Produce', { topic: 'invoices', partition: 1, code: 10 });
    const outputs = [0, 1, 2].map((partition) => output('invoices', partition, ['a']));
    const error = await failure(producer.commit(step(outputs)));
    expect(error.at).toEqual({ topic: 'invoices', partition: 1 });
    expect(cluster.bodies('EndTxn')).toEqual([]);
  });

  test('of one partition of AddPartitionsToTxn decides over those not attempted', async () => {
    const { cluster, producer } = await ready();
    cluster.script('AddPartitionsToTxn', {
      topic: 'invoices',
      partition: 1,
      code: KafkaErrorCode.TOPIC_AUTHORIZATION_FAILED,
      others: KafkaErrorCode.OPERATION_NOT_ATTEMPTED,
    });
    const outputs = [0, 1].map((partition) => output('invoices', partition, ['a']));
    const error = await failure(producer.commit(step(outputs)));
    expect(error.code).toBe('NOT_AUTHORIZED');
    await producer.abort();
    // Nothing was added, so there is nothing to end.
    expect(cluster.names()).toEqual(['AddPartitionsToTxn']);
    expect(producer.state).toBe('ready');
  });

  test('that asks for repetition does not hide behind partitions not attempted', async () => {
    const { cluster, producer } = await ready();
    cluster.script('AddPartitionsToTxn', {
      topic: 'invoices',
      partition: 1,
      code: KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
      others: KafkaErrorCode.OPERATION_NOT_ATTEMPTED,
    });
    await producer.commit(step([0, 1].map((partition) => output('invoices', partition, ['a']))));
    expect(cluster.bodies('AddPartitionsToTxn')).toHaveLength(2);
  });

  test('moves the sequences of what was appended alone', async () => {
    const { cluster, producer } = await ready();
    cluster.script('Produce', { topic: 'invoices', partition: 1, code: 10 });
    const outputs = () => [output('invoices', 0, ['a', 'b']), output('invoices', 1, ['c'])];
    await failure(producer.commit(step(outputs())));
    await producer.abort();
    await producer.commit(step(outputs()));
    const sequences = cluster
      .bodies('Produce')
      .map((body) => partitionsIn(body).map(({ baseSequence }) => baseSequence));
    expect(sequences).toEqual([
      [0, 0],
      [2, 0],
    ]);
  });

  test('of an abort leaves the fate unknown when its EndTxn is lost', async () => {
    const { cluster, producer } = await ready();
    cluster.script('TxnOffsetCommit', 22);
    await failure(producer.commit(step([])));
    cluster.script('EndTxn', lost());
    expect((await failure(producer.abort())).decision).toBe('indefinite');
    expect(producer.state).toBe('unknown');
  });

  test('of init names the broker setting', async () => {
    const cluster = new ScriptedCluster();
    cluster.script('InitProducerId', KafkaErrorCode.INVALID_TRANSACTION_TIMEOUT);
    const error = await failure(sessionOf(cluster).init());
    expect(error.decision).toBe('stop');
    expect(error.message).toContain('transaction.max.timeout.ms');
  });
});

describe('an epoch', () => {
  test('keeps its sequences when leaders and coordinators are looked up anew', async () => {
    const { cluster, producer } = await ready();
    await producer.commit(step([output('invoices', 0, ['a', 'b'])], 1));
    cluster.script('Produce', KafkaErrorCode.NOT_LEADER_OR_FOLLOWER, unsent());
    cluster.script('EndTxn', KafkaErrorCode.NOT_COORDINATOR);
    await producer.commit(step([output('invoices', 0, ['c'])], 2));
    await producer.commit(step([output('invoices', 0, ['d'])], 3));
    const sequences = cluster.bodies('Produce').map((body) => partitionsIn(body)[0]!.baseSequence);
    // Counted from 0 again, the leader would take new records for repeated ones and drop them.
    expect(sequences).toEqual([0, 2, 2, 2, 3]);
  });

  test('is asked for with the transaction timeout, after which a dead owner holds nobody back', async () => {
    const cluster = new ScriptedCluster();
    await sessionOf(cluster, { timeoutMs: 12_345 }).init();
    expect(cluster.bodies('InitProducerId')).toMatchObject([{ transactionTimeoutMs: 12_345 }]);
  });

  test('begins with every sequence at 0 and the new producer id', async () => {
    const { cluster, producer } = await ready();
    await producer.commit(step([output('invoices', 0, ['a', 'b'])]));
    cluster.nextProducerId = 8;
    await producer.init();
    await producer.commit(step([output('invoices', 0, ['c'])]));
    const [first, second] = cluster.bodies('Produce').map((body) => partitionsIn(body)[0]!);
    expect([first!.producerId, first!.baseSequence]).toEqual([7, 0]);
    expect([second!.producerId, second!.baseSequence]).toEqual([8, 0]);
  });
});
