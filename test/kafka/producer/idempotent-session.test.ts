import { afterEach, describe, expect, test } from 'vitest';
import { fetchOffsets } from '../../../src/kafka/group/offsets.ts';
import type { SessionCluster } from '../../../src/kafka/producer/coordinator-asking.ts';
import { IdempotentSession } from '../../../src/kafka/producer/idempotent-session.ts';
import { KafkaErrorCode } from '../../../src/kafka/protocol/error-codes.ts';
import { offsetCommit } from '../../../src/kafka/protocol/offset-commit.ts';
import { produce } from '../../../src/kafka/protocol/produce.ts';
import { planOf } from '../../../src/kafka/transport/faulty.ts';
import { TransportError } from '../../../src/kafka/transport/transport.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { RunningTime } from '../running-time.ts';
import { OverBroker } from './over-broker.ts';
import { ScriptedCluster } from './scripted-cluster.ts';
import { failure, MEMBER, output, partitionsIn, step } from './steps.ts';

const nobody = () => Promise.resolve({ generation: -1, memberId: '', instanceId: null });
const lost = () => new TransportError('unknown', 'the reply was lost');

function idempotent(cluster: SessionCluster, { ports }: RunningTime | OverBroker) {
  return new IdempotentSession({ cluster, requestTimeoutMs: 2_000, ports, log: silentLog });
}

async function ready() {
  const cluster = new ScriptedCluster();
  const producer = idempotent(cluster, new RunningTime());
  await producer.init();
  cluster.sent.length = 0;
  return { cluster, producer };
}

describe('an idempotent step', () => {
  test('is Produce with acks all and sequences, and then OffsetCommit with the membership', async () => {
    const { cluster, producer } = await ready();
    for (let i = 1; i <= 2; i++) {
      await producer.commit(step([output('invoices', 0, ['a', 'b'])], i));
    }
    expect(cluster.names()).toEqual(['Produce', 'OffsetCommit', 'Produce', 'OffsetCommit']);
    expect(cluster.bodies('Produce')[0]).toMatchObject({ transactionalId: null, acks: -1 });
    const written = cluster.bodies('Produce').map((body) => partitionsIn(body)[0]!);
    expect(written.map((w) => [w.producerId, w.epoch, w.baseSequence])).toEqual([
      [7, 0, 0],
      [7, 0, 2],
    ]);
    // Not transactional: visible at once.
    expect(written.map(({ bytes }) => Buffer.from(bytes, 'hex').readInt16BE(21) & 0x10)).toEqual([
      0, 0,
    ]);
    expect(cluster.bodies('OffsetCommit')[1]).toMatchObject({
      generationIdOrMemberEpoch: MEMBER.generation,
      memberId: MEMBER.memberId,
      groupInstanceId: MEMBER.instanceId,
      topics: [{ name: 'usage', partitions: [{ committedOffset: 2 }] }],
    });
  });

  test('commits no offset past a record that was refused', async () => {
    const { cluster, producer } = await ready();
    cluster.script('Produce', { topic: 'invoices', partition: 1, code: 10 });
    const outputs = [0, 1].map((partition) => output('invoices', partition, ['a']));
    expect((await failure(producer.commit(step(outputs)))).decision).toBe('record');
    await producer.abort();
    expect(cluster.names()).toEqual(['Produce']);
    await producer.commit(step(outputs));
    const sequences = cluster
      .bodies('Produce')
      .map((body) => partitionsIn(body).map(({ baseSequence }) => baseSequence));
    expect(sequences).toEqual([
      [0, 0],
      [1, 0],
    ]);
  });

  test('repeats a refused batch with the same bytes', async () => {
    const { cluster, producer } = await ready();
    cluster.script('Produce', KafkaErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND);
    cluster.script('OffsetCommit', KafkaErrorCode.NOT_COORDINATOR);
    await producer.commit(step([output('invoices', 0, ['a'])]));
    const [first, second] = cluster.bodies('Produce').map((body) => JSON.stringify(body));
    expect(second).toBe(first);
    expect(cluster.names()).toEqual(['Produce', 'Produce', 'OffsetCommit', 'OffsetCommit']);
  });

  test.each(['Produce', 'OffsetCommit'])(
    'of which the answer of %s is lost leaves nothing but init, with a new producer id',
    async (api) => {
      const { cluster, producer } = await ready();
      cluster.script(api, lost());
      const error = await failure(producer.commit(step([output('invoices', 0, ['a'])])));
      expect(error.decision).toBe('indefinite');
      expect(producer.state).toBe('unknown');
      const sent = cluster.sent.length;
      expect(await failure(producer.abort())).toBe(error);
      expect(cluster.sent.length).toBe(sent);
      cluster.nextProducerId = 8;
      await producer.init();
      await producer.commit(step([output('invoices', 0, ['a'])]));
      const { producerId, baseSequence } = partitionsIn(cluster.bodies('Produce').at(-1)!)[0]!;
      expect([producerId, baseSequence]).toEqual([8, 0]);
    },
  );

  test('of a member that the group does not know any more is lost', async () => {
    const { cluster, producer } = await ready();
    cluster.script('OffsetCommit', KafkaErrorCode.UNKNOWN_MEMBER_ID);
    expect((await failure(producer.commit(step([])))).decision).toBe('lost');
  });

  test('of a process that cannot prove its membership commits no offsets', async () => {
    const { cluster, producer } = await ready();
    const { offsets, outputs } = step([output('invoices', 0, ['a'])]);
    const proof = () => failure(Promise.reject(lost())).then((error) => Promise.reject(error));
    await failure(producer.commit({ outputs, offsets: { ...offsets, proof } }));
    expect(cluster.names()).toEqual(['Produce']);
  });
});

describe('over the embedded broker', () => {
  let over: OverBroker;
  afterEach(() => over.close());

  test.each([
    { name: 'no answer', api: null, values: ['one', 'two'] },
    { name: 'an answer of Produce', api: produce, values: ['one', 'two', 'two'] },
    { name: 'an answer of OffsetCommit', api: offsetCommit, values: ['one', 'two'] },
  ])('what is written is there at least once when $name is lost', async ({ api, values }) => {
    over = new OverBroker();
    over.client.createTopic('usage');
    over.client.createTopic('invoices');
    const fault = { ordinal: 2, outcome: 'lose-reply', at: 'after-reply' } as const;
    const plan = planOf(api === null ? [] : [{ apiKey: api.key, ...fault }]);
    const { cluster } = over.process(plan);
    const offset = async () => {
      const place = [{ topic: 'usage', partition: 0 }];
      return (await fetchOffsets(cluster, 'billing', place))[0]!.offset;
    };
    const producer = idempotent(cluster, over);
    await producer.init();
    await producer.commit(step([output('invoices', 0, ['one'])], 1, nobody));
    const second = () => producer.commit(step([output('invoices', 0, ['two'])], 2, nobody));
    if (api === null) await second();
    else {
      expect((await failure(second())).decision).toBe('indefinite');
      await producer.init();
      // The offsets tell what is to be done again.
      expect(await offset()).toBe(api === produce ? 1 : 2);
      if ((await offset()) === 1) await second();
    }
    expect(await offset()).toBe(2);
    expect(over.client.log('invoices', 0)).toEqual(values);
  });
});
