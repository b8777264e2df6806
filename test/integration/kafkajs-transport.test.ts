/** The transport over kafkajs and the cluster above it, against a real broker of their own. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { EscapementError } from '../../src/errors.ts';
import {
  deleteGroup,
  deleteRecords,
  deleteTopics,
  ensureTopics,
  listOffsets,
} from '../../src/kafka/admin/topics.ts';
import { Cluster } from '../../src/kafka/cluster/cluster.ts';
import { endOffsets } from '../../src/kafka/fetch/end-offsets.ts';
import { fetchOne } from '../../src/kafka/fetch/fetch-request.ts';
import { heartbeat } from '../../src/kafka/protocol/heartbeat.ts';
import { initProducerId } from '../../src/kafka/protocol/init-producer-id.ts';
import { joinGroup } from '../../src/kafka/protocol/join-group.ts';
import { syncGroup } from '../../src/kafka/protocol/sync-group.ts';
import { kafkajsTransport } from '../../src/kafka/transport/kafkajs.ts';
import { TransportError } from '../../src/kafka/transport/transport.ts';
import { systemPorts } from '../../src/ports.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { freeze, thaw } from './real/freeze.ts';
import { type RealKafka, startKafka } from './real/kafka.ts';
import { describeReal } from './real/parts.ts';
import { writeRows } from './real/producer.ts';

/** Nothing is there for it: it ends when a record is written or the broker is gone. */
const LONG_POLL = {
  isolation: 'read_committed',
  maxWaitMs: 120_000,
  bytesPerPartitionMax: 1,
} as const;
/** Longer than this test freezes its broker; its controller holds the old registration as long. */
const BROKER_SESSION_MS = 10_000;

const failure = (work: Promise<unknown>): Promise<EscapementError> =>
  work.then(
    () => expect.fail('the request succeeded'),
    (error: unknown) => error as EscapementError,
  );

