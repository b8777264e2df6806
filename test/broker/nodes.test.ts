import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker/broker.ts';
import { brokerTransport } from '../../src/broker/in-process.ts';
import type { BrokerOptions } from '../../src/broker/options.ts';
import { listen } from '../../src/broker/tcp.ts';
import { apiVersions } from '../../src/kafka/protocol/api-versions.ts';
import { encodeRequest } from '../../src/kafka/protocol/codec.ts';
import { createTopics } from '../../src/kafka/protocol/create-topics.ts';
import { KafkaErrorCode as Code } from '../../src/kafka/protocol/error-codes.ts';
import { fetch } from '../../src/kafka/protocol/fetch.ts';
import { findCoordinator } from '../../src/kafka/protocol/find-coordinator.ts';
import { metadata } from '../../src/kafka/protocol/metadata.ts';
import { produce } from '../../src/kafka/protocol/produce.ts';
import { systemPorts } from '../../src/ports.ts';
import { batch } from './batch.ts';
import { Client, type Producer, stage } from './client.ts';

const ID = 'app-in-0';
const RECORD = { values: ['a'], sequence: 0 };

/** Three nodes, a client of each, and a topic `t` of three partitions with three replicas. */
function cluster(options: Partial<BrokerOptions> = {}, configs: Record<string, string> = {}) {
  const staged = stage({ nodes: 3, ...options });
  const clients = [0, 1, 2].map((node) => new Client(staged.broker, 'test', node));
  clients[0]!.ask(createTopics, 5, {
    topics: [
      {
        name: 't',
        numPartitions: 3,
        replicationFactor: 3,
        assignments: [],
        configs: Object.entries(configs).map(([name, value]) => ({ name, value })),
      },
    ],
    timeoutMs: 1_000,
  });
  const leaderOf = (index: number) => clients[partition(staged.broker, index).leader]!;
  const homeOf = (kind: 'group' | 'transaction', key: string) =>
    clients[staged.broker.coordinatorOf(kind, key)]!;
  return { ...staged, clients, leaderOf, homeOf };
}

function partition(broker: Broker, index: number) {
  return broker.topics.partition('t', index)!;
}

/** A producer with a record in an ongoing transaction on t/0. */
function ongoing(options: Partial<BrokerOptions> = {}) {
  const staged = cluster(options);
  const producer = staged.homeOf('transaction', ID).init(ID);
  const leader = staged.leaderOf(0);
  expect(leader.produceIn(ID, producer, 't', 0, RECORD, 12).errorCode).toBe(Code.NONE);
  return { ...staged, producer };
}

function metadataOf(client: Client) {
  const answer = client.ask(metadata, 9, { topics: [{ name: 't' }] });
  return { nodes: answer.brokers.map((each) => each.nodeId), ...answer.topics[0]! };
}

