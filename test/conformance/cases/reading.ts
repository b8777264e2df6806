/** What a reader gets: offsets, the last stable offset, aborted transactions, bounds of the log. */
import { expect } from 'vitest';
import { fetch } from '../../../src/kafka/protocol/fetch.ts';
import { fact } from '../case.ts';
import { nameOf } from '../client.ts';
import { readAll, valuesOf } from '../reader.ts';
import type { Stage } from '../stage.ts';

async function rows(stage: Stage, count: number, configs: Record<string, string> = {}) {
  const topic = await stage.topic(1, configs);
  for (let index = 0; index < count; index++) {
    await stage.client.produce(topic, 0, { values: [`v${index}`] });
  }
  return topic;
}

const STABLE = [
  fact('a marker takes an offset', async (stage) => {
    const topic = await stage.topic();
    const producer = await stage.producer();
    expect(await producer.send(topic, ['a', 'b'])).toBe(0);
    await producer.finish('commit');
    expect(await producer.send(topic, ['c'])).toBe(3);
    await producer.finish('commit');
    const { records } = await readAll(stage.client, topic, 'read_committed');
    expect(records.map(({ offset }) => offset)).toEqual([0, 1, 3]);
  }),
  fact(
    'the last stable offset is the first offset of the oldest open transaction',
    async (stage) => {
      const topic = await rows(stage, 1);
      const [one, two] = [await stage.producer(), await stage.producer()];
      await one.send(topic, ['a']);
      await two.send(topic, ['b']);
      await one.write(topic, ['c']);
      const open = await stage.client.fetch(topic, 0, 0);
      expect([open.lastStableOffset, open.highWatermark]).toEqual([1, 4]);
      await one.finish('commit');
      const half = await stage.client.fetch(topic, 0, 0);
      expect([half.lastStableOffset, half.highWatermark]).toEqual([2, 5]);
      await two.finish('abort');
      const none = await stage.client.fetch(topic, 0, 0);
      expect([none.lastStableOffset, none.highWatermark]).toEqual([6, 6]);
    },
  ),
  fact(
    'a younger transaction that ends first does not move the last stable offset',
    async (stage) => {
      const topic = await stage.topic();
      const [one, two] = [await stage.producer(), await stage.producer()];
      await one.send(topic, ['a']);
      await two.send(topic, ['b']);
      await two.finish('commit');
      expect((await stage.client.listOffset(topic)).offset).toBe(0);
      await one.finish('commit');
      expect((await stage.client.listOffset(topic)).offset).toBe(4);
    },
  ),
  fact('an added partition without records does not hold the last stable offset', async (stage) => {
    const topic = await rows(stage, 2);
    const producer = await stage.producer();
    await producer.add(topic);
    expect((await stage.client.listOffset(topic)).offset).toBe(2);
  }),
  fact('a read_committed fetch ends before the last stable offset', async (stage) => {
    const topic = await rows(stage, 1);
    const producer = await stage.producer();
    await producer.send(topic, ['open']);
    await stage.client.produce(topic, 0, { values: ['behind'] });
    expect(await valuesOf(stage.client, topic)).toEqual(['v0']);
    expect(await valuesOf(stage.client, topic, 'read_uncommitted')).toEqual([
      'v0',
      'open',
      'behind',
    ]);
  }),
  fact('a read_committed fetch at the last stable offset is empty and no error', async (stage) => {
    const topic = await rows(stage, 1);
    const producer = await stage.producer();
    await producer.send(topic, ['open']);
    const got = await stage.client.fetch(topic, 0, 1);
    expect(got).toMatchObject({ error: 'NONE', batches: [], lastStableOffset: 1 });
  }),
  fact('a read_committed fetch waits for the marker that ends the transaction', async (stage) => {
    const topic = await stage.topic();
    const reader = await stage.connect();
    const producer = await stage.producer();
    await producer.send(topic, ['a']);
    const waiting = reader.fetch(topic, 0, 0, { maxWaitMs: 50_000 });
    await producer.finish('commit');
    const got = await waiting;
    expect(got.batches.map(({ values }) => values[0])[0]).toBe('a');
  }),
  fact('a fetch that waits is answered by an append', async (stage) => {
    const topic = await stage.topic();
    const reader = await stage.connect();
    const waiting = reader.fetch(topic, 0, 0, { maxWaitMs: 50_000 });
    await stage.client.produce(topic, 0, { values: ['a'] });
    expect((await waiting).batches).toHaveLength(1);
  }),
  fact('a fetch that waits in vain is empty', async (stage) => {
    const topic = await stage.topic();
    const got = await stage.client.fetch(topic, 0, 0, { maxWaitMs: 50 });
    expect(got).toMatchObject({ error: 'NONE', batches: [], highWatermark: 0 });
  }),
];

