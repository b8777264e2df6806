import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KafkaErrorCode as Code } from '../../src/kafka/protocol/error-codes.ts';
import { fetch } from '../../src/kafka/protocol/fetch.ts';
import { Client, type Producer, stage } from './client.ts';

function topic(partitions = 1) {
  const staged = stage();
  staged.client.createTopic('t', partitions);
  return staged;
}

describe('a fetch', () => {
  test('begins with the whole batch that holds the offset', () => {
    const { client } = topic();
    client.produce('t', 0, { values: ['a', 'b', 'c'] });
    client.produce('t', 0, { values: ['d'] });
    expect(client.fetch('t', 0, 1).batches.map((each) => each.baseOffset)).toEqual([0, 3]);
    expect(client.fetch('t', 0, 3).batches.map((each) => each.baseOffset)).toEqual([3]);
    expect(client.fetch('t', 0, 4)).toMatchObject({ batches: [], highWatermark: 4 });
  });

  test('rule 19: is out of range before the log start and after the log end', () => {
    const { client, broker } = topic();
    for (const value of ['a', 'b', 'c']) client.produce('t', 0, { values: [value] });
    broker.topics.partition('t', 0)!.log.deleteBefore(1);
    expect(client.fetch('t', 0, 0).errorCode).toBe(Code.OFFSET_OUT_OF_RANGE);
    expect(client.fetch('t', 0, 0).logStartOffset).toBe(-1);
    expect(client.fetch('t', 0, 1).logStartOffset).toBe(1);
    expect(client.fetch('t', 0, 1).batches.map((each) => each.values[0])).toEqual(['b', 'c']);
    expect(client.fetch('t', 0, 3).errorCode).toBe(Code.NONE);
    expect(client.fetch('t', 0, 4).errorCode).toBe(Code.OFFSET_OUT_OF_RANGE);
  });

  test('refuses unknown partitions, other nodes, other leader epochs and foreign sessions', () => {
    const { client, broker } = topic();
    expect(client.fetch('t', 1, 0).errorCode).toBe(Code.UNKNOWN_TOPIC_OR_PARTITION);
    expect(new Client(broker, 'x', 1).fetch('t', 0, 0).errorCode).toBe(Code.NOT_LEADER_OR_FOLLOWER);
    const partition = { partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000 };
    const ask = (extra: object) =>
      client.ask(fetch, 11, {
        maxWaitMs: 0,
        minBytes: 1,
        topics: [{ topic: 't', partitions: [{ ...partition, currentLeaderEpoch: 7 }] }],
        ...extra,
      });
    expect(ask({}).responses[0]!.partitions[0]!.errorCode).toBe(Code.UNKNOWN_LEADER_EPOCH);
    expect(ask({ sessionId: 5 }).errorCode).toBe(Code.FETCH_SESSION_ID_NOT_FOUND);
  });

  test('hands out at least one batch and then keeps to the limits', () => {
    const { client } = topic();
    for (let n = 0; n < 4; n++) client.produce('t', 0, { values: ['x'.repeat(100)] });
    const size = client.fetch('t', 0, 0).records!.length / 4;
    const count = (options: object) => client.fetch('t', 0, 0, options).batches.length;
    expect(count({ partitionMaxBytes: 1 })).toBe(1);
    expect(count({ maxBytes: 1 })).toBe(1);
    expect(count({ partitionMaxBytes: 2 * size })).toBe(2);
    expect(count({ partitionMaxBytes: 3 * size - 1 })).toBe(2);
    expect(count({ maxBytes: 3 * size })).toBe(3);
  });

  test('shares the limit of the answer among its partitions, the first one being served', () => {
    const { client } = topic(3);
    for (const index of [1, 2]) client.produce('t', index, { values: ['x'.repeat(100)] });
    const size = client.fetch('t', 1, 0).records!.length;
    const partitions = [0, 1, 2].map((partition) => ({
      partition,
      fetchOffset: 0,
      partitionMaxBytes: 1_000,
    }));
    const served = (maxBytes: number) => {
      const request = { maxWaitMs: 0, minBytes: 1, maxBytes };
      const answer = client.ask(fetch, 11, { ...request, topics: [{ topic: 't', partitions }] });
      return answer.responses[0]!.partitions.map((each) => each.records!.length > 0);
    };
    expect(served(10)).toEqual([false, true, false]);
    expect(served(2 * size - 1)).toEqual([false, true, false]);
    expect(served(2 * size)).toEqual([false, true, true]);
  });
});

