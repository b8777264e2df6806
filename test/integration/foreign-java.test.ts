/** The Java producer and consumer of Apache Kafka 4.3.1 against the embedded broker's TCP door. */
import { Kafka, logLevel } from 'kafkajs';
import { afterEach, expect, test } from 'vitest';
import type { Broker } from '../../src/broker/broker.ts';
import { systemPorts } from '../../src/ports.ts';
import { createTopics } from '../topics.ts';
import { type Embedded, startEmbedded } from './embedded.ts';
import { runProgram, startProgram } from './real/java-program.ts';
import { describeReal } from './real/parts.ts';

const RECORDS = 400;
const MANY_RECORDS = 1_000;
const MOVES_IN_A_ROW = 6;

let embedded: Embedded | undefined;
afterEach(() => embedded?.close());

/** How far the copy is: records written to the source, and those that it has committed to have read. */
function copied(broker: Broker): number {
  const { partitions } = broker.topics.find('source')!;
  const offsets = broker.groups.find('copy-loop')?.offsets;
  return partitions
    .map(
      ({ log }, partition) => log.logEndOffset + (offsets?.find('source', partition)?.offset ?? 0),
    )
    .reduce((sum, each) => sum + each, 0);
}

describeReal('the Java clients over the embedded broker', () => {
  test.each([
    { transactionVersion: 1, nodes: 1, compression: 'none' },
    { transactionVersion: 1, nodes: 3, compression: 'lz4' },
    { transactionVersion: 2, nodes: 1, compression: 'zstd' },
    { transactionVersion: 2, nodes: 3, compression: 'snappy' },
  ] as const)(
    'copy exactly once with transactions v$transactionVersion on $nodes nodes, $compression',
    async ({ compression, ...options }) => {
      embedded = await startEmbedded(options);
      const { bootstrap } = embedded;
      await createTopics(bootstrap.split(',')[0]!, [
        { topic: 'source', numPartitions: 2 },
        { topic: 'target', numPartitions: 3 },
      ]);
      const asked = [bootstrap, 'source', 'target', RECORDS, compression];
      const [found] = await runProgram('CopyLoop', asked);
      expect(found).toMatchObject({ committed: RECORDS, distinct: RECORDS, offsets: RECORDS });
      const { aborts, aborted, uncommitted } = found as Record<string, number>;
      expect(aborts).toBeGreaterThan(0);
      expect(uncommitted).toBe(RECORDS + aborted!);
    },
  );

  test('copy exactly once while leaders and coordinators move and nodes go down', async () => {
    embedded = await startEmbedded({ nodes: 3, coordinatorLoadMs: 20 });
    const { broker, bootstrap } = embedded;
    const topics = ['source', 'target'].map((topic) => ({
      topic,
      numPartitions: 2,
      replicationFactor: 3,
    }));
    await createTopics(bootstrap.split(',')[0]!, topics);
    const asked = [bootstrap, 'source', 'target', MANY_RECORDS, 'lz4'];
    const program = await startProgram('CopyLoop', asked);
    const over = new AbortController();
    const ended = program.end().finally(() => over.abort());
    let moves = 0;
    let before = 0;
    for (; !over.signal.aborted; moves++) {
      broker.moveLeader('source', moves % 2);
      broker.moveLeader('target', moves % 2);
      if (moves % 3 === 0) broker.moveCoordinator('group', 'copy-loop');
      if (moves % 3 === 1) broker.moveCoordinator('transaction', 'copy-loop-0');
      if (moves % 5 === 2) broker.stopNode(moves % 3);
      await systemPorts.timers.sleep(50);
      for (const node of [0, 1, 2]) broker.startNode(node);
      await systemPorts.timers.sleep(50);
      if (moves % MOVES_IN_A_ROW < MOVES_IN_A_ROW - 1) continue;
      // A client that needs longer than that for a transaction would never get through.
      while (!over.signal.aborted && copied(broker) === before) await systemPorts.timers.sleep(10);
      before = copied(broker);
    }
    await ended;
    const found = JSON.parse(program.lines.at(-1)!) as Record<string, number>;
    const all = { committed: MANY_RECORDS, distinct: MANY_RECORDS, offsets: MANY_RECORDS };
    expect(found).toMatchObject(all);
    expect(moves).toBeGreaterThan(10);
  });

  const CONSUMER = 'org.apache.kafka.clients.consumer';

  test.each([
    ['RangeAssignor', 'dynamic'],
    ['CooperativeStickyAssignor', 'dynamic'],
    ['CooperativeStickyAssignor', 'static'],
  ])('share a topic by %s as %s members that come and go', async (assignor, kind) => {
    embedded = await startEmbedded({ nodes: 2 });
    const { broker, bootstrap } = embedded;
    const [brokers] = bootstrap.split(',');
    await createTopics(brokers!, [{ topic: 'shared', numPartitions: 6 }]);
    const client = new Kafka({ brokers: [brokers!], logLevel: logLevel.NOTHING }).producer();
    await client.connect();
    const messages = Array.from({ length: 600 }, (_, n) => ({ value: `${n}`, partition: n % 6 }));
    await client.send({ topic: 'shared', messages });
    await client.disconnect();
    const asked = [bootstrap, 'shared', 'sharers', `${CONSUMER}.${assignor}`, kind];
    const said = await runProgram('Members', asked);
    expect(said.at(-1)).toEqual({ values: 600, shared: 0 });
    // KIP-345: whoever comes back in time finds its place, and only it hears of that.
    if (kind === 'static') expect(said.at(-2)).toEqual({ rebalancesByReturn: 1 });
    const members = broker.groups.find('sharers')!.group.members();
    expect(members.map(({ instanceId }) => instanceId)).toEqual(
      kind === 'static' ? ['first', 'second', 'third'] : [],
    );
  });
});