const ABORTED = [
  fact('aborted transactions are listed in the order in which they ended', async (stage) => {
    const topic = await stage.topic();
    const [one, two] = [await stage.producer(), await stage.producer()];
    await one.send(topic, ['a']);
    await two.send(topic, ['b']);
    await two.finish('abort');
    await one.finish('abort');
    const { aborted } = await stage.client.fetch(topic, 0, 0);
    expect(aborted).toEqual([
      { producerId: two.producerId, firstOffset: 1 },
      { producerId: one.producerId, firstOffset: 0 },
    ]);
  }),
  fact('an aborted transaction that began before the fetch offset is listed', async (stage) => {
    const topic = await stage.topic();
    const producer = await stage.producer();
    await producer.send(topic, ['a']);
    await producer.write(topic, ['b']);
    await producer.finish('abort');
    const { aborted } = await stage.client.fetch(topic, 0, 1);
    expect(aborted).toEqual([{ producerId: producer.producerId, firstOffset: 0 }]);
  }),
  fact('an aborted transaction is listed for a fetch that starts at its marker', async (stage) => {
    const topic = await stage.topic();
    const producer = await stage.producer();
    await producer.send(topic, ['a']);
    await producer.finish('abort');
    await stage.client.produce(topic, 0, { values: ['b'] });
    const atMarker = await stage.client.fetch(topic, 0, 1);
    expect(atMarker.aborted).toEqual([{ producerId: producer.producerId, firstOffset: 0 }]);
    const behind = await stage.client.fetch(topic, 0, 2);
    expect(behind.aborted).toEqual([]);
  }),
  fact('a committed transaction is not listed', async (stage) => {
    const topic = await stage.topic();
    const producer = await stage.producer();
    await producer.send(topic, ['a']);
    await producer.finish('commit');
    expect((await stage.client.fetch(topic, 0, 0)).aborted).toEqual([]);
  }),
  fact('two aborts of one producer are listed one by one', async (stage) => {
    const topic = await stage.topic();
    const producer = await stage.producer();
    for (const value of ['a', 'b']) {
      await producer.send(topic, [value]);
      await producer.finish('abort');
    }
    const { producerId } = producer;
    const { aborted } = await stage.client.fetch(topic, 0, 0);
    expect(aborted).toEqual([
      { producerId, firstOffset: 0 },
      { producerId, firstOffset: 2 },
    ]);
  }),
  fact('an aborted transaction without records on the partition is not listed', async (stage) => {
    const topic = await stage.topic();
    const producer = await stage.producer();
    await producer.add(topic);
    await producer.finish('abort');
    expect(await stage.client.log(topic)).toEqual(['abort@0']);
    expect((await stage.client.fetch(topic, 0, 0)).aborted).toEqual([]);
  }),
  fact('read_uncommitted gets no list', async (stage) => {
    const topic = await stage.topic();
    const producer = await stage.producer();
    await producer.send(topic, ['a']);
    await producer.finish('abort');
    const got = await stage.client.fetch(topic, 0, 0, { isolation: 'read_uncommitted' });
    expect(got.aborted).toBe(null);
  }),
  fact(
    'records of a transaction that aborts among others are hidden, the others are not',
    async (stage) => {
      const topic = await stage.topic();
      const [one, two] = [await stage.producer(), await stage.producer()];
      await one.send(topic, ['a']);
      await two.send(topic, ['b']);
      await stage.client.produce(topic, 0, { values: ['plain'] });
      await one.write(topic, ['c']);
      await one.finish('abort');
      await one.send(topic, ['d']);
      await one.finish('commit');
      await two.finish('commit');
      expect(await valuesOf(stage.client, topic)).toEqual(['b', 'plain', 'd']);
    },
  ),
];

