import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { deleteRecords } from '../../../src/kafka/admin/topics.ts';
import { fetchOffsets } from '../../../src/kafka/group/offsets.ts';
import { Exchange } from '../../../src/kafka/producer/exchange.ts';
import { PartitionWrites } from '../../../src/kafka/producer/partition-writes.ts';
import { Sequences } from '../../../src/kafka/producer/sequences.ts';
import type { Membership } from '../../../src/kafka/producer/step.ts';
import { addPartitionsToTxn } from '../../../src/kafka/protocol/add-partitions-to-txn.ts';
import { decodeResponse } from '../../../src/kafka/protocol/codec.ts';
import { endTxn } from '../../../src/kafka/protocol/end-txn.ts';
import { initProducerId } from '../../../src/kafka/protocol/init-producer-id.ts';
import { produce } from '../../../src/kafka/protocol/produce.ts';
import { planOf } from '../../../src/kafka/transport/faulty.ts';
import { TransportError } from '../../../src/kafka/transport/transport.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { Client } from '../../broker/client.ts';
import { STEP } from '../../exactness/step-apis.ts';
import { OverBroker } from './over-broker.ts';
import { failure, output, session, step } from './steps.ts';

/** No member: the broker checks nothing but the epoch. */
const NOBODY: Membership = { generation: -1, memberId: '', instanceId: null };
const nobody = () => Promise.resolve(NOBODY);
const GROUP_PARTITION = [{ topic: 'usage', partition: 0 }];

let over: OverBroker;

function begin(transactionVersion: 1 | 2, nodes: number): void {
  over = new OverBroker({ transactionVersion, nodes });
  over.client.createTopic('usage');
  over.client.createTopic('invoices', 3);
}

afterEach(() => over.close());

/** A client of the node that leads the partition. */
function leaderOf(topic: string, partition: number): Client {
  const { leader } = over.broker.topics.partition(topic, partition)!;
  return new Client(over.broker, 'reader', leader);
}

/** What a committed reader sees, once no transaction is open there. */
async function committed(topic: string, partition: number): Promise<string[]> {
  await settled();
  const client = leaderOf(topic, partition);
  const { batches } = client.fetch(topic, partition, 0);
  const aborted = client.log(topic, partition);
  const values: string[] = [];
  for (const [i, batch] of batches.entries()) {
    if (batch.kind !== 'data') continue;
    const marker = batches.slice(i).find((later) => later.kind !== 'data');
    if (marker?.kind === 'commit') values.push(...batch.values);
  }
  expect(aborted.length).toBe(batches.length);
  return values;
}

/** Until every transaction has its markers. */
async function settled(): Promise<void> {
  const isOpen = () =>
    over.broker
      .listTransactions()
      .some(({ state }) => state === 'Ongoing' || state.startsWith('Prepare'));
  await over.time.until(() => !isOpen());
}

async function offset(): Promise<{ offset: number; metadata: string }> {
  const { cluster } = over.process();
  const [found] = await fetchOffsets(cluster, 'billing', GROUP_PARTITION);
  return { offset: found!.offset, metadata: found!.metadata };
}

