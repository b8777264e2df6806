import { describe, expect, test } from 'vitest';
import type { StepOutput } from '../../../src/kafka/producer/step.ts';
import { StepOrders } from '../../../src/kafka/producer/step-order.ts';
import { brokerError, KafkaErrorCode } from '../../../src/kafka/protocol/error-codes.ts';
import { TransportError } from '../../../src/kafka/transport/transport.ts';
import { type Log, silentLog } from '../../../src/telemetry/log.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { RunningTime } from '../running-time.ts';
import { ScriptedCluster } from './scripted-cluster.ts';
import { failure, MEMBER, output, partitionsIn, session, step } from './steps.ts';

const STEP_APIS = ['Produce', 'TxnOffsetCommit', 'EndTxn'];
const CONCURRENT = KafkaErrorCode.CONCURRENT_TRANSACTIONS;

const time = new RunningTime();
const sessionOf: typeof session = (cluster, options) =>
  session(cluster, { ports: time.ports, ...options });

async function ready(options: Parameters<typeof session>[1] = {}) {
  const cluster = new ScriptedCluster();
  cluster.transactionLevel = 2;
  const producer = sessionOf(cluster, options);
  await producer.init();
  cluster.sent.length = 0;
  return { cluster, producer };
}

const lost = () => new TransportError('unknown', 'the reply was lost');
const epochs = (cluster: ScriptedCluster, api: string) =>
  cluster.bodies(api).map(({ producerId, producerEpoch }) => [producerId, producerEpoch]);

describe('a step on transactions v2', () => {
  test('is Produce, TxnOffsetCommit and EndTxn in their new versions, and nothing else', async () => {
    const { cluster, producer } = await ready();
    // Until the nodes are known it is another order.
    await producer.commit(step([output('invoices', 0, ['a']), output('invoices', 1, ['b'])], 41));
    cluster.sent.length = 0;
    await producer.commit(step([output('invoices', 0, ['a']), output('invoices', 1, ['b'])], 42));
    expect(cluster.sent.map(({ api, version }) => `${api} ${version}`)).toEqual([
      'Produce 12',
      'TxnOffsetCommit 5',
      'EndTxn 5',
    ]);
    expect(cluster.bodies('TxnOffsetCommit')[0]).toMatchObject({
      generationId: MEMBER.generation,
      memberId: MEMBER.memberId,
      groupInstanceId: MEMBER.instanceId,
    });
    expect(cluster.bodies('Produce')[0]).toMatchObject({ transactionalId: 'billing-usage-0' });
  });

  test('begins each transaction in the epoch of the EndTxn before, with sequences from 0', async () => {
    const { cluster, producer } = await ready();
    for (let i = 0; i < 3; i++) {
      await producer.commit(step([output('invoices', 0, ['a', 'b'], ['c'])], i));
    }
    const written = cluster.bodies('Produce').map((body) => partitionsIn(body)[0]!);
    expect(written.map(({ epoch, baseSequence }) => [epoch, baseSequence])).toEqual([
      [0, 0],
      [0, 2],
      [1, 0],
      [1, 2],
      [2, 0],
      [2, 2],
    ]);
    expect(epochs(cluster, 'EndTxn')).toEqual([
      [7, 0],
      [7, 1],
      [7, 2],
    ]);
    expect(epochs(cluster, 'TxnOffsetCommit')).toEqual(epochs(cluster, 'EndTxn'));
  });

  test('takes a new producer id from EndTxn when the epochs are used up', async () => {
    const metrics = new Metrics();
    const cluster = new ScriptedCluster();
    cluster.transactionLevel = 2;
    cluster.nextEpoch = 32_765;
    const producer = sessionOf(cluster, { metrics });
    await producer.init();
    for (let i = 0; i < 3; i++) await producer.commit(step([output('invoices', 0, ['a'])], i));
    const written = cluster.bodies('Produce').map((body) => partitionsIn(body)[0]!);
    expect(
      written.map(({ producerId, epoch, baseSequence }) => [producerId, epoch, baseSequence]),
    ).toEqual([
      [7, 32_765, 0],
      [7, 32_766, 0],
      [8, 0, 0],
    ]);
    expect(epochs(cluster, 'TxnOffsetCommit').at(-1)).toEqual([8, 0]);
    expect(metrics.snapshot()['producer.rotated']).toBe(1);
  });

  test('without outputs and offsets sends nothing, and its abort sends nothing either', async () => {
    const { cluster, producer } = await ready();
    const empty = step([]);
    await producer.commit({ outputs: [], offsets: { ...empty.offsets, partitions: [] } });
    const refused = () => Promise.reject(brokerError(KafkaErrorCode.UNKNOWN_MEMBER_ID, 'member'));
    await failure(producer.commit(step([], 1, refused)));
    await producer.abort();
    expect(cluster.sent).toEqual([]);
    expect(producer.state).toBe('ready');
  });

  test('without offsets needs no TxnOffsetCommit, without outputs no Produce', async () => {
    const { cluster, producer } = await ready();
    const full = step([output('invoices', 0, ['a'])]);
    await producer.commit({ ...full, offsets: { ...full.offsets, partitions: [] } });
    await producer.commit(step([]));
    expect(cluster.names()).toEqual(['Produce', 'EndTxn', 'TxnOffsetCommit', 'EndTxn']);
  });
});

