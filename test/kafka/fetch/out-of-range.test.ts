/** A position that is not in the log: an error with its place, or a policy that is told. */
import { afterEach, describe, expect, it } from 'vitest';
import { deleteRecords } from '../../../src/kafka/admin/topics.ts';
import { Fetcher, type OffsetReset } from '../../../src/kafka/fetch/fetcher.ts';
import type { OutOfRange, PartitionFeed } from '../../../src/kafka/fetch/partition-feed.ts';
import { type Log, silentLog } from '../../../src/telemetry/log.ts';
import { Reading, takeAll } from './reading.ts';

describe('an offset out of range', () => {
  const open: Fetcher[] = [];
  afterEach(async () => {
    for (const fetcher of open.splice(0)) await fetcher.close();
  });

  /** A log that holds offsets 3 to 5, an open transaction behind them, and a feed at `offset`. */
  async function reset(offset: number, policy: OutOfRange) {
    const reading = new Reading();
    reading.client.createTopic('orders');
    for (const value of 'abcdef') reading.write('orders', 0, value);
    await deleteRecords(reading.cluster, [{ topic: 'orders', partition: 0, offset: 3 }]);
    const told: OffsetReset[] = [];
    const warnings: unknown[] = [];
    const log: Log = { ...silentLog, warn: (fields, event) => warnings.push({ ...fields, event }) };
    const fetcher = new Fetcher({
      cluster: reading.cluster,
      ports: reading.ports,
      log,
      maxWaitMs: 20,
      offsetReset: (event) => told.push(event),
    });
    open.push(fetcher);
    return { reading, fetcher, told, warnings, feed: fetcher.add('orders', 0, offset, policy) };
  }

  async function values(fetcher: Fetcher, feed: PartitionFeed, count: number): Promise<string[]> {
    const found = takeAll(feed);
    while (found.length < count) {
      await fetcher.arrival();
      if (feed.error !== null) throw feed.error;
      found.push(...takeAll(feed));
    }
    return found;
  }

  it.each([0, 77])('at %i is a typed error with its coordinates by default', async (offset) => {
    const { fetcher, feed, told } = await reset(offset, 'fail');
    while (feed.error === null) await fetcher.arrival();
    expect(feed.error).toMatchObject({
      code: 'OFFSET_OUT_OF_RANGE',
      decision: 'stop',
      at: { topic: 'orders', partition: 0, offset },
    });
    expect([feed.position, told, fetcher.counts.offsetResets]).toEqual([offset, [], 0]);
  });

  it.each([
    [0, 'earliest', 3, ['d', 'e', 'f', 'g']],
    [77, 'earliest', 3, ['d', 'e', 'f', 'g']],
    [0, 'latest', 6, ['g']],
    [77, 'latest', 6, ['g']],
  ] as const)(
    'at %i goes on at the %s by policy, and says so',
    async (from, policy, to, wanted) => {
      const { reading, fetcher, feed, told, warnings } = await reset(from, policy);
      while (told.length === 0) await fetcher.arrival();
      reading.write('orders', 0, 'g');
      expect(await values(fetcher, feed, wanted.length)).toEqual(wanted);
      const event = { topic: 'orders', partition: 0, from, to, policy };
      expect(told).toEqual([event]);
      expect(warnings).toEqual([{ ...event, event: 'fetch.offset_reset' }]);
      expect(fetcher.counts.offsetResets).toBe(1);
    },
  );

  it('goes on at the end below an open transaction, whose records are still to come', async () => {
    const { reading, fetcher, feed, told } = await reset(0, 'latest');
    const producer = reading.client.init('t');
    reading.client.addPartitions('t', producer, 'orders', [0]);
    reading.client.produceIn('t', producer, 'orders', 0, { values: ['open'], sequence: 0 });
    while (told.length === 0) await fetcher.arrival();
    reading.client.end('t', producer, 'commit');
    expect(await values(fetcher, feed, 1)).toEqual(['open']);
  });

  it('tells its reader the new position although no record has come', async () => {
    const { fetcher, feed } = await reset(0, 'earliest');
    while (feed.position === 0) await fetcher.arrival();
    expect(feed.take()).toMatchObject({ count: 0, fetchOffset: 0, nextOffset: 3 });
  });
});
