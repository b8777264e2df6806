/** What the broker answers to administrators; the Java admin client's test holds it to Kafka. */
import { describe, expect, test } from 'vitest';
import { createPartitions } from '../../src/kafka/protocol/create-partitions.ts';
import { deleteTopics } from '../../src/kafka/protocol/delete-topics.ts';
import { describeCluster } from '../../src/kafka/protocol/describe-cluster.ts';
import { describeConfigs } from '../../src/kafka/protocol/describe-configs.ts';
import { describeProducers } from '../../src/kafka/protocol/describe-producers.ts';
import { describeTopicPartitions } from '../../src/kafka/protocol/describe-topic-partitions.ts';
import { describeTransactions } from '../../src/kafka/protocol/describe-transactions.ts';
import { KafkaErrorCode as Code } from '../../src/kafka/protocol/error-codes.ts';
import { incrementalAlterConfigs } from '../../src/kafka/protocol/incremental-alter-configs.ts';
import { listTransactions } from '../../src/kafka/protocol/list-transactions.ts';
import { offsetForLeaderEpoch } from '../../src/kafka/protocol/offset-for-leader-epoch.ts';
import { writeTxnMarkers } from '../../src/kafka/protocol/write-txn-markers.ts';
import { Client, stage } from './client.ts';

const T = 't';
const TOPIC = 2;
const [SET, DELETE, APPEND, SUBTRACT] = [0, 1, 2, 3];

function ready(options: Parameters<typeof stage>[0] = {}) {
  const staged = stage(options);
  staged.client.createTopic(T, 2);
  return staged;
}

describe('CreatePartitions', () => {
  const grow = (client: Client, count: number, options: { name?: string; dry?: boolean } = {}) => {
    const { name = T, dry: validateOnly = false } = options;
    const topics = [{ name, count, assignments: null }];
    return client.ask(createPartitions, 3, { topics, timeoutMs: 1, validateOnly }).results[0]!
      .errorCode;
  };

  test('adds partitions, and keeps what the others hold', () => {
    const { broker, client } = ready();
    client.produce(T, 1, { values: ['kept'] });
    expect(grow(client, 4, { dry: true })).toBe(Code.NONE);
    expect(broker.topics.find(T)!.partitions).toHaveLength(2);
    expect(grow(client, 4)).toBe(Code.NONE);
    expect(client.log(T, 1)).toEqual(['kept']);
    expect(client.produce(T, 3, { values: ['new'] }).errorCode).toBe(Code.NONE);
  });

  test('refuses what is no increase, and topics that are not there or are named twice', () => {
    const { client } = ready();
    expect(grow(client, 2)).toBe(Code.INVALID_PARTITIONS);
    expect(grow(client, 1)).toBe(Code.INVALID_PARTITIONS);
    expect(grow(client, 3, { name: 'nothing' })).toBe(Code.UNKNOWN_TOPIC_OR_PARTITION);
    const twice = [3, 4].map((count) => ({ name: T, count, assignments: null }));
    const asked = { topics: twice, timeoutMs: 1, validateOnly: false };
    const { results } = client.ask(createPartitions, 3, asked);
    expect(results.map((each) => each.errorCode)).toEqual([Code.INVALID_REQUEST]);
  });
});

