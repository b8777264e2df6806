import { describe, expect, test } from 'vitest';
import { encodeRequest } from '../../src/kafka/protocol/codec.ts';
import { KafkaErrorCode as Code } from '../../src/kafka/protocol/error-codes.ts';
import { produce } from '../../src/kafka/protocol/produce.ts';
import { batch } from './batch.ts';
import { Client, stage } from './client.ts';

function topic(configs: Readonly<Record<string, string>> = {}) {
  const staged = stage();
  expect(staged.client.createTopic('t', 1, configs)).toBe(Code.NONE);
  return staged;
}

const SEQUENCE_MAX = 2_147_483_647;

describe('an append', () => {
  test('assigns base offsets and keeps the batch as it came', () => {
    const { client } = topic();
    expect(client.produce('t', 0, { values: ['a', 'b'] })).toMatchObject({ baseOffset: 0 });
    expect(client.produce('t', 0, { values: ['c'] })).toMatchObject({ baseOffset: 2 });
    const { batches } = client.fetch('t', 0, 0);
    expect(batches.map(({ baseOffset, values }) => [baseOffset, values])).toEqual([
      [0, ['a', 'b']],
      [2, ['c']],
    ]);
  });

  test('does not write into the bytes of the request, nor keep them', () => {
    const { client, broker } = topic();
    const partitionData = [{ index: 0, records: batch({ values: ['a'] }) }];
    const body = encodeRequest(produce, 9, {
      acks: -1,
      timeoutMs: 1_000,
      topicData: [{ name: 't', partitionData }],
    });
    const before = Buffer.from(body);
    for (let times = 0; times < 2; times++) {
      broker.handle(client.connection, produce.key, 9, body, () => {});
      expect(body.equals(before)).toBe(true);
    }
    body.fill(0);
    expect(client.log('t')).toEqual(['a', 'a']);
  });

  test('has no answer with acks 0', () => {
    const { client } = topic();
    const partitionData = [{ index: 0, records: batch({ values: ['a'] }) }];
    const later = client.post(produce, 9, {
      acks: 0,
      timeoutMs: 1_000,
      topicData: [{ name: 't', partitionData }],
    });
    expect(later.answers).toEqual([]);
    expect(client.log('t')).toEqual(['a']);
  });

  test('that fails with acks 0 costs its connection, and nothing else tells of it', () => {
    const { client } = topic();
    let cuts = 0;
    client.connection.cut = () => {
      cuts += 1;
    };
    const send = (index: number) =>
      client.post(produce, 9, {
        acks: 0,
        timeoutMs: 1_000,
        topicData: [{ name: 't', partitionData: [{ index, records: batch({ values: ['a'] }) }] }],
      });
    expect(send(0).answers).toEqual([]);
    expect(cuts).toBe(0);
    expect(send(9).answers).toEqual([]);
    expect(cuts).toBe(1);
  });

  test('refuses unknown topics, unknown partitions and the wrong node', () => {
    const { client, broker } = topic();
    const record = { values: ['a'] };
    expect(client.produce('t', 1, record).errorCode).toBe(Code.UNKNOWN_TOPIC_OR_PARTITION);
    expect(client.produce('u', 0, record).errorCode).toBe(Code.UNKNOWN_TOPIC_OR_PARTITION);
    const stranger = new Client(broker, 'x', 1);
    expect(stranger.produce('t', 0, record).errorCode).toBe(Code.NOT_LEADER_OR_FOLLOWER);
  });

  test('rule 22: refuses what is no batch of format 2', () => {
    const { client } = topic();
    const spoilt = batch({ values: ['a'] });
    spoilt.writeUInt8(spoilt.readUInt8(65) ^ 1, 65);
    expect(client.produce('t', 0, spoilt).errorCode).toBe(Code.CORRUPT_MESSAGE);
    const cut = batch({ values: ['a'] }).subarray(0, 65);
    expect(client.produce('t', 0, cut).errorCode).toBe(Code.CORRUPT_MESSAGE);
    const old = batch({ values: ['a'], magic: 1 });
    expect(client.produce('t', 0, old).errorCode).toBe(Code.INVALID_RECORD);
    const two = Buffer.concat([batch({ values: ['a'] }), batch({ values: ['b'] })]);
    expect(client.produce('t', 0, two).errorCode).toBe(Code.INVALID_RECORD);
    const control = batch({ values: ['a'], attributes: 0x20 });
    expect(client.produce('t', 0, control).errorCode).toBe(Code.INVALID_RECORD);
    expect(client.log('t')).toEqual([]);
  });

  test('rule 22: refuses a batch above max.message.bytes', () => {
    const { client } = topic({ 'max.message.bytes': '200' });
    expect(client.produce('t', 0, { values: ['x'.repeat(150)] }).errorCode).toBe(
      Code.MESSAGE_TOO_LARGE,
    );
    expect(client.produce('t', 0, { values: ['x'.repeat(100)] }).errorCode).toBe(Code.NONE);
  });

  test('rule 22: refuses a record without key on a compacted topic', () => {
    const { client } = topic({ 'cleanup.policy': 'compact' });
    expect(client.produce('t', 0, { values: ['a'], key: null }).errorCode).toBe(
      Code.INVALID_RECORD,
    );
    expect(client.produce('t', 0, { values: ['a', 'b'], key: '' }).errorCode).toBe(Code.NONE);
    const plain = stage().client;
    plain.createTopic('t');
    expect(plain.produce('t', 0, { values: ['a'], key: null }).errorCode).toBe(Code.NONE);
  });
});

