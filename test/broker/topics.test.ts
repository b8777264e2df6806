import { describe, expect, test } from 'vitest';
import { apiVersions } from '../../src/kafka/protocol/api-versions.ts';
import { APIS } from '../../src/kafka/protocol/apis.ts';
import { decodeResponse } from '../../src/kafka/protocol/codec.ts';
import { createTopics } from '../../src/kafka/protocol/create-topics.ts';
import { deleteRecords } from '../../src/kafka/protocol/delete-records.ts';
import { deleteTopics } from '../../src/kafka/protocol/delete-topics.ts';
import { describeConfigs } from '../../src/kafka/protocol/describe-configs.ts';
import { KafkaErrorCode as Code } from '../../src/kafka/protocol/error-codes.ts';
import { findCoordinator } from '../../src/kafka/protocol/find-coordinator.ts';
import { listOffsets } from '../../src/kafka/protocol/list-offsets.ts';
import { metadata } from '../../src/kafka/protocol/metadata.ts';
import { type Client, stage } from './client.ts';

function settings(client: Client, resourceType: number, resourceName: string, names?: string[]) {
  const resource = { resourceType, resourceName, configurationKeys: names ?? null };
  return client.ask(describeConfigs, 4, { resources: [resource] }).results[0]!;
}

describe('topics', () => {
  test('are created with settings that are described beside the defaults', () => {
    const { client } = stage();
    client.createTopic('t', 2, { 'cleanup.policy': 'compact,delete' });
    const described = settings(client, 2, 't');
    const byName = new Map(described.configs.map((each) => [each.name, each]));
    expect(byName.get('cleanup.policy')).toMatchObject({
      value: 'compact,delete',
      configSource: 1,
    });
    expect(byName.get('retention.ms')).toMatchObject({ value: '604800000', configSource: 5 });
    expect(byName.get('max.message.bytes')!.value).toBe('1048588');
    const one = settings(client, 2, 't', ['retention.ms']);
    expect(one.configs.map((each) => each.name)).toEqual(['retention.ms']);
    expect(settings(client, 2, 'u').errorCode).toBe(Code.UNKNOWN_TOPIC_OR_PARTITION);
    const broker = settings(client, 4, '0', ['offset.metadata.max.bytes']);
    expect(broker.configs[0]!.value).toBe('4096');
  });

  test.each([
    ['a name that is taken', { name: 'taken' }, Code.TOPIC_ALREADY_EXISTS],
    ['a bad name', { name: 'a/b' }, Code.INVALID_TOPIC_EXCEPTION],
    ['no partitions', { numPartitions: 0 }, Code.INVALID_PARTITIONS],
    ['more replicas than nodes', { replicationFactor: 2 }, Code.INVALID_REPLICATION_FACTOR],
    ['an unknown setting', { configs: [{ name: 'x', value: '1' }] }, Code.INVALID_CONFIG],
    ['a bad value', { configs: [{ name: 'cleanup.policy', value: 'shred' }] }, Code.INVALID_CONFIG],
  ])('are not created with %s', (_title, difference, errorCode) => {
    const { client } = stage();
    client.createTopic('taken');
    const topic = {
      name: 'new',
      numPartitions: 1,
      replicationFactor: 1,
      assignments: [],
      configs: [],
      ...difference,
    };
    const answer = client.ask(createTopics, 5, { topics: [topic] });
    expect(answer.topics[0]).toMatchObject({ errorCode });
    expect(answer.topics[0]!.errorMessage).toBeTruthy();
    expect(client.broker.topics.all()).toHaveLength(1);
  });

  test('are only checked when asked to validate', () => {
    const { client } = stage();
    const topic = { numPartitions: -1, replicationFactor: -1, assignments: [], configs: [] };
    const topics = [{ name: 't', ...topic }];
    expect(client.ask(createTopics, 7, { topics, validateOnly: true }).topics[0]!.errorCode).toBe(
      0,
    );
    expect(client.broker.topics.find('t')).toBeUndefined();
    const created = client.ask(createTopics, 7, { topics }).topics[0]!;
    expect(created).toMatchObject({ errorCode: 0, numPartitions: 1 });
    expect(created.topicId).toMatch(/^[0-9a-f]{32}$/);
  });

  test('rule 21: have a new id and are empty after they were deleted and created again', () => {
    const { client } = stage();
    client.createTopic('t');
    client.produce('t', 0, { values: ['a'] });
    const idOf = () => client.ask(metadata, 12, { topics: [{ name: 't' }] }).topics[0]!.topicId;
    const before = idOf();
    const remove = () => client.ask(deleteTopics, 1, { topicNames: ['t'], timeoutMs: 1 });
    expect(remove().responses).toMatchObject([{ name: 't', errorCode: Code.NONE }]);
    expect(remove().responses).toMatchObject([{ errorCode: Code.UNKNOWN_TOPIC_OR_PARTITION }]);
    client.createTopic('t');
    expect(idOf()).not.toBe(before);
    expect(client.log('t')).toEqual([]);
    const byId = client.ask(deleteTopics, 6, {
      topics: [{ name: null, topicId: idOf() }],
      timeoutMs: 1,
    });
    expect(byId.responses).toMatchObject([{ name: 't', errorCode: Code.NONE }]);
  });

  test('are never created by a question, unless the option says so', () => {
    const ask = (client: Client) => client.ask(metadata, 6, { topics: [{ name: 't' }] }).topics[0]!;
    expect(ask(stage().client).errorCode).toBe(Code.UNKNOWN_TOPIC_OR_PARTITION);
    const generous = stage({ unknownTopics: 'create', partitionsDefault: 3 }).client;
    expect(ask(generous).partitions).toHaveLength(3);
    const modest = generous.ask(metadata, 6, {
      topics: [{ name: 'u' }],
      allowAutoTopicCreation: false,
    });
    expect(modest.topics[0]!.errorCode).toBe(Code.UNKNOWN_TOPIC_OR_PARTITION);
  });

  test('are all in the metadata when none is named, none when the list is empty', () => {
    const { client } = stage({ nodes: 2 });
    client.createTopic('t', 3);
    const all = client.ask(metadata, 1, { topics: null });
    expect(all.brokers.map((each) => each.nodeId)).toEqual([0, 1]);
    expect(all.topics[0]!.partitions.map((each) => each.leaderId)).toEqual([0, 1, 0]);
    expect(client.ask(metadata, 1, { topics: [] }).topics).toEqual([]);
  });
});