describe('rule 20: leaders', () => {
  test('are spread over the nodes, each with its replicas', () => {
    const { clients } = cluster();
    const { partitions } = metadataOf(clients[0]!);
    expect(partitions.map(({ leaderId, replicaNodes }) => [leaderId, replicaNodes])).toEqual([
      [0, [0, 1, 2]],
      [1, [1, 2, 0]],
      [2, [2, 0, 1]],
    ]);
  });

  test('move with a higher epoch, and the node that led sends its clients away', () => {
    const { broker, clients } = cluster();
    const [old, , next] = clients as [Client, Client, Client];
    old.produce('t', 0, { values: ['a'] });
    broker.moveLeader('t', 0, 2);
    expect(old.produce('t', 0, { values: ['b'] }).errorCode).toBe(Code.NOT_LEADER_OR_FOLLOWER);
    expect(old.fetch('t', 0, 0).errorCode).toBe(Code.NOT_LEADER_OR_FOLLOWER);
    expect(metadataOf(old).partitions[0]).toMatchObject({ leaderId: 2, leaderEpoch: 1 });
    expect(next.produce('t', 0, { values: ['b'] }).baseOffset).toBe(1);
    expect(next.log('t')).toEqual(['a', 'b']);
    const { records } = next.fetch('t', 0, 1);
    expect(records!.readInt32BE(12)).toBe(1);
  });

  test('are named in the refusal of a Produce 10 (KIP-951)', () => {
    const { broker, clients } = cluster();
    broker.moveLeader('t', 0, 1);
    const answer = clients[0]!.ask(produce, 10, {
      acks: -1,
      timeoutMs: 1_000,
      topicData: [{ name: 't', partitionData: [{ index: 0, records: batch({ values: ['a'] }) }] }],
    });
    const { currentLeader } = answer.responses[0]!.partitionResponses[0]!;
    expect(currentLeader).toEqual({ leaderId: 1, leaderEpoch: 1 });
  });

  test('move under a waiting fetch, which learns of it at once', () => {
    const { broker, clients } = cluster();
    const waiting = clients[0]!.postFetch('t', 0, 0, { maxWaitMs: 10_000 });
    expect(waiting.answers).toEqual([]);
    broker.moveLeader('t', 0);
    const { errorCode } = waiting.answers[0]!.responses[0]!.partitions[0]!;
    expect(errorCode).toBe(Code.NOT_LEADER_OR_FOLLOWER);
  });

  test('fence clients of an older leader epoch, and do not know newer ones', () => {
    const { broker, clients } = cluster();
    broker.moveLeader('t', 0, 1);
    const fetchAt = (currentLeaderEpoch: number) =>
      clients[1]!.ask(fetch, 11, {
        maxWaitMs: 0,
        minBytes: 1,
        topics: [
          {
            topic: 't',
            partitions: [
              { partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000, currentLeaderEpoch },
            ],
          },
        ],
      }).responses[0]!.partitions[0]!.errorCode;
    expect([0, 1, 2].map(fetchAt)).toEqual([
      Code.FENCED_LEADER_EPOCH,
      Code.NONE,
      Code.UNKNOWN_LEADER_EPOCH,
    ]);
  });

  test('deduplicate what the leader before them was sent', () => {
    const { broker, clients } = cluster();
    const { producerId } = clients[0]!.init(null);
    const spec = { ...RECORD, producerId, epoch: 0 };
    expect(clients[0]!.produce('t', 0, spec).baseOffset).toBe(0);
    broker.moveLeader('t', 0, 1);
    expect(clients[1]!.produce('t', 0, spec)).toMatchObject({ errorCode: 0, baseOffset: 0 });
    expect(clients[1]!.log('t')).toEqual(['a']);
  });

  test('refuse acks -1 while fewer than min.insync.replicas follow, and no other', () => {
    const { broker, leaderOf } = cluster({}, { 'min.insync.replicas': '2' });
    broker.stopNode(1);
    expect(leaderOf(0).produce('t', 0, { values: ['a'] }).errorCode).toBe(Code.NONE);
    broker.stopNode(2);
    const refused = leaderOf(0).produce('t', 0, { values: ['b'] });
    expect(refused.errorCode).toBe(Code.NOT_ENOUGH_REPLICAS);
    broker.startNode(1);
    expect(leaderOf(0).produce('t', 0, { values: ['c'] }).errorCode).toBe(Code.NONE);
    expect(leaderOf(0).log('t')).toEqual(['a', 'c']);
  });

  test('write no marker while fewer than min.insync.replicas follow', () => {
    const { broker, homeOf, leaderOf, ports } = cluster({}, { 'min.insync.replicas': '2' });
    const producer = homeOf('transaction', ID).init(ID);
    leaderOf(0).produceIn(ID, producer, 't', 0, RECORD, 12);
    const leader = partition(broker, 0).leader;
    for (const node of [0, 1, 2]) if (node !== leader) broker.stopNode(node);
    ports.advance(5);
    homeOf('transaction', ID).endV2(ID, producer, 'commit');
    ports.advance(1_000);
    expect(leaderOf(0).log('t')).toEqual(['a']);
    for (const node of [0, 1, 2]) broker.startNode(node);
    ports.advance(100);
    expect(leaderOf(0).log('t')).toEqual(['a', 'commit@1']);
  });

  test('tell of too few replicas before or after the append, when they are told to', () => {
    const { broker, clients } = cluster();
    const [client] = clients as [Client];
    const { producerId } = client.init(null);
    const send = () => client.produce('t', 0, { ...RECORD, producerId, epoch: 0 });
    broker.setReplication('t', 0, 'too-few');
    expect(send().errorCode).toBe(Code.NOT_ENOUGH_REPLICAS);
    expect(client.log('t')).toEqual([]);
    broker.setReplication('t', 0, 'too-few-after-append');
    expect(send().errorCode).toBe(Code.NOT_ENOUGH_REPLICAS_AFTER_APPEND);
    expect(client.log('t')).toEqual(['a']);
    broker.setReplication('t', 0, 'enough');
    // The same sequence again finds what was appended.
    expect(send()).toMatchObject({ errorCode: 0, baseOffset: 0 });
    expect(client.log('t')).toEqual(['a']);
  });
});

