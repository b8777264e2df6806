/** Versions, topics, coordinators and connections. */
import { expect } from 'vitest';
import { Broker } from '../../../src/broker/broker.ts';
import { listen } from '../../../src/broker/tcp.ts';
import { apiVersions } from '../../../src/kafka/protocol/api-versions.ts';
import { decodeResponse } from '../../../src/kafka/protocol/codec.ts';
import { createTopics } from '../../../src/kafka/protocol/create-topics.ts';
import { deleteTopics } from '../../../src/kafka/protocol/delete-topics.ts';
import { findCoordinator } from '../../../src/kafka/protocol/find-coordinator.ts';
import { metadata } from '../../../src/kafka/protocol/metadata.ts';
import { systemPorts } from '../../../src/ports.ts';
import { type Case, fact } from '../case.ts';
import { Client, nameOf } from '../client.ts';
import { type Stage, until } from '../stage.ts';
import { isEmbedded } from '../target.ts';

interface Wanted {
  readonly partitions?: number;
  readonly replicas?: number;
  readonly configs?: Readonly<Record<string, string>>;
  readonly validateOnly?: boolean;
}

async function create(stage: Stage, name: string, wanted: Wanted = {}): Promise<string> {
  const answer = await stage.client.ask(createTopics, 5, {
    topics: [
      {
        name,
        numPartitions: wanted.partitions ?? 1,
        replicationFactor: wanted.replicas ?? 1,
        assignments: [],
        configs: Object.entries(wanted.configs ?? {}).map(([key, value]) => ({ name: key, value })),
      },
    ],
    timeoutMs: 30_000,
    validateOnly: wanted.validateOnly ?? false,
  });
  return nameOf(answer.topics[0]!.errorCode);
}

async function remove(stage: Stage, name: string): Promise<string> {
  const answer = await stage.client.ask(deleteTopics, 5, { topicNames: [name], timeoutMs: 30_000 });
  return nameOf(answer.responses[0]!.errorCode);
}

async function described(stage: Stage, name: string) {
  const answer = await stage.client.ask(metadata, 12, {
    topics: [{ name }],
    allowAutoTopicCreation: false,
  });
  const { errorCode, topicId, partitions } = answer.topics[0]!;
  return { error: nameOf(errorCode), topicId, partitions };
}

const TOPICS = [
  fact('a topic that exists is TOPIC_ALREADY_EXISTS', async (stage) => {
    expect(await create(stage, await stage.topic())).toBe('TOPIC_ALREADY_EXISTS');
  }),
  fact('a topic of no partitions is INVALID_PARTITIONS', async (stage) => {
    expect(await create(stage, stage.name('t'), { partitions: 0 })).toBe('INVALID_PARTITIONS');
  }),
  fact('more replicas than nodes are INVALID_REPLICATION_FACTOR', async (stage) => {
    expect(await create(stage, stage.name('t'), { replicas: 2 })).toBe(
      'INVALID_REPLICATION_FACTOR',
    );
  }),
  fact('names of other letters and of 250 letters are INVALID_TOPIC_EXCEPTION', async (stage) => {
    for (const name of ['no spaces', 'ä', '..', '', 'x'.repeat(250)]) {
      expect(await create(stage, name)).toBe('INVALID_TOPIC_EXCEPTION');
    }
  }),
  fact('unknown and wrong settings are INVALID_CONFIG', async (stage) => {
    for (const configs of [{ 'no.such.thing': '1' }, { 'retention.ms': 'soon' }]) {
      expect(await create(stage, stage.name('t'), { configs })).toBe('INVALID_CONFIG');
    }
  }),
  fact('a topic that exists is TOPIC_ALREADY_EXISTS to a validation, too', async (stage) => {
    const name = await stage.topic();
    expect(await create(stage, name, { validateOnly: true })).toBe('TOPIC_ALREADY_EXISTS');
    // Before anything else is looked at.
    const wrong = { partitions: 0, replicas: 9, configs: { 'no.such.thing': '1' } };
    expect(await create(stage, name, { ...wrong, validateOnly: true })).toBe(
      'TOPIC_ALREADY_EXISTS',
    );
  }),
  fact('a validated topic is not created', async (stage) => {
    const name = stage.name('t');
    expect(await create(stage, name, { validateOnly: true })).toBe('NONE');
    expect((await described(stage, name)).error).toBe('UNKNOWN_TOPIC_OR_PARTITION');
  }),
  fact(
    'a deleted topic is gone, and deleting it again is UNKNOWN_TOPIC_OR_PARTITION',
    async (stage) => {
      const name = await stage.topic();
      expect(await remove(stage, name)).toBe('NONE');
      await until(
        () => described(stage, name),
        ({ error }) => error === 'UNKNOWN_TOPIC_OR_PARTITION',
      );
      expect(await remove(stage, name)).toBe('UNKNOWN_TOPIC_OR_PARTITION');
    },
  ),
  fact('a topic that is created again has another id and an empty log', async (stage) => {
    const name = await stage.topic();
    await stage.client.produce(name, 0, { values: ['old'] });
    const { topicId: before } = await described(stage, name);
    await remove(stage, name);
    await until(
      () => create(stage, name),
      (error) => error === 'NONE',
    );
    await until(
      () => described(stage, name),
      ({ error, topicId }) => error === 'NONE' && topicId !== before,
    );
    await until(
      () => stage.client.listOffset(name),
      ({ error, offset }) => error === 'NONE' && offset === 0,
    );
  }),
  fact('a topic that is created again has forgotten its producers', async (stage) => {
    const name = await stage.topic();
    const producerId = await stage.producerId();
    const write = (sequence: number) =>
      stage.client.produce(name, 0, { values: ['v'], sequence, producerId, epoch: 0 });
    await write(0);
    await remove(stage, name);
    await until(
      () => create(stage, name),
      (error) => error === 'NONE',
    );
    await until(
      () => stage.client.listOffset(name),
      ({ error, offset }) => error === 'NONE' && offset === 0,
    );
    expect(await write(5)).toMatchObject({ error: 'NONE', baseOffset: 0 });
  }),
  fact('a topic that does not exist is not created by asking for it', async (stage) => {
    const name = stage.name('missing');
    expect((await described(stage, name)).error).toBe('UNKNOWN_TOPIC_OR_PARTITION');
  }),
  fact('a fresh partition has a leader of epoch 0', async (stage) => {
    const { partitions } = await described(stage, await stage.topic(2));
    expect(partitions.map(({ leaderEpoch }) => leaderEpoch)).toEqual([0, 0]);
    expect(partitions.map(({ partitionIndex }) => partitionIndex).sort()).toEqual([0, 1]);
  }),
];