describe('offsets of a log', () => {
  function list(client: Client, timestamp: number, isolation: 0 | 1 = 0, version = 7) {
    const partitions = [{ partitionIndex: 0, timestamp }];
    const request = {
      replicaId: -1,
      isolationLevel: isolation,
      topics: [{ name: 't', partitions }],
    };
    return client.ask(listOffsets, version, request).topics[0]!.partitions[0]!;
  }

  test('rule 11: the latest is the last stable one for committed readers, else the log end', () => {
    const { client } = stage();
    client.createTopic('t');
    client.produce('t', 0, { values: ['a'] });
    const producer = client.init('id');
    client.addPartitions('id', producer, 't', [0]);
    client.produceIn('id', producer, 't', 0, { values: ['b'], sequence: 0 });
    expect(list(client, -1, 1).offset).toBe(1);
    expect(list(client, -1, 0).offset).toBe(2);
    expect(list(client, -2, 1).offset).toBe(0);
    expect(list(client, -1, 0, 3).offset).toBe(2);
  });

  test('by time are those of the first record at or after it', () => {
    const { client } = stage();
    client.createTopic('t');
    client.produce('t', 0, { values: ['a', 'b', 'c'], timestamp: 100, timestampStep: 10 });
    client.produce('t', 0, { values: ['d'], timestamp: 50 });
    expect(list(client, 0)).toMatchObject({ offset: 0, timestamp: 100 });
    expect(list(client, 105)).toMatchObject({ offset: 1, timestamp: 110 });
    expect(list(client, 120)).toMatchObject({ offset: 2, timestamp: 120 });
    expect(list(client, 121)).toMatchObject({ offset: -1, timestamp: -1 });
    expect(list(client, -3)).toMatchObject({ offset: 2, timestamp: 120 });
  });

  test('rule 19: delete-records moves the log start, within the log and not on compacted topics', () => {
    const { client } = stage();
    client.createTopic('t');
    client.createTopic('c', 1, { 'cleanup.policy': 'compact' });
    for (const value of ['a', 'b', 'c']) client.produce('t', 0, { values: [value] });
    const remove = (name: string, offset: number) =>
      client.ask(deleteRecords, 1, {
        topics: [{ name, partitions: [{ partitionIndex: 0, offset }] }],
        timeoutMs: 1,
      }).topics[0]!.partitions[0]!;
    expect(remove('t', 2)).toMatchObject({ errorCode: 0, lowWatermark: 2 });
    expect(list(client, -2).offset).toBe(2);
    expect(remove('t', 1)).toMatchObject({ errorCode: 0, lowWatermark: 2 });
    expect(remove('t', 4).errorCode).toBe(Code.OFFSET_OUT_OF_RANGE);
    expect(remove('t', -1)).toMatchObject({ errorCode: 0, lowWatermark: 3 });
    expect(remove('c', 0).errorCode).toBe(Code.POLICY_VIOLATION);
    expect(client.produce('t', 0, { values: ['d'] }).baseOffset).toBe(3);
  });
});