describe('IncrementalAlterConfigs', () => {
  const alter = (client: Client, name: string, operation: number, value: string | null) =>
    client.ask(incrementalAlterConfigs, 1, {
      resources: [
        {
          resourceType: TOPIC,
          resourceName: T,
          configs: [{ name, configOperation: operation, value }],
        },
      ],
      validateOnly: false,
    }).responses[0]!.errorCode;

  const shown = (client: Client, name: string) => {
    const asked = { resourceType: TOPIC, resourceName: T, configurationKeys: [name] };
    const { value, configSource } = client.ask(describeConfigs, 4, { resources: [asked] })
      .results[0]!.configs[0]!;
    return [value, configSource];
  };

  test('sets, removes, appends and subtracts', () => {
    const { client } = ready();
    expect(alter(client, 'retention.ms', SET!, '5')).toBe(Code.NONE);
    expect(shown(client, 'retention.ms')).toEqual(['5', 1]);
    expect(alter(client, 'retention.ms', DELETE!, null)).toBe(Code.NONE);
    expect(shown(client, 'retention.ms')).toEqual(['604800000', 5]);
    expect(alter(client, 'cleanup.policy', APPEND!, 'compact')).toBe(Code.NONE);
    expect(shown(client, 'cleanup.policy')).toEqual(['delete,compact', 1]);
    expect(alter(client, 'cleanup.policy', SUBTRACT!, 'delete')).toBe(Code.NONE);
    expect(shown(client, 'cleanup.policy')).toEqual(['compact', 1]);
  });

  test('takes effect at once', () => {
    const { client } = ready();
    alter(client, 'max.message.bytes', SET!, '100');
    const large = { key: null, values: ['x'.repeat(200)] };
    expect(client.produce(T, 0, large).errorCode).toBe(Code.MESSAGE_TOO_LARGE);
    alter(client, 'max.message.bytes', DELETE!, null);
    expect(client.produce(T, 0, large).errorCode).toBe(Code.NONE);
    alter(client, 'cleanup.policy', SET!, 'compact');
    expect(client.produce(T, 0, large).errorCode).toBe(Code.INVALID_RECORD);
  });

  test.each([
    ['a value of the wrong type', 'retention.ms', 0, 'soon', Code.INVALID_CONFIG],
    ['a value below its bound', 'retention.ms', 0, '-2', Code.INVALID_CONFIG],
    ['an unknown name', 'what', 0, '1', Code.INVALID_CONFIG],
    ['an append to no list', 'retention.ms', 2, '1', Code.INVALID_CONFIG],
    ['no value', 'retention.ms', 0, null, Code.INVALID_REQUEST],
    ['an unknown operation', 'retention.ms', 9, '1', Code.INVALID_REQUEST],
    ['lags in conflict', 'min.compaction.lag.ms', 0, '9223372036854775807', Code.NONE],
  ])('judges %s', (_title, name, operation, value, errorCode) => {
    const { client } = ready();
    expect(alter(client, name, operation, value)).toBe(errorCode);
    if (errorCode !== Code.NONE) return;
    expect(alter(client, 'max.compaction.lag.ms', SET!, '1')).toBe(Code.INVALID_CONFIG);
  });
});

describe('DeleteTopics', () => {
  test('takes a name or an id, not both, not none, and nothing twice', () => {
    const { broker, client } = ready();
    const topicId = broker.topics.find(T)!.id;
    const no = '0'.repeat(32);
    const remove = (...topics: { name: string | null; topicId: string }[]) =>
      client.ask(deleteTopics, 6, { topics, timeoutMs: 1 }).responses.map((each) => each.errorCode);
    expect(remove({ name: T, topicId })).toEqual([Code.INVALID_REQUEST]);
    expect(remove({ name: null, topicId: no })).toEqual([Code.INVALID_REQUEST]);
    const named = { name: T, topicId: no };
    expect(remove(named, named)).toEqual([Code.INVALID_REQUEST]);
    expect(remove({ name: null, topicId })).toEqual([Code.NONE]);
    expect(remove({ name: null, topicId })).toEqual([Code.UNKNOWN_TOPIC_ID]);
    expect(remove(named)).toEqual([Code.UNKNOWN_TOPIC_OR_PARTITION]);
  });
});

describe('the cluster', () => {
  test('is described with its nodes', () => {
    const { client, broker } = ready({ nodes: 3 });
    const answer = client.ask(describeCluster, 1, { includeClusterAuthorizedOperations: false });
    expect(answer).toMatchObject({ clusterId: broker.clusterId, controllerId: 0 });
    expect(answer.brokers.map((each) => each.brokerId)).toEqual([0, 1, 2]);
  });

  test('tells the partitions of topics page by page', () => {
    const { client } = ready();
    client.createTopic('a', 3);
    const pages: string[][] = [];
    let cursor: { topicName: string; partitionIndex: number } | null = null;
    do {
      const answer: ReturnType<typeof ask> = ask();
      pages.push(
        answer.topics.flatMap(({ name, partitions }) =>
          partitions.map((each) => `${name}-${each.partitionIndex}`),
        ),
      );
      cursor = answer.nextCursor;
    } while (cursor !== null);
    expect(pages).toEqual([['a-0', 'a-1'], ['a-2', 't-0'], ['t-1']]);
    function ask() {
      return client.ask(describeTopicPartitions, 0, {
        topics: [],
        responsePartitionLimit: 2,
        cursor,
      });
    }
  });
});