describeReal('the kafkajs transport on Kafka 4.3.1', () => {
  let kafka: RealKafka;
  let cluster: Cluster;

  beforeAll(async () => {
    const settings = { 'broker.session.timeout.ms': String(BROKER_SESSION_MS) };
    kafka = await startKafka({ version: '4.3.1', settings });
    cluster = clusterAt(kafka.bootstrap);
    await cluster.start();
    await ensureTopics(cluster, [{ name: 'lanes', partitions: 3, configs: {} }]);
  });
  afterAll(async () => {
    await cluster?.close();
    await kafka?.stop();
  });

  const clusterAt = (bootstrap: string, startTimeoutMs = 30_000): Cluster => {
    const transport = kafkajsTransport(
      { brokers: [bootstrap] },
      { ports: systemPorts, log: silentLog },
    );
    return new Cluster({
      transport,
      ports: systemPorts,
      log: silentLog,
      requestTimeoutMs: 20_000,
      startTimeoutMs,
    });
  };

  /** Resolves when the request has gone out; the poll itself is waited for apart. */
  const longPoll = async (partition: number): Promise<{ readonly ended: Promise<unknown> }> => {
    const node = await cluster.leaderOf('lanes', partition);
    const ask = { topic: 'lanes', partition, position: 0 };
    // A connection stands when this is answered: the next request waits for nothing.
    await fetchOne(cluster, node, ask, { ...LONG_POLL, maxWaitMs: 1 });
    const ended = fetchOne(cluster, node, ask, LONG_POLL);
    ended.catch(() => {});
    await systemPorts.timers.sleep(1);
    return { ended };
  };

  /**
   * A new coordinator answers with 14, 15 or 16 until it has loaded its partition of the log, and with
   * 51 while it carries out an earlier request for the same id.
   */
  const atCoordinator = async <T extends { errorCode: number }>(
    kind: 'group' | 'transaction',
    key: string,
    request: (node: number) => Promise<T>,
    on = cluster,
  ): Promise<T> => {
    for (;;) {
      const answer = await request(await on.coordinator(kind, key));
      if (![14, 15, 16, 51].includes(answer.errorCode)) return answer;
      on.forgetCoordinator(kind, key);
      await systemPorts.timers.sleep(50);
    }
  };

  const initialise = (id: string) =>
    atCoordinator('transaction', id, (node) =>
      cluster.send(
        node,
        initProducerId,
        { transactionalId: id, transactionTimeoutMs: 10_000 },
        { lane: 'transaction', versionMin: 3 },
      ),
    );

  const join = (group: string, instance: string, { on = cluster, memberId = '' } = {}) =>
    atCoordinator(
      'group',
      group,
      (node) =>
        on.send(
          node,
          joinGroup,
          {
            groupId: group,
            sessionTimeoutMs: 120_000,
            rebalanceTimeoutMs: 120_000,
            memberId,
            groupInstanceId: instance,
            protocolType: 'consumer',
            protocols: [{ name: 'escapement', metadata: Buffer.alloc(4) }],
          },
          { lane: 'group', versionMin: 5, timeoutMs: 120_000 },
        ),
      on,
    );

  it('speaks flexible versions and finds coordinators', async () => {
    const { producerId, producerEpoch, errorCode } = await initialise('flexible');
    expect({ errorCode, producerEpoch }).toEqual({ errorCode: 0, producerEpoch: 0 });
    expect(producerId).toBeGreaterThanOrEqual(0);
    expect((await initialise('flexible')).producerEpoch).toBe(1);
    expect(cluster.brokerCount).toBe(1);
  });

  it('answers other lanes at once while a long poll waits', async () => {
    let polled = 'no';
    const { ended } = await longPoll(2);
    const polling = ended.then(() => {
      polled = 'yes';
    });
    await initialise('beside-a-poll');
    await endOffsets(cluster, 'lanes', 1);
    expect(polled).toBe('no');
    await writeRows(kafka.bootstrap, 'lanes', [['k', 'v']], { partition: 2 });
    await polling;
  });

  it('commits beside a JoinGroup that the broker holds', async () => {
    const first = await join('held', 'a');
    expect(first.errorCode).toBe(0);
    const { generationId, memberId } = first;
    await cluster.send(
      await cluster.coordinator('group', 'held'),
      syncGroup,
      { groupId: 'held', generationId, memberId, groupInstanceId: 'a', assignments: [] },
      { lane: 'group', versionMin: 3 },
    );
    // The second member waits until the first joins again, over a connection of its own.
    const other = clusterAt(kafka.bootstrap);
    await other.start();
    const held = join('held', 'b');
    let answered = 'no';
    held.then(() => {
      answered = 'yes';
    });
    await systemPorts.timers.sleep(300);
    await initialise('beside-a-join');
    expect(answered).toBe('no');
    // On the lane of the group a heartbeat waits behind it, which is why lanes are sockets.
    const beat = cluster.send(
      await cluster.coordinator('group', 'held'),
      heartbeat,
      { groupId: 'held', generationId, memberId, groupInstanceId: 'a' },
      { lane: 'group', versionMin: 3, timeoutMs: 120_000 },
    );
    await Promise.all([join('held', 'a', { on: other, memberId }), held, beat]);
    expect((await held).errorCode).toBe(0);
    await other.close();
  });

  it('creates, checks, cuts and deletes', async () => {
    const spec = { name: 'made', partitions: 3, configs: { 'cleanup.policy': 'compact,delete' } };
    await ensureTopics(cluster, [spec]);
    await ensureTopics(cluster, [spec]);
    const wrong = { ...spec, partitions: 4, configs: { 'cleanup.policy': 'compact' } };
    const mismatch = await failure(ensureTopics(cluster, [wrong]));
    expect(mismatch.code).toBe('TOPIC_MISMATCH');
    expect(mismatch.message).toContain("'made' has 3 partitions, needed are 4");
    expect(mismatch.message).toMatch(/cleanup.policy '.*', needed is 'compact'/);
    expect(await listOffsets(cluster, 'made', 2, 'earliest')).toBe(0);
    await deleteRecords(cluster, [{ topic: 'lanes', partition: 0, offset: 0 }]);
    await deleteGroup(cluster, 'never-there');
    await deleteTopics(cluster, ['made', 'never-there']);
    const left = async () => (await cluster.topics(['made'])).size;
    await expect.poll(left, { timeout: 60_000 }).toBe(0);
  });

  it('gives every request on a connection the fate unknown when a deadline passes', async () => {
    const node = await cluster.leaderOf('lanes', 0);
    const ask = { topic: 'lanes', partition: 0, position: 0 };
    const terms = { ...LONG_POLL, maxWaitMs: 0 };
    await fetchOne(cluster, node, ask, terms);
    await initialise('frozen');
    await freeze(kafka.pid);
    try {
      const body = { transactionalId: 'frozen', transactionTimeoutMs: 10_000 };
      const coordinator = await cluster.coordinator('transaction', 'frozen');
      const patient = failure(initialise('frozen'));
      const hasty = failure(
        cluster.send(coordinator, initProducerId, body, { lane: 'transaction', timeoutMs: 500 }),
      );
      for (const error of await Promise.all([patient, hasty])) {
        expect(error).toBeInstanceOf(TransportError);
        expect((error as TransportError).fate).toBe('unknown');
        expect(error.message).toContain('was not answered within 500 ms');
      }
      // A new connection to a frozen broker is accepted by the system and answered by nobody.
      const late = await failure(
        cluster.send('any', initProducerId, body, { lane: 'transaction', timeoutMs: 500 }),
      );
      expect(late.decision).not.toBe('stop');
    } finally {
      thaw(kafka.pid);
    }
    expect((await initialise('frozen')).errorCode).toBe(0);
  });

  it('tells never sent from fate unknown when the broker dies, and finds it again', async () => {
    const { ended } = await longPoll(0);
    const killed = kafka.kill();
    const lost = await failure(ended);
    expect((lost as TransportError).fate).toBe('unknown');
    await killed;

    const fresh = clusterAt(kafka.bootstrap, 1_000);
    const refused = await failure(fresh.start());
    expect(refused.code).toBe('CONNECTION_FAILED');
    expect(refused.message).toContain(kafka.bootstrap);
    expect(refused.message).toContain('is the broker running');
    await fresh.close();
    const down = await failure(
      cluster.send(
        1,
        initProducerId,
        { transactionalId: null, transactionTimeoutMs: 1_000 },
        { lane: 'transaction' },
      ),
    );
    expect((down as TransportError).fate).toBe('never-sent');

    await kafka.restart();
    expect((await initialise('after-restart')).errorCode).toBe(0);
    expect((await cluster.topics(['lanes'])).get('lanes')?.partitions).toBe(3);
  });
});