describe('rule 20: a node that goes down', () => {
  test('leaves its partitions to the others, with all that was acknowledged', () => {
    const { broker, clients } = cluster();
    clients[0]!.produce('t', 0, { values: ['a'] });
    broker.stopNode(0);
    const { nodes, partitions } = metadataOf(clients[1]!);
    expect(nodes).toEqual([1, 2]);
    expect(partitions[0]).toMatchObject({
      leaderId: 1,
      leaderEpoch: 1,
      isrNodes: [1, 2],
      offlineReplicas: [0],
    });
    expect(clients[1]!.log('t')).toEqual(['a']);
    broker.startNode(0);
    expect(metadataOf(clients[1]!)).toMatchObject({ nodes: [0, 1, 2] });
    expect(metadataOf(clients[1]!).partitions[0]).toMatchObject({
      leaderId: 1,
      isrNodes: [0, 1, 2],
      offlineReplicas: [],
    });
  });

  test('leaves a partition without other replicas without a leader until it is back', () => {
    const { broker, clients, client } = cluster();
    client.createTopic('lone');
    client.produce('lone', 0, { values: ['a'] });
    broker.stopNode(0);
    const ask = () => clients[1]!.ask(metadata, 9, { topics: [{ name: 'lone' }] }).topics[0]!;
    expect(ask().partitions[0]).toMatchObject({
      errorCode: Code.LEADER_NOT_AVAILABLE,
      leaderId: -1,
    });
    broker.startNode(0);
    expect(ask().partitions[0]).toMatchObject({ errorCode: 0, leaderId: 0, leaderEpoch: 2 });
    expect(new Client(broker, 'x', 0).log('lone')).toEqual(['a']);
  });

  test('is the last in sync, and nobody else leads until it is back', () => {
    const { broker, clients } = cluster();
    broker.stopNode(1);
    broker.stopNode(2);
    clients[0]!.produce('t', 0, { values: ['a'] });
    broker.stopNode(0);
    broker.startNode(1);
    expect(partition(broker, 0).leader).toBe(-1);
    broker.startNode(0);
    expect(partition(broker, 0).leader).toBe(0);
    expect(new Client(broker, 'x', 0).log('t')).toEqual(['a']);
  });

  test('closes its connections, and takes none until it is back', async () => {
    const { broker } = cluster();
    const transport = brokerTransport(broker);
    const body = encodeRequest(apiVersions, 0, {});
    const ask = (node: number) =>
      transport.request(node, {
        apiKey: apiVersions.key,
        apiVersion: 0,
        body,
        timeoutMs: 1_000,
        lane: 'transaction',
      });
    await ask(1);
    const late = ask(1);
    broker.stopNode(1);
    await expect(late).rejects.toMatchObject({ fate: 'unknown' });
    await expect(ask(1)).rejects.toMatchObject({ fate: 'never-sent' });
    broker.startNode(1);
    expect((await ask(1)).length).toBeGreaterThan(10);
    await transport.close();
  });

  test('closes its sockets too, and its door opens again with it', async () => {
    const broker = new Broker({ ports: systemPorts, nodes: 2 });
    const { port, close } = await listen(broker, { host: '127.0.0.1', port: 0, node: 1 });
    const dial = () => {
      const socket = connect(port, '127.0.0.1');
      const closed = new Promise<void>((resolve) => {
        socket.on('close', () => resolve());
        socket.on('error', () => {});
      });
      return { socket, closed };
    };
    const first = dial();
    first.socket.write(apiVersionsFrame());
    await once(first.socket, 'data');
    broker.stopNode(1);
    await first.closed;
    await dial().closed;
    broker.startNode(1);
    const second = dial();
    second.socket.write(apiVersionsFrame());
    await once(second.socket, 'data');
    second.socket.destroy();
    await close();
    broker.close();
  });

  test('gives up what it coordinated, and everything goes on elsewhere', () => {
    const { broker, homeOf, leaderOf, ports, producer } = ongoing();
    const home = broker.coordinatorOf('transaction', ID);
    broker.stopNode(home);
    const next = homeOf('transaction', ID);
    expect(next.connection.node).not.toBe(home);
    expect(next.endV2(ID, producer, 'commit').errorCode).toBe(Code.COORDINATOR_LOAD_IN_PROGRESS);
    ports.advance(5);
    expect(next.endV2(ID, producer, 'commit').errorCode).toBe(Code.NONE);
    ports.advance(20);
    expect(leaderOf(0).log('t')).toEqual(['a', 'commit@1']);
  });

  test('is not found as a coordinator when all are down', () => {
    const { broker, clients } = cluster();
    for (const node of [0, 1, 2]) broker.stopNode(node);
    const answer = clients[0]!.ask(findCoordinator, 3, { key: ID, keyType: 1 });
    expect(answer.errorCode).toBe(Code.COORDINATOR_NOT_AVAILABLE);
  });
});