describe('transactions from outside', () => {
  function open() {
    const staged = ready({ transactionVersion: 1 });
    const { client } = staged;
    const producer = client.init('id');
    client.addPartitions('id', producer, T, [0]);
    client.addOffsets('id', producer, 'g');
    client.produceIn('id', producer, T, 0, { values: ['x'], sequence: 0 });
    return { ...staged, producer };
  }

  const list = (client: Client, filter: object = {}) =>
    client.ask(listTransactions, 1, { stateFilters: [], producerIdFilters: [], ...filter });

  test('are listed by state, producer and age', () => {
    const { client, ports, producer } = open();
    const ids = (filter: object) =>
      list(client, filter).transactionStates.map((each) => each.transactionalId);
    expect(ids({})).toEqual(['id']);
    expect(ids({ stateFilters: ['Ongoing'] })).toEqual(['id']);
    expect(ids({ stateFilters: ['Empty'] })).toEqual([]);
    expect(ids({ producerIdFilters: [producer.producerId] })).toEqual(['id']);
    expect(ids({ producerIdFilters: [producer.producerId + 1] })).toEqual([]);
    expect(ids({ durationFilter: 5_000 })).toEqual([]);
    ports.advance(5_001);
    expect(ids({ durationFilter: 5_000 })).toEqual(['id']);
    expect(list(client, { stateFilters: ['Odd'] }).unknownStateFilters).toEqual(['Odd']);
  });

  test('are described with their partitions, offsets included', () => {
    const { client, producer } = open();
    const describe = (transactionalId: string) =>
      client.ask(describeTransactions, 0, { transactionalIds: [transactionalId] })
        .transactionStates[0]!;
    expect(describe('id')).toMatchObject({
      errorCode: Code.NONE,
      transactionState: 'Ongoing',
      producerId: producer.producerId,
      transactionTimeoutMs: 10_000,
      topics: [
        { topic: T, partitions: [0] },
        // The hash of `g` modulo 50.
        { topic: '__consumer_offsets', partitions: [3] },
      ],
    });
    expect(describe('other').errorCode).toBe(Code.TRANSACTIONAL_ID_NOT_FOUND);
    expect(describe('').errorCode).toBe(Code.INVALID_REQUEST);
  });

  test('are ended in a partition by a marker that is not of an older epoch', () => {
    const { client, producer } = open();
    const seen = () =>
      client.ask(describeProducers, 0, { topics: [{ name: T, partitionIndexes: [0] }] }).topics[0]!
        .partitions[0]!.activeProducers[0]!;
    const mark = (producerEpoch: number) =>
      client
        .ask(writeTxnMarkers, 1, {
          markers: [
            {
              producerId: producer.producerId,
              producerEpoch,
              transactionResult: false,
              coordinatorEpoch: 0,
              topics: [{ name: T, partitionIndexes: [0, 9] }],
            },
          ],
        })
        .markers[0]!.topics[0]!.partitions.map((each) => each.errorCode);
    expect(seen()).toMatchObject({ lastSequence: 0, currentTxnStartOffset: 0 });
    const { UNKNOWN_TOPIC_OR_PARTITION: unknown } = Code;
    expect(mark(producer.producerEpoch - 1)).toEqual([Code.INVALID_PRODUCER_EPOCH, unknown]);
    expect(mark(producer.producerEpoch)).toEqual([Code.NONE, unknown]);
    expect(seen()).toMatchObject({ currentTxnStartOffset: -1 });
    expect(client.log(T)).toEqual(['x', `abort@${producer.producerEpoch}`]);
  });
});

describe('OffsetForLeaderEpoch', () => {
  test('tells where an epoch ended, and fences whoever is behind or ahead', () => {
    const { broker, client } = ready({ nodes: 2 });
    const other = new Client(broker, 'other', 1);
    client.produce(T, 0, { values: ['a', 'b'] });
    broker.moveLeader(T, 0, 1);
    other.produce(T, 0, { values: ['c'] });
    broker.moveLeader(T, 0, 0);
    const ask = (leaderEpoch: number, currentLeaderEpoch = -1) => {
      const partitions = [{ partition: 0, currentLeaderEpoch, leaderEpoch }];
      const asked = { topics: [{ topic: T, partitions }] };
      const answer = client.ask(offsetForLeaderEpoch, 4, asked).topics[0]!.partitions[0]!;
      return [answer.errorCode, answer.leaderEpoch, answer.endOffset];
    };
    expect(ask(0)).toEqual([Code.NONE, 0, 2]);
    expect(ask(1)).toEqual([Code.NONE, 1, 3]);
    expect(ask(2)).toEqual([Code.NONE, 2, 3]);
    expect(ask(3)).toEqual([Code.NONE, -1, -1]);
    expect(ask(0, 1)).toEqual([Code.FENCED_LEADER_EPOCH, -1, -1]);
    expect(ask(0, 3)).toEqual([Code.UNKNOWN_LEADER_EPOCH, -1, -1]);
  });
});