describe('a long poll', () => {
  test('waits for the maximum wait when there is nothing', () => {
    const { client, ports } = topic();
    const poll = client.postFetch('t', 0, 0, { maxWaitMs: 500 });
    ports.advance(499);
    expect(poll.answers).toHaveLength(0);
    ports.advance(1);
    expect(poll.answers).toHaveLength(1);
    expect(ports.pendingTimers).toBe(0);
  });

  test('is answered by the append that fills the minimum', () => {
    const { client, ports } = topic();
    client.produce('t', 0, { values: ['a'] });
    const size = client.fetch('t', 0, 0).records!.length;
    const poll = client.postFetch('t', 0, 0, { maxWaitMs: 500, minBytes: 2 * size });
    expect(poll.answers).toHaveLength(0);
    client.produce('t', 0, { values: ['b'] });
    expect(poll.answers).toHaveLength(1);
    expect(ports.pendingTimers).toBe(0);
    client.produce('t', 0, { values: ['c'] });
    expect(poll.answers).toHaveLength(1);
  });

  test('of committed records is answered by the marker, not by the data', () => {
    const { client, ports } = topic();
    const producer = client.init('id');
    client.addPartitions('id', producer, 't', [0]);
    const committed = client.postFetch('t', 0, 0, { maxWaitMs: 500 });
    const isolation = 'read_uncommitted' as const;
    const uncommitted = client.postFetch('t', 0, 0, { maxWaitMs: 500, isolation });
    client.produceIn('id', producer, 't', 0, { values: ['a'], sequence: 0 });
    expect(uncommitted.answers).toHaveLength(1);
    expect(committed.answers).toHaveLength(0);
    client.end('id', producer, 'commit');
    ports.advance(20);
    expect(committed.answers).toHaveLength(1);
  });

  test('is answered at once by an error, and when its topic is deleted', () => {
    const { client, broker } = topic();
    const late = client.postFetch('t', 0, 9, { maxWaitMs: 500 });
    expect(late.answers[0]!.responses[0]!.partitions[0]!.errorCode).toBe(Code.OFFSET_OUT_OF_RANGE);
    const poll = client.postFetch('t', 0, 0, { maxWaitMs: 500 });
    broker.topics.delete('t');
    expect(poll.answers[0]!.responses[0]!.partitions[0]!.errorCode).toBe(
      Code.UNKNOWN_TOPIC_OR_PARTITION,
    );
  });
});