describe('rule 17: a coordinator that moves', () => {
  test('sends its clients away, and the next one loads for a while', () => {
    const { broker, homeOf, ports } = cluster({ coordinatorLoadMs: 30 });
    const old = homeOf('transaction', ID);
    const producer = old.init(ID);
    broker.moveCoordinator('transaction', ID);
    const next = homeOf('transaction', ID);
    expect(old.init(ID).errorCode).toBe(Code.NOT_COORDINATOR);
    expect(old.endV2(ID, producer, 'abort').errorCode).toBe(Code.NOT_COORDINATOR);
    ports.advance(29);
    expect(next.init(ID).errorCode).toBe(Code.COORDINATOR_LOAD_IN_PROGRESS);
    expect(next.addOffsets(ID, producer, 'g')).toBe(Code.COORDINATOR_LOAD_IN_PROGRESS);
    ports.advance(1);
    expect(next.init(ID)).toMatchObject({ errorCode: 0, producerEpoch: 1 });
  });

  test('is asked by leaders and groups in vain meanwhile, which clients send again', () => {
    const { broker, client, homeOf, leaderOf, ports } = cluster({ coordinatorLoadMs: 30 });
    client.createTopic('in');
    const producer = homeOf('transaction', ID).init(ID);
    broker.moveCoordinator('transaction', ID);
    const send = () => leaderOf(0).produceIn(ID, producer, 't', 0, RECORD, 12).errorCode;
    const commit = () => homeOf('group', 'g').txnOffsetCommit(ID, producer, 'g', 1, { version: 5 });
    expect(send()).toBe(Code.NOT_ENOUGH_REPLICAS);
    expect(commit()).toBe(Code.COORDINATOR_LOAD_IN_PROGRESS);
    ports.advance(30);
    expect(send()).toBe(Code.NONE);
    expect(commit()).toBe(Code.NONE);
  });

  test('completes a transaction whose outcome stands, with all its markers', () => {
    const { broker, homeOf, leaderOf, ports, producer } = ongoing({ markerDelayMs: 1_000 });
    const old = homeOf('transaction', ID);
    expect(old.endV2(ID, producer, 'commit').errorCode).toBe(Code.NONE);
    broker.moveCoordinator('transaction', ID);
    ports.advance(5);
    const next = homeOf('transaction', ID);
    expect(next.init(ID).errorCode).toBe(Code.CONCURRENT_TRANSACTIONS);
    ports.advance(2_000);
    expect(leaderOf(0).log('t').slice(0, 2)).toEqual(['a', 'commit@1']);
    expect(broker.listTransactions()[0]!.state).toBe('CompleteCommit');
  });

  test.each([
    { markerEpochs: 'newer', outcome: 'refused' },
    { markerEpochs: 'not-older', outcome: 'written' },
  ] as const)(
    'sends v2 markers of a bumped epoch: another is $outcome with markerEpochs $markerEpochs',
    ({ markerEpochs, outcome }) => {
      const { broker, leaderOf, ports, producer } = ongoing({ markerEpochs });
      const marker = { ...identityOf(producer), result: 'commit', coordinatorEpoch: 0 } as const;
      const { settings } = broker;
      const write = (rules: 'v1' | 'v2') =>
        partition(broker, 0).mark({ ...marker, rules }, ports.clock.now(), settings.markerEpochs);
      expect(write('v2')).toBe(outcome);
      expect(write('v1')).toBe('written');
      expect(leaderOf(0).log('t')).toContain('commit@0');
    },
  );

  test('has its late markers fenced by whoever heard of its successor', () => {
    const { leaderOf, homeOf, broker, ports } = cluster();
    const old = homeOf('transaction', ID);
    const producer = old.init(ID);
    const add = (client: Client) => client.addPartitions(ID, producer, 't', [0]);
    add(old);
    leaderOf(0).produceIn(ID, producer, 't', 0, RECORD);
    const mark = (coordinatorEpoch: number) =>
      partition(broker, 0).mark(
        { ...identityOf(producer), result: 'commit', coordinatorEpoch, rules: 'v1' },
        ports.clock.now(),
        'newer',
      );
    expect(mark(1)).toBe('written');
    // The next transaction of the same epoch is open when the marker of the old one comes.
    add(homeOf('transaction', ID));
    leaderOf(0).produceIn(ID, producer, 't', 0, { values: ['b'], sequence: 1 });
    expect(mark(0)).toBe('refused');
    expect(leaderOf(0).log('t')).toEqual(['a', 'commit@0', 'b']);
  });

  test('hands over before its markers are out: they arrive, and do not end the next transaction', () => {
    const { homeOf, leaderOf, broker, ports } = cluster({ markerDelayMs: 100 }, {});
    const producer = homeOf('transaction', ID).init(ID);
    homeOf('transaction', ID).addPartitions(ID, producer, 't', [0]);
    leaderOf(0).produceIn(ID, producer, 't', 0, RECORD);
    homeOf('transaction', ID).end(ID, producer, 'commit');
    broker.moveCoordinator('transaction', ID);
    const isComplete = () => broker.listTransactions()[0]!.state === 'CompleteCommit';
    for (let ms = 0; ms < 300 && !isComplete(); ms++) ports.advance(1);
    expect(isComplete()).toBe(true);
    homeOf('transaction', ID).addPartitions(ID, producer, 't', [0]);
    leaderOf(0).produceIn(ID, producer, 't', 0, { values: ['b'], sequence: 1 });
    ports.advance(500);
    const log = leaderOf(0).log('t');
    expect(log.at(-1)).toBe('b');
    expect(leaderOf(0).fetch('t', 0, 0).lastStableOffset).toBe(log.length - 1);
  });

  test('keeps the time of a running transaction', () => {
    const { broker, homeOf, leaderOf, ports } = ongoing();
    ports.advance(6_000);
    broker.moveCoordinator('transaction', ID);
    ports.advance(3_999);
    expect(leaderOf(0).log('t')).toEqual(['a']);
    ports.advance(21);
    expect(leaderOf(0).log('t')).toEqual(['a', 'abort@1']);
    expect(homeOf('transaction', ID).init(ID).errorCode).toBe(Code.NONE);
  });

  test('of a group keeps committed and pending offsets, and its marker waits for the load', () => {
    const { broker, client, homeOf, ports } = cluster({ coordinatorLoadMs: 100 });
    client.createTopic('in');
    const producer = homeOf('transaction', ID).init(ID);
    homeOf('group', 'g').txnOffsetCommit(ID, producer, 'g', 7, { version: 5 });
    const home = homeOf('group', 'g');
    homeOf('transaction', ID).endV2(ID, producer, 'commit');
    broker.moveCoordinator('group', 'g');
    expect(home.committed('g').errorCode).toBe(Code.NOT_COORDINATOR);
    ports.advance(99);
    expect(homeOf('group', 'g').committed('g').errorCode).toBe(Code.COORDINATOR_LOAD_IN_PROGRESS);
    expect(broker.listTransactions()[0]!.state).toBe('PrepareCommit');
    ports.advance(41);
    expect(homeOf('group', 'g').committed('g')).toMatchObject({ errorCode: 0, committedOffset: 7 });
  });
});

/** ApiVersions 0 as it comes over a socket. */
function apiVersionsFrame(): Buffer {
  const frame = Buffer.alloc(14);
  frame.writeInt32BE(10, 0);
  frame.writeInt16BE(apiVersions.key, 4);
  frame.writeInt16BE(-1, 12);
  return frame;
}

function identityOf({ producerId, producerEpoch }: Producer): Producer {
  return { producerId, producerEpoch };
}