describe('the order of a step on transactions v2', () => {
  /** What is sent while the first requests are not answered. */
  async function atOnce(
    { cluster, producer }: Awaited<ReturnType<typeof ready>>,
    outputs: readonly StepOutput[],
  ): Promise<string[]> {
    cluster.sent.length = 0;
    let answer = () => {};
    const held = new Promise<void>((resolve) => {
      answer = resolve;
    });
    for (const api of ['Produce', 'TxnOffsetCommit', 'AddPartitionsToTxn']) {
      cluster.script(api, held);
    }
    const committing = producer.commit(step(outputs));
    await time.ports.timers.sleep(5);
    const sent = cluster.names();
    answer();
    await committing;
    cluster.unscript();
    return sent;
  }

  const one = () => [output('invoices', 0, ['a'])];

  test('is both at once where the only leader coordinates the group, too', async () => {
    const scene = await ready();
    // Until the nodes are known it is announced.
    expect(await atOnce(scene, one())).toEqual(['AddPartitionsToTxn']);
    expect(await atOnce(scene, one())).toEqual(['Produce', 'TxnOffsetCommit']);
  });

  test('is announced where the only leader is another node', async () => {
    const scene = await ready();
    scene.cluster.leaders.set('invoices-0', 1);
    for (let i = 0; i < 3; i++) {
      expect(await atOnce(scene, one())).toEqual(['AddPartitionsToTxn']);
      expect(scene.cluster.names()).toEqual(['AddPartitionsToTxn', ...STEP_APIS]);
    }
  });

  test('begins with AddPartitionsToTxn where several leaders would add one after the other', async () => {
    const scene = await ready();
    scene.cluster.leaders.set('invoices-1', 1);
    const outputs = () => [output('invoices', 0, ['a']), output('invoices', 1, ['b'])];
    await scene.producer.commit(step(outputs()));
    expect(await atOnce(scene, outputs())).toEqual(['AddPartitionsToTxn']);
    // What is added already is not added by Produce: version 11 does not ask the coordinator to.
    expect(scene.cluster.sent.map(({ api, version }) => `${api} ${version}`)).toEqual([
      'AddPartitionsToTxn 3',
      'Produce 11',
      'Produce 11',
      'TxnOffsetCommit 5',
      'EndTxn 5',
    ]);
    expect(scene.cluster.bodies('AddPartitionsToTxn')[0]).toMatchObject({
      v3AndBelowProducerEpoch: 1,
    });
  });

  test('is announced for a while after a request was put off or held', () => {
    const orders = new StepOrders(null);
    const places = { leaders: new Set([0]), groupNode: 0 };
    expect(orders.next(places)).toBe('beside');
    // A Produce that was held by its leader.
    orders.went('beside', 25, 0);
    for (let i = 0; i < 31; i++) {
      expect(orders.next(places)).toBe('announced');
      orders.went('announced', 3, 0);
    }
    orders.went('announced', 3, 1);
    expect(orders.next(places)).toBe('announced');
    for (let i = 0; i < 32; i++) orders.went('announced', 30, 0);
    expect(orders.next(places)).toBe('beside');
  });
});