const CONNECTIONS = [
  fact(
    'ApiVersions of an unknown version is answered in version 0 with the list',
    async (stage) => {
      const frame = await stage.client.connection.askBytes(apiVersions, 99, Buffer.alloc(1));
      const answer = decodeResponse(apiVersions, 0, frame.subarray(4));
      expect(nameOf(answer.errorCode)).toBe('UNSUPPORTED_VERSION');
      expect(answer.apiKeys.some(({ apiKey }) => apiKey === apiVersions.key)).toBe(true);
    },
  ),
  fact('requests of one connection are answered in their order', async (stage) => {
    const topic = await stage.topic();
    const { client } = stage;
    const before = client.connection.answered.length;
    await Promise.all([
      client.fetch(topic, 0, 0, { maxWaitMs: 300 }),
      client.listOffset(topic),
      client.log(topic),
    ]);
    const answered = client.connection.answered.slice(before);
    expect(answered).toEqual([...answered].sort((a, b) => a - b));
  }),
  fact('a connection is not held up by what waits on another', async (stage) => {
    const topic = await stage.topic();
    const other = await stage.connect();
    let waits = true;
    const waiting = other.fetch(topic, 0, 0, { maxWaitMs: 30_000 }).then(() => {
      waits = false;
    });
    await stage.client.listOffset(topic);
    expect(waits).toBe(true);
    await stage.client.produce(topic, 0, { values: ['a'] });
    await waiting;
  }),
  fact('the group and the transaction of a name have a coordinator', async (stage) => {
    for (const keyType of [0, 1]) {
      const key = stage.name('key');
      const answer = await stage.client.ask(findCoordinator, 3, { key, keyType });
      expect(nameOf(answer.errorCode)).toBe('NONE');
      expect(answer.port).toBe(stage.target.address.port);
    }
  }),
  fact('a coordinator of an unknown kind is INVALID_REQUEST', async (stage) => {
    const answer = await stage.client.ask(findCoordinator, 3, { key: 'k', keyType: 7 });
    expect(nameOf(answer.errorCode)).toBe('INVALID_REQUEST');
  }),
];

/** One real node leads and coordinates everything, so that nothing can be asked of the wrong one. */
const ONE_NODE: Case['unfit'] = (name) =>
  isEmbedded(name) ? null : 'the real target is a single node, which leads everything';

async function twoNodes(run: (nodes: readonly [Client, Client]) => Promise<void>) {
  const broker = new Broker({ ports: systemPorts, nodes: 2 });
  const doors = [0, 1].map((node) => listen(broker, { host: '127.0.0.1', port: 0, node }));
  const listeners = await Promise.all(doors);
  const clients = await Promise.all(
    listeners.map(({ port }) => Client.open({ host: '127.0.0.1', port })),
  );
  try {
    await run([clients[0]!, clients[1]!]);
  } finally {
    for (const client of clients) client.connection.close();
    for (const { close } of listeners) await close();
    broker.close();
  }
}

const NODES = [
  fact(
    'a node that does not lead a partition is NOT_LEADER_OR_FOLLOWER',
    () =>
      twoNodes(async (nodes) => {
        await nodes[0].createTopic('t', 1);
        const errors = await Promise.all(
          nodes.map(async (node) => (await node.produce('t', 0, { values: ['a'] })).error),
        );
        expect(errors.sort()).toEqual(['NONE', 'NOT_LEADER_OR_FOLLOWER']);
      }),
    ONE_NODE,
  ),
  fact(
    'a node that does not coordinate a transactional id is NOT_COORDINATOR',
    () =>
      twoNodes(async (nodes) => {
        const errors = await Promise.all(nodes.map(async (node) => (await node.init('id')).error));
        expect(errors.sort()).toEqual(['NONE', 'NOT_COORDINATOR']);
      }),
    ONE_NODE,
  ),
];

export const CLUSTER = [...TOPICS, ...CONNECTIONS, ...NODES];