const BOUNDS = [
  fact('a fetch below the log start or beyond the end is OFFSET_OUT_OF_RANGE', async (stage) => {
    const topic = await rows(stage, 3);
    await stage.client.deleteRecords(topic, 2);
    const error = async (offset: number) => (await stage.client.fetch(topic, 0, offset)).error;
    expect(await error(1)).toBe('OFFSET_OUT_OF_RANGE');
    expect(await error(2)).toBe('NONE');
    expect(await error(3)).toBe('NONE');
    expect(await error(4)).toBe('OFFSET_OUT_OF_RANGE');
  }),
  fact('OFFSET_OUT_OF_RANGE answers at once although the fetch may wait', async (stage) => {
    const topic = await stage.topic();
    const begun = Date.now();
    const got = await stage.client.fetch(topic, 0, 5, { maxWaitMs: 60_000 });
    expect(got.error).toBe('OFFSET_OUT_OF_RANGE');
    expect(Date.now() - begun).toBeLessThan(60_000);
  }),
  fact(
    'a fetch of a partition that does not exist is UNKNOWN_TOPIC_OR_PARTITION',
    async (stage) => {
      const topic = await stage.topic();
      expect((await stage.client.fetch(topic, 1, 0)).error).toBe('UNKNOWN_TOPIC_OR_PARTITION');
      const missing = stage.name('missing');
      expect((await stage.client.fetch(missing, 0, 0)).error).toBe('UNKNOWN_TOPIC_OR_PARTITION');
    },
  ),
  fact('a fetch amid a batch gets the whole batch', async (stage) => {
    const topic = await stage.topic();
    await stage.client.produce(topic, 0, { values: ['a', 'b', 'c'] });
    const { batches } = await stage.client.fetch(topic, 0, 2);
    expect(batches.map(({ baseOffset, values }) => [baseOffset, values.length])).toEqual([[0, 3]]);
  }),
  fact('the first batch comes whole however small the limits are', async (stage) => {
    const topic = await rows(stage, 3);
    const limits = { maxBytes: 1, partitionMaxBytes: 1 };
    const { batches } = await stage.client.fetch(topic, 0, 0, limits);
    expect(batches).toHaveLength(1);
  }),
  fact('a fetch within its limit ends with a whole batch', async (stage) => {
    const topic = await rows(stage, 10);
    const { batches } = await stage.client.fetch(topic, 0, 0, { partitionMaxBytes: 250 });
    expect(batches.length).toBeGreaterThan(0);
    expect(batches.length).toBeLessThan(10);
  }),
  fact('the current leader epoch is served, a newer one is UNKNOWN_LEADER_EPOCH', async (stage) => {
    const topic = await rows(stage, 1);
    const error = async (leaderEpoch: number) =>
      (await stage.client.fetch(topic, 0, 0, { leaderEpoch })).error;
    expect(await error(0)).toBe('NONE');
    expect(await error(1)).toBe('UNKNOWN_LEADER_EPOCH');
    const list = async (leaderEpoch: number) =>
      (await stage.client.listOffset(topic, 0, { leaderEpoch })).error;
    expect(await list(0)).toBe('NONE');
    expect(await list(1)).toBe('UNKNOWN_LEADER_EPOCH');
  }),
  fact('the session id of another broker is FETCH_SESSION_ID_NOT_FOUND', async (stage) => {
    const topic = await rows(stage, 1);
    const answer = await stage.client.ask(fetch, 11, {
      maxWaitMs: 0,
      minBytes: 1,
      maxBytes: 1_000,
      sessionId: 123_456,
      sessionEpoch: 3,
      topics: [{ topic, partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000 }] }],
    });
    expect(nameOf(answer.errorCode)).toBe('FETCH_SESSION_ID_NOT_FOUND');
  }),
];

const LISTED = [
  fact('ListOffsets gives the start and both ends of a log', async (stage) => {
    const topic = await rows(stage, 3);
    const producer = await stage.producer();
    await producer.send(topic, ['open']);
    const list = async (timestamp: number, isolation: 'read_committed' | 'read_uncommitted') =>
      (await stage.client.listOffset(topic, 0, { timestamp, isolation })).offset;
    expect(await list(-2, 'read_committed')).toBe(0);
    expect(await list(-1, 'read_committed')).toBe(3);
    expect(await list(-1, 'read_uncommitted')).toBe(4);
  }),
  fact('ListOffsets by time gives the first record at or after it', async (stage) => {
    const topic = await stage.topic();
    const first = Date.now() - 100_000;
    for (const [index, value] of ['a', 'b', 'c'].entries()) {
      const timestamp = first + index * 1_000;
      await stage.client.produce(topic, 0, {
        values: [value, value],
        timestamp,
        timestampStep: 100,
      });
    }
    const find = async (timestamp: number) => {
      const { offset, timestamp: found } = await stage.client.listOffset(topic, 0, { timestamp });
      return [offset, found - first];
    };
    expect(await find(first - 5)).toEqual([0, 0]);
    expect(await find(first + 1_000)).toEqual([2, 1_000]);
    expect(await find(first + 1_001)).toEqual([3, 1_100]);
    expect(await find(first + 1_101)).toEqual([4, 2_000]);
    const beyond = await stage.client.listOffset(topic, 0, { timestamp: first + 9_000 });
    expect(beyond).toEqual({ error: 'NONE', offset: -1, timestamp: -1 });
  }),
  fact('ListOffsets of the newest time gives its first record', async (stage) => {
    const topic = await stage.topic();
    const now = Date.now();
    for (const timestamp of [now - 10, now, now - 5]) {
      await stage.client.produce(topic, 0, { values: ['v'], timestamp });
    }
    expect(await stage.client.listOffset(topic, 0, { timestamp: -3 })).toEqual({
      error: 'NONE',
      offset: 1,
      timestamp: now,
    });
  }),
  fact('ListOffsets of the newest time in an empty log finds nothing', async (stage) => {
    const topic = await stage.topic();
    expect(await stage.client.listOffset(topic, 0, { timestamp: -3 })).toEqual({
      error: 'NONE',
      offset: -1,
      timestamp: -1,
    });
  }),
  fact(
    'ListOffsets of a partition that does not exist is UNKNOWN_TOPIC_OR_PARTITION',
    async (stage) => {
      const topic = await stage.topic();
      expect((await stage.client.listOffset(topic, 3)).error).toBe('UNKNOWN_TOPIC_OR_PARTITION');
    },
  ),
];