describe('which version runs', () => {
  const logged: Readonly<Record<string, unknown>>[] = [];
  const log: Log = {
    ...silentLog,
    info: (fields, event) => {
      if (event === 'transaction version') logged.push(fields);
    },
  };

  test('is decided by init alone, told once in the log, and shown in the metrics', async () => {
    logged.length = 0;
    const metrics = new Metrics();
    const cluster = new ScriptedCluster();
    const producer = sessionOf(cluster, { log, metrics });
    await producer.init();
    expect(metrics.snapshot()['transaction.version']).toBe(1);
    // The brokers are upgraded in the middle of a transaction.
    const upgrading = async () => {
      cluster.transactionLevel = 2;
      return MEMBER;
    };
    await producer.commit(step([output('invoices', 0, ['a'])], 1, upgrading));
    await producer.commit(step([output('invoices', 0, ['b'])], 2));
    expect(cluster.names().filter((api) => api === 'AddPartitionsToTxn')).toHaveLength(2);
    expect(
      new Set(cluster.sent.filter(({ api }) => api === 'Produce').map((s) => s.version)),
    ).toEqual(new Set([11]));
    await producer.init();
    await producer.init();
    cluster.sent.length = 0;
    await producer.commit(step([output('invoices', 0, ['c'])], 3));
    expect(cluster.names()).toEqual(STEP_APIS);
    expect(logged.map(({ transactionVersion }) => transactionVersion)).toEqual([1, 2]);
    expect(metrics.snapshot()['transaction.version']).toBe(2);
  });

  test.each([0, 1])('is 1 where the cluster has finalized %i', async (level) => {
    const cluster = new ScriptedCluster();
    cluster.transactionLevel = level;
    const producer = sessionOf(cluster);
    await producer.init();
    await producer.commit(step([output('invoices', 0, ['a'])]));
    const versions = Object.fromEntries(cluster.sent.map(({ api, version }) => [api, version]));
    expect(versions).toMatchObject({ Produce: 11, TxnOffsetCommit: 4, EndTxn: 4 });
    expect(producer.transactionVersion).toBe(1);
  });

  test('is 1 where the session may speak no other', async () => {
    const cluster = new ScriptedCluster();
    cluster.transactionLevel = 2;
    const producer = sessionOf(cluster, { transactionVersionMax: 1 });
    await producer.init();
    await producer.commit(step([output('invoices', 0, ['a'])]));
    expect(producer.transactionVersion).toBe(1);
    expect(cluster.names()).toContain('AddPartitionsToTxn');
  });

  test('is not guessed when the node does not tell: init fails and may be repeated', async () => {
    const cluster = new ScriptedCluster();
    cluster.transactionLevel = 2;
    const tells = cluster.finalizedFeature.bind(cluster);
    cluster.finalizedFeature = () => Promise.reject(lost());
    const producer = sessionOf(cluster, { timeoutMs: 60 });
    expect((await failure(producer.init())).decision).toBe('indefinite');
    expect(producer.state).toBe('unknown');
    cluster.finalizedFeature = tells;
    await producer.init();
    expect(producer.transactionVersion).toBe(2);
  });
});

describe('what is normal at the beginning of a transaction v2', () => {
  const normal: [string, keyof typeof KafkaErrorCode][] = [
    ['Produce', 'CONCURRENT_TRANSACTIONS'],
    ['Produce', 'NOT_ENOUGH_REPLICAS'],
    ['TxnOffsetCommit', 'CONCURRENT_TRANSACTIONS'],
    ['TxnOffsetCommit', 'COORDINATOR_LOAD_IN_PROGRESS'],
  ];

  test.each(normal)(
    '%s answered %s is sent again as it was, without a lookup',
    async (api, name) => {
      const metrics = new Metrics();
      const { cluster, producer } = await ready({ metrics });
      const lookups = cluster.lookups;
      cluster.script(api, KafkaErrorCode[name], KafkaErrorCode[name]);
      await producer.commit(step([output('invoices', 0, ['a'])]));
      const bodies = cluster.bodies(api).map((body) => JSON.stringify(body));
      expect(bodies).toHaveLength(3);
      expect(new Set(bodies).size).toBe(1);
      expect(cluster.forgotten).toEqual([]);
      // The group coordinator and the leader, once.
      expect(cluster.lookups).toBe(lookups + 2);
      expect(metrics.snapshot()['requests.repeated']).toEqual({ [api]: 2 });
    },
  );

  test('a refused first batch is not overtaken by the next one of its partition', async () => {
    const { cluster, producer } = await ready();
    cluster.script('Produce', CONCURRENT, CONCURRENT);
    await producer.commit(step([output('invoices', 0, ['a'], ['b'], ['c'])]));
    const sequences = cluster.bodies('Produce').map((body) => partitionsIn(body)[0]!.baseSequence);
    expect(sequences).toEqual([0, 0, 0, 1, 2]);
  });

  test('a refused partition is sent again alone, whatever else the request wrote', async () => {
    const { cluster, producer } = await ready();
    cluster.script('Produce', { topic: 'invoices', partition: 1, code: 19 });
    const outputs = [output('invoices', 0, ['a'], ['b']), output('invoices', 1, ['c'], ['d'])];
    await producer.commit(step(outputs));
    const places = cluster
      .bodies('Produce')
      .map((body) =>
        partitionsIn(body).map(({ place, baseSequence }) => `${place}@${baseSequence}`),
      );
    expect(places).toEqual([
      ['invoices-0@0', 'invoices-1@0'],
      ['invoices-0@1'],
      ['invoices-1@0'],
      ['invoices-1@1'],
    ]);
  });

  test('a refused leader does not wait for the other leaders', async () => {
    const { cluster, producer } = await ready();
    cluster.leaders.set('invoices-1', 1);
    let answer = () => {};
    const slow = new Promise<void>((resolve) => {
      answer = resolve;
    });
    cluster.script('Produce', slow, CONCURRENT);
    const committing = producer.commit(
      step([output('invoices', 0, ['a']), output('invoices', 1, ['b'])]),
    );
    const toLeader1 = () => cluster.sent.filter(({ api, node }) => api === 'Produce' && node === 1);
    await time.until(() => toLeader1().length === 2);
    answer();
    await committing;
  });
});