describe('an idempotent producer', () => {
  function producing() {
    const { client } = topic();
    const { producerId } = client.init(null);
    const send = (sequence: number, values: readonly string[], epoch = 0) =>
      client.produce('t', 0, { values, producerId, epoch, sequence });
    return { client, send };
  }

  test('rule 9: gets its first answer again for each of its last five batches', () => {
    const { client, send } = producing();
    for (let sequence = 0; sequence < 6; sequence++) send(sequence, [`${sequence}`]);
    for (let sequence = 1; sequence < 6; sequence++) {
      expect(send(sequence, [`${sequence}`])).toMatchObject({ errorCode: 0, baseOffset: sequence });
    }
    expect(send(0, ['0']).errorCode).toBe(Code.OUT_OF_ORDER_SEQUENCE_NUMBER);
    expect(client.log('t')).toHaveLength(6);
  });

  test('rule 9: is refused after a gap', () => {
    const { client, send } = producing();
    send(0, ['a', 'b']);
    expect(send(3, ['d']).errorCode).toBe(Code.OUT_OF_ORDER_SEQUENCE_NUMBER);
    expect(send(2, ['c']).errorCode).toBe(Code.NONE);
    expect(client.log('t')).toEqual(['a b', 'c']);
  });

  test('rule 9: may start anywhere where it is unknown, with sequences that wrap at 2^31', () => {
    const { client, send } = producing();
    expect(send(SEQUENCE_MAX - 1, ['a']).errorCode).toBe(Code.NONE);
    expect(send(SEQUENCE_MAX, ['b', 'c']).errorCode).toBe(Code.NONE);
    expect(send(0, ['x']).errorCode).toBe(Code.OUT_OF_ORDER_SEQUENCE_NUMBER);
    expect(send(1, ['d']).errorCode).toBe(Code.NONE);
    expect(send(SEQUENCE_MAX, ['b', 'c'])).toMatchObject({ errorCode: 0, baseOffset: 1 });
    expect(client.log('t')).toEqual(['a', 'b c', 'd']);
  });

  test('rule 9: goes from the sequence 2^31 - 1 to 0', () => {
    const { send } = producing();
    send(SEQUENCE_MAX, ['a']);
    expect(send(1, ['x']).errorCode).toBe(Code.OUT_OF_ORDER_SEQUENCE_NUMBER);
    expect(send(0, ['b']).errorCode).toBe(Code.NONE);
  });

  test('rule 9: begins at sequence 0 with a new epoch and never goes back', () => {
    const { send } = producing();
    send(0, ['a']);
    expect(send(1, ['b'], 1).errorCode).toBe(Code.OUT_OF_ORDER_SEQUENCE_NUMBER);
    expect(send(0, ['b'], 1).errorCode).toBe(Code.NONE);
    expect(send(1, ['c'], 0).errorCode).toBe(Code.INVALID_PRODUCER_EPOCH);
  });

  test('rule 9: keeps its sequence across transactions', () => {
    const { client, ports } = topic();
    const producer = client.init('id');
    for (let beat = 0; beat < 3; beat++) {
      client.addPartitions('id', producer, 't', [0]);
      const sent = client.produceIn('id', producer, 't', 0, { values: ['a'], sequence: beat });
      expect(sent.errorCode).toBe(Code.NONE);
      client.end('id', producer, 'commit');
      ports.advance(20);
    }
    client.addPartitions('id', producer, 't', [0]);
    const again = client.produceIn('id', producer, 't', 0, { values: ['a'], sequence: 0 });
    expect(again).toMatchObject({ errorCode: Code.NONE, baseOffset: 0 });
  });

  test('rule 9: state that expired accepts any sequence', () => {
    const { client, broker, ports } = topic();
    const { producerId } = client.init(null);
    client.produce('t', 0, { values: ['a'], producerId, epoch: 0, sequence: 0 });
    ports.advance(1_000);
    broker.topics.partition('t', 0)!.producers.expire(ports.clock.now());
    const sent = client.produce('t', 0, { values: ['b'], producerId, epoch: 0, sequence: 77 });
    expect(sent.errorCode).toBe(Code.NONE);
  });

  test('may not write outside of its open transaction', () => {
    const { client } = topic();
    const producer = client.init('id');
    client.addPartitions('id', producer, 't', [0]);
    client.produceIn('id', producer, 't', 0, { values: ['a'], sequence: 0 });
    const { producerId, producerEpoch: epoch } = producer;
    const sent = client.produce('t', 0, { values: ['b'], producerId, epoch, sequence: 1 });
    expect(sent.errorCode).toBe(Code.INVALID_TXN_STATE);
  });
});