describe.each([
  { version: 1, nodes: 1 },
  { version: 2, nodes: 1 },
  { version: 2, nodes: 3 },
] as const)(
  'over the embedded broker: transactions v$version, $nodes nodes',
  ({ version, nodes }) => {
    beforeEach(() => begin(version, nodes));
    const sessionOf: typeof session = (cluster, options) =>
      session(cluster, {
        ports: over.ports,
        ...(nodes > 1 && { stepOrder: 'announced' }),
        ...options,
      });

    test('a committed step is visible with its offset, many times over', async () => {
      const producer = sessionOf(over.process().cluster);
      await producer.init();
      for (let i = 1; i <= 20; i++) {
        await producer.commit(
          step(
            [output('invoices', 0, [`a${i}`], [`b${i}`]), output('invoices', 2, [`c${i}`])],
            i,
            nobody,
          ),
        );
      }
      const numbers = Array.from({ length: 20 }, (_, i) => i + 1);
      expect(await committed('invoices', 0)).toEqual(numbers.flatMap((i) => [`a${i}`, `b${i}`]));
      expect(await committed('invoices', 2)).toEqual(numbers.map((i) => `c${i}`));
      expect(await offset()).toEqual({ offset: 20, metadata: 'step-20' });
    });

    test('an aborted step leaves nothing, and the next one follows without init', async () => {
      const producer = sessionOf(over.process().cluster);
      await producer.init();
      await producer.commit(step([output('invoices', 0, ['first'])], 1, nobody));
      const gone = { generation: 5, memberId: 'nobody', instanceId: null };
      const error = await failure(
        producer.commit(step([output('invoices', 0, ['no'])], 2, () => Promise.resolve(gone))),
      );
      expect(error.decision).toBe('lost');
      await producer.abort();
      await producer.commit(step([output('invoices', 0, ['second'])], 2, nobody));
      expect(await committed('invoices', 0)).toEqual(['first', 'second']);
      // On v2 a marker carries the epoch of the transaction after it.
      const markers = version === 1 ? [0, 0, 0] : [1, 2, 3];
      expect(over.client.log('invoices', 0)).toEqual([
        'first',
        `commit@${markers[0]}`,
        'no',
        `abort@${markers[1]}`,
        'second',
        `commit@${markers[2]}`,
      ]);
    });

    test('a second session of the id fences the first and has its transaction aborted', async () => {
      let opened = () => {};
      const open = new Promise<void>((resolve) => {
        opened = resolve;
      });
      let go = () => {};
      const held = new Promise<void>((resolve) => {
        go = resolve;
      });
      let asked = 0;
      const waits = async () => {
        asked += 1;
        if (asked > 1) {
          opened();
          await held;
        }
        return NOBODY;
      };
      const old = sessionOf(over.process().cluster);
      await old.init();
      const committing = failure(old.commit(step([output('invoices', 0, ['old'])], 9, waits)));
      await open;
      const young = sessionOf(over.process().cluster);
      await young.init();
      await young.commit(step([output('invoices', 0, ['young'])], 1, nobody));
      go();
      const error = await committing;
      expect([error.decision, error.code]).toEqual(['fenced', 'TASK_FENCED']);
      expect(old.state).toBe('fenced');
      expect(await committed('invoices', 0)).toEqual(['young']);
      expect((await offset()).offset).toBe(1);
      await young.commit(step([output('invoices', 0, ['more'])], 2, nobody));
    });

    test('a transaction that timed out is fenced, not committed', async () => {
      const late = { outcome: 'delay', at: 'before-send', delayMs: 900 } as const;
      const plan = planOf([{ apiKey: endTxn.key, ordinal: 1, ...late }]);
      const producer = sessionOf(over.process(plan).cluster, { timeoutMs: 500 });
      await producer.init();
      const error = await failure(producer.commit(step([output('invoices', 0, ['x'])], 1, nobody)));
      expect(error.decision).toBe('fenced');
      expect(await committed('invoices', 0)).toEqual([]);
      await producer.init();
      await producer.commit(step([output('invoices', 0, ['x'])], 1, nobody));
      expect(await committed('invoices', 0)).toEqual(['x']);
    });

    // On several nodes a step is announced.
    const apis = [initProducerId, ...STEP[version], ...(nodes > 1 ? [addPartitionsToTxn] : [])];

    test.each(apis.slice(1))(
      'a lost reply of $name is indefinite, and the step id tells',
      async (api) => {
        const plan = planOf([
          { apiKey: api.key, ordinal: 2, outcome: 'lose-reply', at: 'after-reply' },
        ]);
        const { cluster, transport } = over.process(plan);
        const producer = sessionOf(cluster);
        await producer.init();
        await producer.commit(step([output('invoices', 0, ['one'])], 1, nobody));
        const error = await failure(
          producer.commit(step([output('invoices', 0, ['two'])], 2, nobody)),
        );
        expect(error.decision).toBe('indefinite');
        expect(transport.struck).toHaveLength(1);
        const sent = apis.map(({ key }) => transport.count(key));
        await over.ports.timers.sleep(10);
        expect(apis.map(({ key }) => transport.count(key))).toEqual(sent);

        await producer.init();
        const { metadata } = await offset();
        expect(metadata).toBe(api === endTxn ? 'step-2' : 'step-1');
        if (metadata === 'step-1') {
          await producer.commit(step([output('invoices', 0, ['two'])], 2, nobody));
        }
        expect(await committed('invoices', 0)).toEqual(['one', 'two']);
        expect((await offset()).offset).toBe(2);
      },
    );

    test.each(apis.slice(1))(
      'a lost request of $name is indefinite and not committed',
      async (api) => {
        const plan = planOf([
          { apiKey: api.key, ordinal: 1, outcome: 'lose-request', at: 'before-send' },
        ]);
        const producer = sessionOf(over.process(plan).cluster);
        await producer.init();
        const error = await failure(
          producer.commit(step([output('invoices', 0, ['a'])], 1, nobody)),
        );
        expect(error.decision).toBe('indefinite');
        await producer.init();
        expect((await offset()).offset).toBe(-1);
        await producer.commit(step([output('invoices', 0, ['a'])], 1, nobody));
        expect(await committed('invoices', 0)).toEqual(['a']);
      },
    );

    test('a late EndTxn of a given up epoch does not end the next transaction', async () => {
      let arrive: (() => Promise<Buffer>) | null = null;
      let lateVersion = 0;
      const { cluster } = over.process(undefined, (inner) => ({
        ...inner,
        request(node, request) {
          if (request.apiKey !== endTxn.key || arrive !== null) return inner.request(node, request);
          lateVersion = request.apiVersion;
          arrive = () => inner.request(node, request);
          return Promise.reject(new TransportError('unknown', 'on its way'));
        },
      }));
      const producer = sessionOf(cluster);
      await producer.init();
      await failure(producer.commit(step([output('invoices', 0, ['a'])], 1, nobody)));
      await producer.init();
      let answer: Buffer | undefined;
      let asked = 0;
      const whileOpen = async () => {
        asked += 1;
        if (asked > 1) answer ??= await arrive!();
        return { generation: 9, memberId: 'gone', instanceId: null };
      };
      await failure(producer.commit(step([output('invoices', 0, ['b'])], 2, whileOpen)));
      expect(decodeResponse(endTxn, lateVersion, answer!).errorCode).not.toBe(0);
      await producer.abort();
      expect(await committed('invoices', 0)).toEqual([]);
      expect((await offset()).offset).toBe(-1);
    });

    test('a late Produce of a given up epoch leaves no transaction open', async () => {
      let arrive: (() => Promise<Buffer>) | null = null;
      const { cluster } = over.process(undefined, (inner) => ({
        ...inner,
        request(node, request) {
          if (request.apiKey !== produce.key || arrive !== null)
            return inner.request(node, request);
          arrive = () => inner.request(node, request);
          return Promise.reject(new TransportError('unknown', 'on its way'));
        },
      }));
      const producer = sessionOf(cluster);
      await producer.init();
      await failure(producer.commit(step([output('invoices', 0, ['late'])], 1, nobody)));
      await producer.init();
      await producer.commit(step([output('invoices', 0, ['a'])], 1, nobody));
      await settled();
      // Appended now, it would hold back every committed reader for good.
      await arrive!();
      await producer.commit(step([output('invoices', 0, ['b'])], 2, nobody));
      expect(await committed('invoices', 0)).toEqual(['a', 'b']);
      const { highWatermark, lastStableOffset } = leaderOf('invoices', 0).fetch('invoices', 0, 0);
      expect(lastStableOffset).toBe(highWatermark);
    });

    test('a partition whose records were all deleted takes the next step', async () => {
      const { cluster } = over.process();
      const producer = sessionOf(cluster);
      await producer.init();
      await producer.commit(step([output('invoices', 0, ['a', 'b'])], 1, nobody));
      await settled();
      const { highWatermark: offset } = leaderOf('invoices', 0).fetch('invoices', 0, 0);
      await deleteRecords(cluster, [{ topic: 'invoices', partition: 0, offset }]);
      await producer.commit(step([output('invoices', 0, ['c'])], 2, nobody));
      await settled();
      const { batches } = leaderOf('invoices', 0).fetch('invoices', 0, offset);
      expect(batches.map(({ kind, values }) => [kind, ...values])).toEqual([
        ['data', 'c'],
        ['commit'],
      ]);
    });

    test('a sequence goes on at 0 after the last int32', async () => {
      const { cluster } = over.process();
      const node = over.broker.coordinatorOf('transaction', 'wrap');
      const coordinator = new Client(over.broker, 'wrap', node);
      const identity = coordinator.init('wrap');
      expect(coordinator.addPartitions('wrap', identity, 'invoices', [0])).toEqual([0]);
      const sequences = new Sequences();
      const writes = new PartitionWrites({
        lane: 'transaction',
        cluster,
        transactionalId: 'wrap',
        timeoutMs: 1_000,
        sequences,
      });
      writes.restart(identity, { versionMax: 11 });
      const place = sequences.of('invoices', 0);
      place.next = 2_147_483_646;
      const exchange = new Exchange({
        ports: over.ports,
        log: silentLog,
        boundMs: 500,
        quick: new Set(),
        quickPauseMs: [5, 20],
      });
      await writes.write(exchange, [output('invoices', 0, ['a', 'b', 'c'], ['d'], ['e', 'f'])]);
      expect(place.next).toBe(4);
      await writes.write(exchange, [output('invoices', 0, ['g'])]);
      expect(coordinator.end('wrap', identity, 'commit')).toBe(0);
      expect(await committed('invoices', 0)).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g']);
    });

    test('steps of several tasks side by side are all committed', async () => {
      const { cluster } = over.process();
      const tasks = [0, 1, 2].map((task) => sessionOf(cluster, { id: `billing-usage-${task}` }));
      await Promise.all(tasks.map((task) => task.init()));
      await Promise.all(
        tasks.map(async (task, t) => {
          for (let i = 1; i <= 10; i++) {
            await task.commit(step([output('invoices', 1, [`${t}.${i}`])], i, nobody));
          }
        }),
      );
      const values = await committedOfMany('invoices', 1);
      expect(values.sort()).toEqual(
        [0, 1, 2].flatMap((t) => Array.from({ length: 10 }, (_, i) => `${t}.${i + 1}`)).sort(),
      );
    });
  },
);

/** As `committed`, with transactions of several producers in one log. */
async function committedOfMany(topic: string, partition: number): Promise<string[]> {
  await settled();
  const { batches } = leaderOf(topic, partition).fetch(topic, partition, 0);
  return batches.flatMap((batch, i) => {
    if (batch.kind !== 'data') return [];
    const marker = batches
      .slice(i)
      .find((later) => later.kind !== 'data' && later.producerId === batch.producerId);
    return marker?.kind === 'commit' ? batch.values : [];
  });
}
