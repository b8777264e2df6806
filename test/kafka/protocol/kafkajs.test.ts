/** The versions that kafkajs 2.2.4 sends, against its own encoders and decoders. */
import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { addOffsetsToTxn } from '../../../src/kafka/protocol/add-offsets-to-txn.ts';
import { addPartitionsToTxn } from '../../../src/kafka/protocol/add-partitions-to-txn.ts';
import { decodeRequest, encodeRequest, encodeResponse } from '../../../src/kafka/protocol/codec.ts';
import { createTopics } from '../../../src/kafka/protocol/create-topics.ts';
import { deleteTopics } from '../../../src/kafka/protocol/delete-topics.ts';
import { describeConfigs } from '../../../src/kafka/protocol/describe-configs.ts';
import { endTxn } from '../../../src/kafka/protocol/end-txn.ts';
import { fetch } from '../../../src/kafka/protocol/fetch.ts';
import { findCoordinator } from '../../../src/kafka/protocol/find-coordinator.ts';
import { heartbeat } from '../../../src/kafka/protocol/heartbeat.ts';
import { initProducerId } from '../../../src/kafka/protocol/init-producer-id.ts';
import { joinGroup } from '../../../src/kafka/protocol/join-group.ts';
import { leaveGroup } from '../../../src/kafka/protocol/leave-group.ts';
import { listOffsets } from '../../../src/kafka/protocol/list-offsets.ts';
import { metadata } from '../../../src/kafka/protocol/metadata.ts';
import { offsetCommit } from '../../../src/kafka/protocol/offset-commit.ts';
import { offsetFetch } from '../../../src/kafka/protocol/offset-fetch.ts';
import type { Api, RequestBody, ResponseBody } from '../../../src/kafka/protocol/schema.ts';
import { syncGroup } from '../../../src/kafka/protocol/sync-group.ts';
import { txnOffsetCommit } from '../../../src/kafka/protocol/txn-offset-commit.ts';

const require = createRequire(import.meta.url);
const requests = 'kafkajs/src/protocol/requests';

interface KafkajsRequest {
  readonly apiKey: number;
  readonly apiVersion: number;
  encode(): Promise<{ readonly buffer: Buffer }>;
}

async function kafkajsRequest(path: string, options: unknown): Promise<[number, Buffer]> {
  const create = require(`${requests}/${path}/request`) as (given: unknown) => KafkajsRequest;
  const request = create(options);
  return [request.apiKey, (await request.encode()).buffer];
}

async function kafkajsResponse(path: string, bytes: Buffer): Promise<unknown> {
  const response = require(`${requests}/${path}/response`) as {
    decode(raw: Buffer): Promise<unknown>;
  };
  return await response.decode(bytes);
}

interface RequestCase {
  readonly api: Api;
  readonly version: number;
  readonly path: string;
  readonly theirs: unknown;
  readonly ours: unknown;
}

function request<A extends Api>(
  api: A,
  version: number,
  path: string,
  theirs: unknown,
  ours: RequestBody<A>,
): RequestCase {
  return { api, version, path, theirs, ours };
}

const producer = { transactionalId: 'app-orders-1', producerId: 4_000_000_017, producerEpoch: 3 };