describe('the broker', () => {
  test.each([
    { transactionVersion: 1, feature: [], produce: 11, endTxn: 4, txnOffsetCommit: 4 },
    {
      transactionVersion: 2,
      feature: [{ name: 'transaction.version', maxVersionLevel: 2, minVersionLevel: 2 }],
      produce: 13,
      endTxn: 5,
      txnOffsetCommit: 5,
    },
  ] as const)('offers what it serves, and transactions v$transactionVersion', (expected) => {
    const { client } = stage({ transactionVersion: expected.transactionVersion });
    const offer = client.ask(apiVersions, 3, {});
    expect(offer.finalizedFeatures).toEqual(expected.feature);
    const highest = (key: number) => offer.apiKeys.find((each) => each.apiKey === key)?.maxVersion;
    expect(highest(0)).toBe(expected.produce);
    expect(highest(26)).toBe(expected.endTxn);
    expect(highest(28)).toBe(expected.txnOffsetCommit);
    const authentication = new Set([17, 36]);
    const keys = [...APIS.keys()].filter((key) => !authentication.has(key));
    expect(offer.apiKeys.map((each) => each.apiKey)).toEqual(keys.sort((a, b) => a - b));
  });

  test('answers an ApiVersions that it does not know in version 0 (KIP-511)', () => {
    const { client, broker } = stage();
    const answers: Buffer[] = [];
    broker.handle(client.connection, 18, 99, Buffer.from('??'), (body) => answers.push(body!));
    const answer = decodeResponse(apiVersions, 0, answers[0]!);
    expect(answer.errorCode).toBe(Code.UNSUPPORTED_VERSION);
    expect(answer.apiKeys.length).toBeGreaterThan(10);
  });

  test('throws on other unknown versions and on malformed bytes', () => {
    const { client, broker } = stage();
    const handle = (key: number, version: number) => () =>
      broker.handle(client.connection, key, version, Buffer.from('zz'), () => {});
    expect(handle(0, 99)).toThrowError(/Produce version 99/);
    expect(handle(99, 0)).toThrowError(/api key 99/);
    expect(handle(3, 9)).toThrow();
  });

  test('names the coordinator of groups and of transactional ids', () => {
    const { client, broker } = stage({ nodes: 3 });
    const key = 'app-orders-0';
    const one = client.ask(findCoordinator, 2, { key, keyType: 1 });
    expect(one).toMatchObject({ errorCode: 0, nodeId: broker.coordinatorOf('transaction', key) });
    const many = client.ask(findCoordinator, 4, { keyType: 0, coordinatorKeys: ['a', 'b'] });
    expect(many.coordinators.map((each) => each.nodeId)).toEqual(
      ['a', 'b'].map((group) => broker.coordinatorOf('group', group)),
    );
    expect(client.ask(findCoordinator, 2, { key, keyType: 9 }).errorCode).toBe(
      Code.INVALID_REQUEST,
    );
  });
});