describe('read_committed', () => {
  function producer(client: Client, id: string): Producer {
    const made = client.init(id);
    client.addPartitions(id, made, 't', [0]);
    return made;
  }

  test('rule 11: stops at the first offset of the oldest open transaction', () => {
    const { client, ports } = topic();
    client.produce('t', 0, { values: ['plain'] });
    const [a, b] = [producer(client, 'a'), producer(client, 'b')];
    client.produceIn('a', a, 't', 0, { values: ['a'], sequence: 0 });
    client.produceIn('b', b, 't', 0, { values: ['b'], sequence: 0 });
    client.end('b', b, 'commit');
    ports.advance(20);
    const held = client.fetch('t', 0, 0);
    expect(held).toMatchObject({ lastStableOffset: 1, highWatermark: 4 });
    expect(held.batches.map((each) => each.values[0])).toEqual(['plain']);
    expect(client.fetch('t', 0, 2)).toMatchObject({ errorCode: 0, batches: [] });
    client.end('a', a, 'commit');
    ports.advance(20);
    expect(client.fetch('t', 0, 0)).toMatchObject({ lastStableOffset: 5, highWatermark: 5 });
  });

  test('rule 12: lists aborted transactions in the order of completion', () => {
    const { client, ports } = topic();
    const [a, b] = [producer(client, 'a'), producer(client, 'b')];
    client.produceIn('a', a, 't', 0, { values: ['a'], sequence: 0 });
    client.produceIn('b', b, 't', 0, { values: ['b'], sequence: 0 });
    client.end('b', b, 'abort');
    ports.advance(20);
    client.end('a', a, 'abort');
    ports.advance(20);
    const first = { producerId: b.producerId, firstOffset: 1 };
    const second = { producerId: a.producerId, firstOffset: 0 };
    expect(client.fetch('t', 0, 0).abortedTransactions).toEqual([first, second]);
    // From inside: a transaction that began before the fetch offset is still listed.
    expect(client.fetch('t', 0, 3).abortedTransactions).toEqual([second]);
    expect(client.fetch('t', 0, 4).abortedTransactions).toEqual([]);
    const isolation = 'read_uncommitted' as const;
    expect(client.fetch('t', 0, 0, { isolation }).abortedTransactions ?? []).toEqual([]);
  });

  test('rules 11 and 12: agrees with a slow model of the whole log', () => {
    const step = fc.record({
      id: fc.constantFrom('a', 'b', 'c'),
      action: fc.constantFrom('produce', 'produce', 'commit', 'abort'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), fc.nat(30), (steps, from) => {
        const { client, ports } = topic();
        // The model: one line per offset, transactions resolved by looking at all of it.
        const lines: { id: string; kind: 'data' | 'commit' | 'abort' }[] = [];
        const open = new Map<string, { producer: Producer; sequence: number }>();
        const sequences = new Map<string, number>();
        for (const { id, action } of steps) {
          if (action === 'produce') {
            const state = open.get(id) ?? {
              producer: sequences.has(id)
                ? client.broker.listTransactions().find((each) => each.transactionalId === id)!
                : client.init(id),
              sequence: 0,
            };
            if (!open.has(id)) client.addPartitions(id, state.producer, 't', [0]);
            open.set(id, state);
            const sequence = sequences.get(id) ?? 0;
            sequences.set(id, sequence + 1);
            client.produceIn(id, state.producer, 't', 0, { values: [id], sequence });
            lines.push({ id, kind: 'data' });
          } else if (open.has(id)) {
            client.end(id, open.get(id)!.producer, action as 'commit' | 'abort');
            ports.advance(20);
            open.delete(id);
            lines.push({ id, kind: action as 'commit' | 'abort' });
          }
        }
        const endOf = (index: number) =>
          lines.findIndex((line, at) => {
            return at > index && line.id === lines[index]!.id && line.kind !== 'data';
          });
        const firstOpen = lines.findIndex((line, at) => line.kind === 'data' && endOf(at) === -1);
        const stable = firstOpen === -1 ? lines.length : firstOpen;
        const start = Math.min(from, stable);
        const got = client.fetch('t', 0, start);
        expect(got.lastStableOffset).toBe(stable);
        const offsets = got.batches.map((each) => each.baseOffset);
        expect(offsets).toEqual(
          lines.map((_, at) => at).filter((at) => at >= start && at < stable),
        );
        // The reader's view of the aborted list: a record is dropped exactly if its end is an abort.
        for (const at of offsets) {
          if (lines[at]!.kind !== 'data') continue;
          const end = endOf(at);
          const producerId = got.batches.find((each) => each.baseOffset === at)!.producerId;
          const listed = got.abortedTransactions!.some((entry) => {
            const from = entry.firstOffset;
            return entry.producerId === producerId && from <= at && endOf(from) === end;
          });
          expect(listed).toBe(lines[end]!.kind === 'abort');
        }
      }),
      { numRuns: 60 },
    );
  });
});
