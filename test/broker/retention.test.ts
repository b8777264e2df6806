import { describe, expect, test } from 'vitest';
import { deleteRecords } from '../../src/kafka/protocol/delete-records.ts';
import { KafkaErrorCode as Code } from '../../src/kafka/protocol/error-codes.ts';
import { type Client, stage } from './client.ts';

const ID = 'app-in-0';

function start(client: Client): number {
  return client.broker.topics.partition('t', 0)!.log.logStartOffset;
}

function deleteBefore(client: Client, offset: number) {
  const partitions = [{ partitionIndex: 0, offset }];
  const answer = client.ask(deleteRecords, 2, {
    topics: [{ name: 't', partitions }],
    timeoutMs: 1_000,
  });
  return answer.topics[0]!.partitions[0]!;
}

describe('retention', () => {
  test('deletes what is older than retention.ms, when it is asked to', () => {
    const { client, ports, broker } = stage();
    client.createTopic('t', 1, { 'retention.ms': '1000' });
    const write = () =>
      client.produce('t', 0, { values: ['a', 'b'], timestamp: ports.clock.now() });
    write();
    ports.advance(600);
    write();
    ports.advance(600);
    expect(start(client)).toBe(0);
    broker.clean('other');
    expect(start(client)).toBe(0);
    broker.clean();
    expect(start(client)).toBe(2);
    ports.advance(600);
    broker.clean();
    expect(client.fetch('t', 0, 4)).toMatchObject({ logStartOffset: 4, highWatermark: 4 });
    expect(write().baseOffset).toBe(4);
  });

  test('deletes what is over retention.bytes', () => {
    const { client, broker, ports } = stage();
    const bytes = client.broker.settings.nodes * 3 * 70;
    client.createTopic('t', 1, { 'retention.bytes': String(bytes) });
    for (let n = 0; n < 10; n++)
      client.produce('t', 0, { values: ['a'], timestamp: ports.clock.now() });
    broker.clean('t');
    const { log } = broker.topics.partition('t', 0)!;
    expect(log.bytes).toBeGreaterThanOrEqual(bytes);
    expect(log.bytes - log.batches[0]!.bytes.length).toBeLessThan(bytes);
    expect(start(client)).toBe(10 - log.batches.length);
  });

  test('leaves a compacted topic alone unless its policy deletes as well', () => {
    const { client, ports, broker } = stage();
    const configs = { 'retention.ms': '1000', 'cleanup.policy': 'compact' };
    client.createTopic('t', 1, configs);
    client.produce('t', 0, { values: ['a'] });
    ports.advance(10_000);
    broker.clean();
    expect(start(client)).toBe(0);
    client.createTopic('both', 1, { ...configs, 'cleanup.policy': 'compact,delete' });
    client.produce('both', 0, { values: ['a'] });
    ports.advance(10_000);
    broker.clean();
    expect(client.fetch('both', 0, 1).logStartOffset).toBe(1);
  });

  test('rule 9: forgets a producer that was not seen for producer.id.expiration.ms', () => {
    const { client, ports, broker } = stage({ producerIdExpirationMs: 1_000 });
    client.createTopic('t');
    const { producerId } = client.init(null);
    const spec = { producerId, epoch: 0, values: ['a'] };
    client.produce('t', 0, { ...spec, sequence: 0 });
    const gap = { ...spec, sequence: 7 };
    ports.advance(999);
    broker.clean();
    expect(client.produce('t', 0, gap).errorCode).toBe(Code.OUT_OF_ORDER_SEQUENCE_NUMBER);
    ports.advance(1);
    broker.clean();
    expect(client.produce('t', 0, gap).errorCode).toBe(Code.NONE);
  });

  test('rule 9: does not forget one with a transaction open', () => {
    const { client, ports, broker } = stage({ producerIdExpirationMs: 1_000 });
    client.createTopic('t');
    const producer = client.init(ID, undefined, 600_000);
    client.produceIn(ID, producer, 't', 0, { values: ['a'], sequence: 0 }, 12);
    ports.advance(5_000);
    broker.clean();
    const next = { values: ['b'], sequence: 1 };
    expect(client.produceIn(ID, producer, 't', 0, next, 12).errorCode).toBe(Code.NONE);
    client.endV2(ID, producer, 'abort');
    ports.advance(20);
    expect(client.fetch('t', 0, 0).abortedTransactions).toMatchObject([{ firstOffset: 0 }]);
  });
});

describe('rule 19: a log whose start moved', () => {
  test('is read from its start, and out of range below', () => {
    const { client } = stage();
    client.createTopic('t');
    for (const value of ['a', 'b', 'c']) client.produce('t', 0, { values: [value] });
    expect(deleteBefore(client, 2)).toMatchObject({ errorCode: 0, lowWatermark: 2 });
    expect(client.fetch('t', 0, 1).errorCode).toBe(Code.OFFSET_OUT_OF_RANGE);
    expect(client.fetch('t', 0, 2).batches.map((each) => each.values)).toEqual([['c']]);
  });

  test('has no last stable offset below it, and still ends its open transaction', () => {
    const { client, ports } = stage();
    client.createTopic('t');
    const producer = client.init(ID);
    client.produceIn(ID, producer, 't', 0, { values: ['a'], sequence: 0 }, 12);
    client.produceIn(ID, producer, 't', 0, { values: ['b'], sequence: 1 }, 12);
    deleteBefore(client, 1);
    expect(client.fetch('t', 0, 1)).toMatchObject({ lastStableOffset: 1, batches: [] });
    client.endV2(ID, producer, 'abort');
    ports.advance(20);
    const { lastStableOffset, abortedTransactions } = client.fetch('t', 0, 1);
    expect(lastStableOffset).toBe(3);
    expect(abortedTransactions).toMatchObject([{ firstOffset: 0 }]);
  });

  test('forgets the aborted transactions that lie wholly below', () => {
    const { client, ports } = stage();
    client.createTopic('t');
    let producer = client.init(ID);
    for (let n = 0; n < 3; n++) {
      client.produceIn(ID, producer, 't', 0, { values: ['a'], sequence: 0 }, 12);
      const { producerId, producerEpoch } = client.endV2(ID, producer, 'abort');
      ports.advance(20);
      producer = { ...producer, producerId, producerEpoch };
    }
    deleteBefore(client, 2);
    const aborted = client.fetch('t', 0, 2).abortedTransactions!;
    expect(aborted.map((each) => each.firstOffset)).toEqual([2, 4]);
  });
});
