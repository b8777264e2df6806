import { describe, expect, test } from 'vitest';
import type { BrokerOptions } from '../../src/broker/options.ts';
import { addPartitionsToTxn } from '../../src/kafka/protocol/add-partitions-to-txn.ts';
import { KafkaErrorCode as Code } from '../../src/kafka/protocol/error-codes.ts';
import { Client, stage as openStage, type Producer } from './client.ts';

const ID = 'app-in-0';

/** A producer with one record in an ongoing transaction on t/0. */
function begin(options: Partial<BrokerOptions>, seed: number) {
  const staged = openStage(options, seed);
  const { client } = staged;
  client.createTopic('t', 2);
  client.createTopic('in');
  const producer = client.init(ID);
  expect(client.addPartitions(ID, producer, 't', [0])).toEqual([Code.NONE]);
  const appended = client.produceIn(ID, producer, 't', 0, { values: ['a'], sequence: 0 });
  expect(appended.errorCode).toBe(Code.NONE);
  return { ...staged, producer };
}

describe.each([1, 2] as const)('v1 rules of a broker of version %i', (transactionVersion) => {
  const stage = (options = {}, seed = 1) => openStage({ transactionVersion, ...options }, seed);
  const ongoing = (options = {}, seed = 1) => begin({ transactionVersion, ...options }, seed);

  test('gives each InitProducerId a higher epoch of the same producer id', () => {
    const { client } = stage();
    const first = client.init(ID);
    const second = client.init(ID);
    expect(first).toMatchObject({ errorCode: 0, producerEpoch: 0 });
    expect(second).toMatchObject({ errorCode: 0, producerEpoch: 1, producerId: first.producerId });
    expect(client.init('other').producerId).not.toBe(first.producerId);
    expect(client.init(null)).toMatchObject({ errorCode: 0, producerEpoch: 0 });
  });

  test('refuses a transaction timeout above its maximum and an empty id', () => {
    const { client } = stage({ transactionTimeoutMaxMs: 5_000 });
    expect(client.init(ID, undefined, 5_001).errorCode).toBe(Code.INVALID_TRANSACTION_TIMEOUT);
    expect(client.init(ID, undefined, 0).errorCode).toBe(Code.INVALID_TRANSACTION_TIMEOUT);
    expect(client.init('').errorCode).toBe(Code.INVALID_REQUEST);
  });

  test('rule 2: answers EndTxn before any marker is written', () => {
    const { client, broker, ports, producer } = ongoing();
    expect(client.end(ID, producer, 'commit')).toBe(Code.NONE);
    expect(client.log('t')).toEqual(['a']);
    expect(client.fetch('t', 0, 0).batches).toEqual([]);
    expect(broker.listTransactions()[0]!.state).toBe('PrepareCommit');
    ports.advance(20);
    expect(client.log('t')).toEqual(['a', 'commit@0']);
    expect(client.fetch('t', 0, 0).batches.map((each) => each.kind)).toEqual(['data', 'commit']);
    expect(broker.listTransactions()[0]!.state).toBe('CompleteCommit');
  });

  test('rule 2: is asynchronous even with a marker delay of zero', () => {
    const { client, ports, producer } = ongoing({ markerDelayMs: 0 });
    client.end(ID, producer, 'commit');
    expect(client.log('t')).toEqual(['a']);
    ports.advance(0);
    expect(client.log('t')).toEqual(['a', 'commit@0']);
  });

  test('rule 2: writes the markers of one transaction one by one and in any order', () => {
    const orders = new Set<string>();
    for (let seed = 1; seed <= 20; seed++) {
      const { client, ports, producer } = ongoing({}, seed);
      client.addPartitions(ID, producer, 't', [1]);
      client.produceIn(ID, producer, 't', 1, { values: ['b'], sequence: 0 });
      client.addOffsets(ID, producer, 'g');
      client.txnOffsetCommit(ID, producer, 'g', 5);
      client.end(ID, producer, 'commit');
      const order: string[] = [];
      const done = {
        t0: () => client.log('t', 0).length === 2,
        t1: () => client.log('t', 1).length === 2,
        offsets: () => client.committed('g').errorCode === 0,
      };
      for (let ms = 0; ms <= 80; ms++) {
        for (const [name, isDone] of Object.entries(done)) {
          if (!order.includes(name) && isDone()) order.push(name);
        }
        ports.advance(0.25);
      }
      expect(order).toHaveLength(3);
      orders.add(order.join());
    }
    expect(orders.size).toBeGreaterThan(3);
  });

  test('rule 3: answers CONCURRENT_TRANSACTIONS while the outcome is being written', () => {
    const { client, ports, producer } = ongoing();
    client.end(ID, producer, 'commit');
    expect(client.init(ID).errorCode).toBe(Code.CONCURRENT_TRANSACTIONS);
    expect(client.addPartitions(ID, producer, 't', [0])).toEqual([Code.CONCURRENT_TRANSACTIONS]);
    expect(client.addOffsets(ID, producer, 'g')).toBe(Code.CONCURRENT_TRANSACTIONS);
    expect(client.end(ID, producer, 'commit')).toBe(Code.CONCURRENT_TRANSACTIONS);
    expect(client.end(ID, producer, 'abort')).toBe(Code.CONCURRENT_TRANSACTIONS);
    ports.advance(20);
    expect(client.addPartitions(ID, producer, 't', [0])).toEqual([Code.NONE]);
  });

  test.each([
    ['commit', 'abort'],
    ['abort', 'commit'],
  ] as const)('rule 4: %s again after completion succeeds, %s is refused', (first, opposite) => {
    const { client, ports, producer } = ongoing();
    client.end(ID, producer, first);
    ports.advance(20);
    expect(client.end(ID, producer, first)).toBe(Code.NONE);
    expect(client.end(ID, producer, opposite)).toBe(Code.INVALID_TXN_STATE);
    expect(client.log('t')).toEqual(['a', `${first}@0`]);
  });

  test('refuses EndTxn of a transaction that never began', () => {
    const { client } = stage();
    const producer = client.init(ID);
    expect(client.end(ID, producer, 'commit')).toBe(Code.INVALID_TXN_STATE);
    expect(client.end(ID, producer, 'abort')).toBe(Code.INVALID_TXN_STATE);
  });

  test('rule 5: InitProducerId on an ongoing transaction fences, aborts, and then bumps again', () => {
    const { client, ports, producer } = ongoing();
    expect(client.init(ID).errorCode).toBe(Code.CONCURRENT_TRANSACTIONS);
    expect(client.end(ID, producer, 'commit')).toBe(Code.PRODUCER_FENCED);
    expect(client.init(ID).errorCode).toBe(Code.CONCURRENT_TRANSACTIONS);
    ports.advance(20);
    expect(client.log('t')).toEqual(['a', 'abort@1']);
    expect(client.init(ID)).toMatchObject({ errorCode: 0, producerEpoch: 2 });
  });

  test('rule 6: a transaction that runs out of time is aborted with a bumped epoch', () => {
    const { client, ports, producer } = ongoing();
    ports.advance(9_999);
    expect(client.log('t')).toEqual(['a']);
    ports.advance(21);
    expect(client.log('t')).toEqual(['a', 'abort@1']);
    expect(client.end(ID, producer, 'commit')).toBe(Code.PRODUCER_FENCED);
    const late = client.produceIn(ID, producer, 't', 0, { values: ['late'], sequence: 1 });
    expect(late.errorCode).toBe(Code.INVALID_PRODUCER_EPOCH);
    expect(client.init(ID)).toMatchObject({ errorCode: 0, producerEpoch: 2 });
  });

  test('rule 6: a transaction that ended in time is not touched by its timer', () => {
    const { client, ports, producer } = ongoing();
    client.end(ID, producer, 'commit');
    ports.advance(30_000);
    expect(client.log('t')).toEqual(['a', 'commit@0']);
    expect(client.addPartitions(ID, producer, 't', [0])).toEqual([Code.NONE]);
    ports.advance(9_999);
    expect(client.end(ID, producer, 'abort')).toBe(Code.NONE);
  });

  test('rule 8: refuses a produce to a partition outside of the ongoing transaction', () => {
    const { client, producer } = ongoing();
    const stray = client.produceIn(ID, producer, 't', 1, { values: ['stray'], sequence: 0 });
    expect(stray.errorCode).toBe(Code.INVALID_TXN_STATE);
    expect(client.log('t', 1)).toEqual([]);
  });

  test('rule 8: refuses a late produce after the transaction has ended', () => {
    const { client, ports, producer } = ongoing();
    client.end(ID, producer, 'abort');
    ports.advance(20);
    const late = client.produceIn(ID, producer, 't', 0, { values: ['late'], sequence: 1 });
    expect(late.errorCode).toBe(Code.INVALID_TXN_STATE);
    expect(client.log('t')).toEqual(['a', 'abort@0']);
  });

  test('rule 8: answers TRANSACTION_ABORTABLE to clients that know it', () => {
    const { client } = ongoing();
    const { producerId, producerEpoch } = client.broker.listTransactions()[0]!;
    const spec = { values: ['x'], producerId, epoch: producerEpoch, sequence: 0 };
    const stray = { ...spec, transactional: 'transactional' } as const;
    expect(client.produce('t', 1, stray, ID, 10).errorCode).toBe(Code.INVALID_TXN_STATE);
    expect(client.produce('t', 1, stray, ID, 11).errorCode).toBe(Code.TRANSACTION_ABORTABLE);
  });

  test('rule 8: v1 lets a late produce slip in before the marker and into the next transaction', () => {
    const { client, ports, producer } = ongoing();
    client.end(ID, producer, 'commit');
    const before = client.produceIn(ID, producer, 't', 0, { values: ['late'], sequence: 1 });
    expect(before.errorCode).toBe(Code.NONE);
    ports.advance(20);
    expect(client.log('t')).toEqual(['a', 'late', 'commit@0']);
    client.addPartitions(ID, producer, 't', [0]);
    const next = client.produceIn(ID, producer, 't', 0, { values: ['later'], sequence: 2 });
    expect(next.errorCode).toBe(Code.NONE);
  });

  test('rule 8: a first produce while the outcome is being written has to be sent again', () => {
    const { client, producer } = ongoing();
    client.addPartitions(ID, producer, 't', [1]);
    client.end(ID, producer, 'commit');
    const early = client.produceIn(ID, producer, 't', 1, { values: ['b'], sequence: 0 });
    expect(early.errorCode).toBe(Code.NOT_ENOUGH_REPLICAS);
  });

  test('rule 9: a partition that saw a newer epoch refuses the older one', () => {
    const { client, ports, producer } = ongoing();
    client.init(ID);
    ports.advance(20);
    const next = client.init(ID);
    const old = client.produceIn(ID, producer, 't', 0, { values: ['zombie'], sequence: 1 });
    expect(old.errorCode).toBe(Code.INVALID_PRODUCER_EPOCH);
    client.addPartitions(ID, next, 't', [0]);
    const fresh = client.produceIn(ID, next, 't', 0, { values: ['b'], sequence: 0 });
    expect(fresh.errorCode).toBe(Code.NONE);
  });

  test('tells the fenced by 90 or, to old request versions, by 47', () => {
    const { client, ports, producer: old } = ongoing();
    client.init(ID);
    ports.advance(20);
    expect(client.end(ID, old, 'commit', 1)).toBe(Code.INVALID_PRODUCER_EPOCH);
    expect(client.end(ID, old, 'commit', 2)).toBe(Code.PRODUCER_FENCED);
    expect(client.addPartitions(ID, old, 't', [0], 1)).toEqual([Code.INVALID_PRODUCER_EPOCH]);
    expect(client.addPartitions(ID, old, 't', [0], 2)).toEqual([Code.PRODUCER_FENCED]);
  });

  test('refuses ids that it does not know and foreign producer ids', () => {
    const { client, producer } = ongoing();
    const foreign: Producer = { producerId: producer.producerId + 99, producerEpoch: 0 };
    expect(client.end('nobody', producer, 'commit')).toBe(Code.INVALID_PRODUCER_ID_MAPPING);
    expect(client.end(ID, foreign, 'commit')).toBe(Code.INVALID_PRODUCER_ID_MAPPING);
    expect(client.addOffsets(ID, foreign, 'g')).toBe(Code.INVALID_PRODUCER_ID_MAPPING);
  });

  test('KIP-360: a producer that names its epoch gets the next one, and the same on a retry', () => {
    const { client } = stage();
    const first = client.init(ID);
    const second = client.init(ID, first);
    expect(second.producerEpoch).toBe(1);
    expect(client.init(ID, first)).toMatchObject({ errorCode: 0, producerEpoch: 1 });
    client.init(ID);
    expect(client.init(ID, first).errorCode).toBe(Code.PRODUCER_FENCED);
    expect(client.init(ID, second, 10_000, 3).errorCode).toBe(Code.INVALID_PRODUCER_EPOCH);
  });

  test('an exhausted epoch gives a new producer id (KAFKA-9666)', () => {
    const { client } = stage();
    let producer = client.init(ID);
    const first = producer.producerId;
    for (let epoch = 1; epoch <= 32_766; epoch++) producer = client.init(ID);
    expect(producer).toMatchObject({ producerId: first, producerEpoch: 32_766 });
    producer = client.init(ID);
    expect(producer.producerEpoch).toBe(0);
    expect(producer.producerId).not.toBe(first);
  });

  test('adds all partitions of a request or none', () => {
    const { client, producer } = ongoing();
    const answer = client.ask(addPartitionsToTxn, 3, {
      v3AndBelowTransactionalId: ID,
      v3AndBelowProducerId: producer.producerId,
      v3AndBelowProducerEpoch: producer.producerEpoch,
      v3AndBelowTopics: [{ name: 't', partitions: [1, 7] }],
    });
    expect(answer.resultsByTopicV3AndBelow[0]!.resultsByPartition).toEqual([
      { partitionIndex: 1, partitionErrorCode: Code.OPERATION_NOT_ATTEMPTED },
      { partitionIndex: 7, partitionErrorCode: Code.UNKNOWN_TOPIC_OR_PARTITION },
    ]);
    const stray = client.produceIn(ID, producer, 't', 1, { values: ['b'], sequence: 0 });
    expect(stray.errorCode).toBe(Code.INVALID_TXN_STATE);
  });

  test('rule 10: a marker takes an offset, also where nothing was produced', () => {
    const { client, ports, producer } = ongoing();
    client.addPartitions(ID, producer, 't', [1]);
    client.end(ID, producer, 'commit');
    ports.advance(20);
    expect(client.fetch('t', 0, 0).highWatermark).toBe(2);
    expect(client.log('t', 1)).toEqual(['commit@0']);
    client.addPartitions(ID, producer, 't', [0]);
    const next = client.produceIn(ID, producer, 't', 0, { values: ['b'], sequence: 1 });
    expect(next.baseOffset).toBe(2);
  });

  test('writes markers only to what was added to this very transaction', () => {
    const { client, ports, producer } = ongoing();
    client.end(ID, producer, 'commit');
    ports.advance(20);
    client.addPartitions(ID, producer, 't', [1]);
    client.end(ID, producer, 'abort');
    ports.advance(20);
    expect(client.log('t', 0)).toEqual(['a', 'commit@0']);
    expect(client.log('t', 1)).toEqual(['abort@0']);
  });

  test('completes a transaction although one of its topics was deleted', () => {
    const { client, broker, ports, producer } = ongoing();
    broker.topics.delete('t');
    client.end(ID, producer, 'commit');
    ports.advance(20);
    expect(broker.listTransactions()[0]!.state).toBe('CompleteCommit');
  });

  test('leaves no timer behind', () => {
    const { client, broker, ports, producer } = ongoing();
    client.end(ID, producer, 'commit');
    ports.advance(20);
    expect(ports.pendingTimers).toBe(0);
    client.addPartitions(ID, producer, 't', [0]);
    broker.close();
    expect(ports.pendingTimers).toBe(0);
  });

  test('rule 17: another node of the broker is not the coordinator', () => {
    const { client, broker } = stage({ nodes: 2 });
    const home = broker.coordinatorOf('transaction', ID);
    const stranger = new Client(broker, 'x', 1 - home);
    expect(stranger.init(ID).errorCode).toBe(Code.NOT_COORDINATOR);
    const friend = new Client(broker, 'x', home);
    expect(friend.init(ID).errorCode).toBe(Code.NONE);
    expect(client.connection.node).toBe(0);
  });
});