const cases: readonly RequestCase[] = [
  request(
    fetch,
    11,
    'fetch/v11',
    {
      replicaId: -1,
      maxWaitTime: 500,
      minBytes: 1,
      maxBytes: 1_048_576,
      topics: [
        { topic: 'orders', partitions: [{ partition: 2, fetchOffset: '5000000001', maxBytes: 9 }] },
      ],
      rackId: 'r',
    },
    {
      maxWaitMs: 500,
      minBytes: 1,
      maxBytes: 1_048_576,
      isolationLevel: 1,
      topics: [
        {
          topic: 'orders',
          partitions: [{ partition: 2, fetchOffset: 5_000_000_001, partitionMaxBytes: 9 }],
        },
      ],
      rackId: 'r',
    },
  ),
  request(
    listOffsets,
    3,
    'listOffsets/v3',
    {
      replicaId: -1,
      isolationLevel: 1,
      topics: [{ topic: 'o', partitions: [{ partition: 1, timestamp: -2 }] }],
    },
    {
      replicaId: -1,
      isolationLevel: 1,
      topics: [{ name: 'o', partitions: [{ partitionIndex: 1, timestamp: -2 }] }],
    },
  ),
  request(
    metadata,
    6,
    'metadata/v6',
    { topics: ['a', 'bé'], allowAutoTopicCreation: false },
    { topics: [{ name: 'a' }, { name: 'bé' }], allowAutoTopicCreation: false },
  ),
  request(
    offsetCommit,
    5,
    'offsetCommit/v5',
    {
      groupId: 'g',
      groupGenerationId: 4,
      memberId: 'm',
      topics: [{ topic: 'o', partitions: [{ partition: 0, offset: '12' }] }],
    },
    {
      groupId: 'g',
      generationIdOrMemberEpoch: 4,
      memberId: 'm',
      topics: [
        {
          name: 'o',
          partitions: [{ partitionIndex: 0, committedOffset: 12, committedMetadata: null }],
        },
      ],
    },
  ),
  request(
    offsetFetch,
    4,
    'offsetFetch/v4',
    { groupId: 'g', topics: [{ topic: 'o', partitions: [{ partition: 0 }, { partition: 7 }] }] },
    { groupId: 'g', topics: [{ name: 'o', partitionIndexes: [0, 7] }] },
  ),
  request(
    joinGroup,
    5,
    'joinGroup/v5',
    {
      groupId: 'g',
      sessionTimeout: 10_000,
      rebalanceTimeout: 60_000,
      memberId: '',
      protocolType: 'consumer',
      groupProtocols: [{ name: 'escapement', metadata: Buffer.from('ab') }],
    },
    {
      groupId: 'g',
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 60_000,
      memberId: '',
      groupInstanceId: null,
      protocolType: 'consumer',
      protocols: [{ name: 'escapement', metadata: Buffer.from('ab') }],
    },
  ),
  request(
    syncGroup,
    3,
    'syncGroup/v3',
    {
      groupId: 'g',
      generationId: 2,
      memberId: 'm',
      groupAssignment: [{ memberId: 'm', memberAssignment: Buffer.from('x') }],
    },
    {
      groupId: 'g',
      generationId: 2,
      memberId: 'm',
      assignments: [{ memberId: 'm', assignment: Buffer.from('x') }],
    },
  ),
  request(
    heartbeat,
    3,
    'heartbeat/v3',
    { groupId: 'g', groupGenerationId: 2, memberId: 'm', groupInstanceId: 'i' },
    { groupId: 'g', generationId: 2, memberId: 'm', groupInstanceId: 'i' },
  ),
  request(
    leaveGroup,
    3,
    'leaveGroup/v3',
    { groupId: 'g', members: [{ memberId: 'm' }] },
    { groupId: 'g', members: [{ memberId: 'm', groupInstanceId: null }] },
  ),
  request(
    createTopics,
    3,
    'createTopics/v3',
    {
      topics: [
        {
          topic: 'o',
          numPartitions: 3,
          replicationFactor: 1,
          configEntries: [{ name: 'cleanup.policy', value: 'compact' }],
        },
      ],
      validateOnly: false,
      timeout: 5_000,
    },
    {
      topics: [
        {
          name: 'o',
          numPartitions: 3,
          replicationFactor: 1,
          assignments: [],
          configs: [{ name: 'cleanup.policy', value: 'compact' }],
        },
      ],
      timeoutMs: 5_000,
      validateOnly: false,
    },
  ),
  request(
    deleteTopics,
    1,
    'deleteTopics/v1',
    { topics: ['o'], timeout: 5_000 },
    { topicNames: ['o'], timeoutMs: 5_000 },
  ),
  request(
    findCoordinator,
    2,
    'findCoordinator/v2',
    { coordinatorKey: 'app-orders-1', coordinatorType: 1 },
    { key: 'app-orders-1', keyType: 1 },
  ),
  request(
    initProducerId,
    1,
    'initProducerId/v1',
    { transactionalId: 'app-orders-1', transactionTimeout: 10_000 },
    { transactionalId: 'app-orders-1', transactionTimeoutMs: 10_000 },
  ),
  request(
    addPartitionsToTxn,
    1,
    'addPartitionsToTxn/v1',
    { ...producer, topics: [{ topic: 'o', partitions: [0, 4] }] },
    {
      v3AndBelowTransactionalId: producer.transactionalId,
      v3AndBelowProducerId: producer.producerId,
      v3AndBelowProducerEpoch: producer.producerEpoch,
      v3AndBelowTopics: [{ name: 'o', partitions: [0, 4] }],
    },
  ),
  request(
    addOffsetsToTxn,
    1,
    'addOffsetsToTxn/v1',
    { ...producer, groupId: 'g' },
    { ...producer, groupId: 'g' },
  ),
  request(
    txnOffsetCommit,
    1,
    'txnOffsetCommit/v1',
    {
      ...producer,
      groupId: 'g',
      topics: [{ topic: 'o', partitions: [{ partition: 0, offset: '12', metadata: 'step' }] }],
    },
    {
      ...producer,
      groupId: 'g',
      topics: [
        {
          name: 'o',
          partitions: [{ partitionIndex: 0, committedOffset: 12, committedMetadata: 'step' }],
        },
      ],
    },
  ),
  request(
    endTxn,
    1,
    'endTxn/v1',
    { ...producer, transactionResult: true },
    { ...producer, committed: true },
  ),
  request(
    describeConfigs,
    2,
    'describeConfigs/v2',
    { resources: [{ type: 2, name: 'o', configNames: ['cleanup.policy'] }] },
    {
      resources: [{ resourceType: 2, resourceName: 'o', configurationKeys: ['cleanup.policy'] }],
    },
  ),
];