describe('EndTxn on v2', () => {
  test.each([
    ['CONCURRENT_TRANSACTIONS'],
    ['COORDINATOR_LOAD_IN_PROGRESS'],
    ['COORDINATOR_NOT_AVAILABLE'],
    ['NOT_COORDINATOR'],
  ] as const)('answered %s is repeated in the epoch it was sent in', async (name) => {
    const { cluster, producer } = await ready();
    await producer.commit(step([output('invoices', 0, ['a'])], 1));
    cluster.script('EndTxn', KafkaErrorCode[name]);
    await producer.commit(step([output('invoices', 0, ['b'])], 2));
    // The coordinator may have raised the epoch already, and knows the request by the one before.
    expect(cluster.bodies('EndTxn').slice(1)).toMatchObject([
      { producerEpoch: 1, committed: true },
      { producerEpoch: 1, committed: true },
    ]);
    await producer.commit(step([output('invoices', 0, ['c'])], 3));
    expect(epochs(cluster, 'EndTxn').at(-1)).toEqual([7, 2]);
  });

  test('of an abort gives the next epoch, too', async () => {
    const { cluster, producer } = await ready();
    cluster.script('TxnOffsetCommit', KafkaErrorCode.ILLEGAL_GENERATION);
    await failure(producer.commit(step([output('invoices', 0, ['a'])], 1)));
    await producer.abort();
    await producer.commit(step([output('invoices', 0, ['b'])], 1));
    expect(cluster.bodies('EndTxn')).toMatchObject([
      { producerEpoch: 0, committed: false },
      { producerEpoch: 1, committed: true },
    ]);
    const written = partitionsIn(cluster.bodies('Produce').at(-1)!)[0]!;
    expect([written.epoch, written.baseSequence]).toEqual([1, 0]);
  });

  test('ends what a refused Produce may have begun', async () => {
    const { cluster, producer } = await ready();
    cluster.script('Produce', KafkaErrorCode.MESSAGE_TOO_LARGE);
    cluster.script('TxnOffsetCommit', KafkaErrorCode.ILLEGAL_GENERATION);
    await failure(producer.commit(step([output('invoices', 0, ['a'])], 1)));
    await producer.abort();
    expect(cluster.bodies('EndTxn')).toMatchObject([{ committed: false }]);
  });

  test('without an identity in its answer is of unknown outcome', async () => {
    const { cluster, producer } = await ready();
    const send = cluster.send.bind(cluster);
    cluster.send = async (node, api, body, options) => {
      const answer = await send(node, api, body, options);
      if (api.name !== 'EndTxn') return answer;
      return { ...answer, producerId: -1, producerEpoch: -1 };
    };
    await failure(producer.commit(step([output('invoices', 0, ['a'])], 1)));
    expect(producer.state).toBe('unknown');
  });
});

describe('an indefinite answer on v2', () => {
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
    cluster.nextEpoch = 9;
    await producer.init();
    await producer.commit(step([output('invoices', 0, ['a'])]));
    expect(epochs(cluster, 'EndTxn').at(-1)).toEqual([7, 9]);
  });
});