const DELETED = [
  fact('DeleteRecords moves the start of the log', async (stage) => {
    const topic = await rows(stage, 5);
    expect(await stage.client.deleteRecords(topic, 3)).toEqual({ error: 'NONE', lowWatermark: 3 });
    expect((await stage.client.listOffset(topic, 0, { timestamp: -2 })).offset).toBe(3);
    expect((await stage.client.fetch(topic, 0, 3)).logStartOffset).toBe(3);
  }),
  fact('DeleteRecords to a lower offset changes nothing', async (stage) => {
    const topic = await rows(stage, 5);
    await stage.client.deleteRecords(topic, 3);
    expect(await stage.client.deleteRecords(topic, 1)).toEqual({ error: 'NONE', lowWatermark: 3 });
  }),
  fact('DeleteRecords to -1 empties the log', async (stage) => {
    const topic = await rows(stage, 5);
    expect(await stage.client.deleteRecords(topic, -1)).toEqual({ error: 'NONE', lowWatermark: 5 });
    expect(await stage.client.fetch(topic, 0, 5)).toMatchObject({ error: 'NONE', batches: [] });
  }),
  fact('DeleteRecords beyond the end is OFFSET_OUT_OF_RANGE', async (stage) => {
    const topic = await rows(stage, 2);
    expect((await stage.client.deleteRecords(topic, 3)).error).toBe('OFFSET_OUT_OF_RANGE');
    expect((await stage.client.deleteRecords(topic, -2)).error).toBe('OFFSET_OUT_OF_RANGE');
  }),
  fact('DeleteRecords of a topic that is only compacted is POLICY_VIOLATION', async (stage) => {
    const topic = await stage.topic(1, { 'cleanup.policy': 'compact' });
    await stage.client.produce(topic, 0, { values: ['a'] });
    expect((await stage.client.deleteRecords(topic, 1)).error).toBe('POLICY_VIOLATION');
  }),
  fact('DeleteRecords of a topic that is compacted and deleted moves the start', async (stage) => {
    const topic = await stage.topic(1, { 'cleanup.policy': 'compact,delete' });
    await stage.client.produce(topic, 0, { values: ['a'] });
    expect((await stage.client.deleteRecords(topic, 1)).error).toBe('NONE');
  }),
  fact('DeleteRecords may cut into a batch, which is still read whole', async (stage) => {
    const topic = await stage.topic();
    await stage.client.produce(topic, 0, { values: ['a', 'b', 'c'] });
    await stage.client.deleteRecords(topic, 1);
    const { batches } = await stage.client.fetch(topic, 0, 1);
    expect(batches.map(({ baseOffset, values }) => [baseOffset, values.length])).toEqual([[0, 3]]);
  }),
  fact('DeleteRecords leaves sequences and duplicates known', async (stage) => {
    const topic = await stage.topic();
    const producerId = await stage.producerId();
    const write = (sequence: number) =>
      stage.client.produce(topic, 0, { values: ['v'], sequence, producerId, epoch: 0 });
    await write(0);
    await write(1);
    await stage.client.deleteRecords(topic, 2);
    expect((await write(3)).error).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    expect(await write(1)).toMatchObject({ error: 'NONE', baseOffset: 1 });
    expect((await write(2)).error).toBe('NONE');
  }),
  fact(
    'DeleteRecords of a partition that does not exist is UNKNOWN_TOPIC_OR_PARTITION',
    async (stage) => {
      const missing = stage.name('missing');
      const got = await stage.client.deleteRecords(missing, 0);
      expect(got.error).toBe('UNKNOWN_TOPIC_OR_PARTITION');
    },
  ),
  fact('an aborted transaction that began below the log start is still listed', async (stage) => {
    const topic = await stage.topic();
    const producer = await stage.producer();
    await producer.send(topic, ['a']);
    await producer.write(topic, ['b']);
    await producer.finish('abort');
    await stage.client.deleteRecords(topic, 1);
    const { aborted } = await stage.client.fetch(topic, 0, 1);
    expect(aborted).toEqual([{ producerId: producer.producerId, firstOffset: 0 }]);
  }),
];

export const READING = [...STABLE, ...ABORTED, ...BOUNDS, ...LISTED, ...DELETED];