describe('requests of kafkajs', () => {
  it.each(cases)('$path is byte for byte ours', async ({ api, version, path, theirs, ours }) => {
    const [apiKey, bytes] = await kafkajsRequest(path, theirs);
    expect(apiKey).toBe(api.key);
    expect(encodeRequest(api, version, ours).toString('hex')).toBe(bytes.toString('hex'));
    expect(decodeRequest(api, version, bytes)).toMatchObject(ours as object);
  });
});

describe('answers that kafkajs reads', () => {
  async function read<A extends Api>(
    api: A,
    version: number,
    path: string,
    body: ResponseBody<A>,
  ): Promise<unknown> {
    return await kafkajsResponse(path, encodeResponse(api, version, body as object));
  }

  it('Metadata', async () => {
    const body: ResponseBody<typeof metadata> = {
      brokers: [{ nodeId: 1, host: '127.0.0.1', port: 9092, rack: null }],
      clusterId: 'c',
      controllerId: 1,
      topics: [
        {
          errorCode: 0,
          name: 'o',
          isInternal: false,
          partitions: [
            { errorCode: 0, partitionIndex: 0, leaderId: 1, replicaNodes: [1], isrNodes: [1] },
          ],
        },
      ],
    };
    expect(await read(metadata, 6, 'metadata/v6', body)).toMatchObject({
      brokers: [{ nodeId: 1, host: '127.0.0.1', port: 9092, rack: null }],
      clusterId: 'c',
      topicMetadata: [
        { topic: 'o', partitionMetadata: [{ partitionId: 0, leader: 1, replicas: [1] }] },
      ],
    });
  });

  it('JoinGroup and SyncGroup', async () => {
    const joined = await read(joinGroup, 5, 'joinGroup/v5', {
      errorCode: 0,
      generationId: 3,
      protocolName: 'escapement',
      leader: 'a',
      memberId: 'b',
      members: [{ memberId: 'a', groupInstanceId: 'i', metadata: Buffer.from('m') }],
    });
    expect(joined).toMatchObject({
      generationId: 3,
      groupProtocol: 'escapement',
      leaderId: 'a',
      memberId: 'b',
      members: [{ memberId: 'a', groupInstanceId: 'i', memberMetadata: Buffer.from('m') }],
    });
    const synced = await read(syncGroup, 3, 'syncGroup/v3', {
      errorCode: 0,
      assignment: Buffer.from('plan'),
    });
    expect(synced).toMatchObject({ errorCode: 0, memberAssignment: Buffer.from('plan') });
  });

  it('offsets and coordinators', async () => {
    const fetched = await read(offsetFetch, 4, 'offsetFetch/v4', {
      topics: [
        {
          name: 'o',
          partitions: [
            { partitionIndex: 1, committedOffset: 9_000_000_000, metadata: 'step', errorCode: 0 },
          ],
        },
      ],
    });
    expect(fetched).toMatchObject({
      responses: [
        { topic: 'o', partitions: [{ partition: 1, offset: '9000000000', metadata: 'step' }] },
      ],
    });
    const found = await read(findCoordinator, 2, 'findCoordinator/v2', {
      errorCode: 0,
      errorMessage: null,
      nodeId: 2,
      host: 'h',
      port: 1,
    });
    expect(found).toMatchObject({ coordinator: { nodeId: 2, host: 'h', port: 1 } });
  });

  it('the answers of a transaction', async () => {
    const initialised = await read(initProducerId, 1, 'initProducerId/v1', {
      errorCode: 0,
      producerId: 4_000_000_017,
      producerEpoch: 3,
    });
    expect(initialised).toMatchObject({ producerId: '4000000017', producerEpoch: 3 });
    const added = await read(addPartitionsToTxn, 1, 'addPartitionsToTxn/v1', {
      resultsByTopicV3AndBelow: [
        { name: 'o', resultsByPartition: [{ partitionIndex: 4, partitionErrorCode: 51 }] },
      ],
    });
    expect(added).toMatchObject({
      errors: [{ topic: 'o', partitionErrors: [{ partition: 4, errorCode: 51 }] }],
    });
    const committed = await read(txnOffsetCommit, 1, 'txnOffsetCommit/v1', {
      topics: [{ name: 'o', partitions: [{ partitionIndex: 4, errorCode: 22 }] }],
    });
    expect(committed).toMatchObject({
      topics: [{ topic: 'o', partitions: [{ partition: 4, errorCode: 22 }] }],
    });
    expect(await read(endTxn, 1, 'endTxn/v1', { errorCode: 47 })).toMatchObject({ errorCode: 47 });
  });
});
