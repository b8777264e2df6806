/** What waits to be taken is bounded in all, and nobody who does not take holds back another. */
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { FetchBudget, type Grant } from '../../../src/kafka/fetch/fetch-budget.ts';
import { Fetcher, type FetcherOptions } from '../../../src/kafka/fetch/fetcher.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { marked } from '../marked.ts';
import { Reading, takeAll } from './reading.ts';

const KIB = 1_024;

describe('what all partitions hold', () => {
  const open: Fetcher[] = [];
  afterEach(async () => {
    for (const fetcher of open.splice(0)) await fetcher.close();
  });

  function fetcherOf(reading: Reading, options: Partial<FetcherOptions>): Fetcher {
    const { cluster, ports } = reading;
    const fetcher = new Fetcher({ cluster, ports, log: silentLog, ...options });
    open.push(fetcher);
    return fetcher;
  }

  /** Partitions with 64 batches of a KiB each. */
  function filled(partitions: number): Reading {
    const reading = new Reading();
    reading.client.createTopic('orders', partitions);
    for (let partition = 0; partition < partitions; partition++) {
      for (let index = 0; index < 64; index++) {
        reading.write('orders', partition, `${partition}:${index}:`.padEnd(KIB - 80, '.'));
      }
    }
    return reading;
  }

  it('stays within fetchBytesMax while nobody takes, and nothing is asked for then', async () => {
    const reading = filled(20);
    const bytesMax = 256 * KIB;
    const fetcher = fetcherOf(reading, { bytesMax, bytesPerPartitionMax: 64 * KIB, maxWaitMs: 50 });
    const feeds = Array.from({ length: 20 }, (_, at) => fetcher.add('orders', at, 0));
    const held = () => feeds.reduce((sum, feed) => sum + feed.bufferedBytes, 0);
    // Everybody has something, which is more than one half of the bytes could hold for all.
    await reading.time.until(() => feeds.every((feed) => feed.bufferedBytes > 0));
    const asked = () => reading.tap.fetches.length;
    for (let before = -1; before !== asked(); ) {
      before = asked();
      await reading.ports.timers.sleep(60);
    }
    expect(held()).toBeLessThanOrEqual(bytesMax);
    expect(fetcher.heldBytes).toBe(held());
    for (const [partition, feed] of feeds.entries()) {
      expect(takeAll(feed)[0]).toContain(`${partition}:0:`);
    }
    expect(fetcher.heldBytes).toBe(0);
  });

  it('leaves a partition its share when paused ones have taken all the rest', async () => {
    const reading = filled(8);
    const fetcher = fetcherOf(reading, {
      bytesMax: 64 * KIB,
      bytesPerPartitionMax: 64 * KIB,
      maxWaitMs: 20,
    });
    const paused = [0, 1, 2, 3, 4, 5, 6].map((partition) => fetcher.add('orders', partition, 0));
    await reading.time.until(() => paused.every((feed) => feed.bufferedBytes > 0));
    const read = fetcher.add('orders', 7, 0);
    const values: string[] = [];
    await reading.time.until(() => {
      values.push(...takeAll(read));
      return values.length === 64;
    });
    expect(values.map((value) => Number(value.split(':')[1]))).toEqual([...values.keys()]);
  });

  it('gives back what a removed partition held', async () => {
    const reading = filled(2);
    const fetcher = fetcherOf(reading, { bytesPerPartitionMax: 16 * KIB, maxWaitMs: 20 });
    const feed = fetcher.add('orders', 0, 0);
    await reading.time.until(() => feed.bufferedBytes > 0);
    fetcher.remove(feed);
    await fetcher.close();
    expect(fetcher.heldBytes).toBe(0);
  });

  it('does not grow by chunks without records', async () => {
    const reading = new Reading();
    reading.client.createTopic('orders');
    const producer = reading.client.init('t');
    for (let sequence = 0; sequence < 30; sequence++) {
      reading.client.addPartitions('t', producer, 'orders', [0]);
      reading.client.produceIn('t', producer, 'orders', 0, { values: ['no'], sequence });
      reading.client.end('t', producer, 'abort');
      await marked(reading);
    }
    const fetcher = fetcherOf(reading, { bytesPerPartitionMax: 100, maxWaitMs: 20 });
    const feed = fetcher.add('orders', 0, 0);
    await reading.time.until(() => feed.position === 60);
    expect(feed.take()).toMatchObject({ count: 0, fetchOffset: 0, nextOffset: 60 });
    expect(feed.take()).toBe(null);
  });
});

describe('a budget', () => {
  it('grants no more than its bytes, and to who holds nothing always something', () => {
    const act = fc.record({
      who: fc.nat({ max: 9 }),
      what: fc.constantFrom('ask', 'answer', 'take'),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10 }),
        fc.integer({ min: 2_000, max: 1_000_000 }),
        fc.array(act, { maxLength: 60 }),
        (partitions, bytesMax, acts) => {
          const budget = new FetchBudget({ bytesMax, bytesPerPartitionMax: 100_000 });
          const rows = Array.from({ length: partitions }, () => {
            budget.enter();
            return { held: 0, asked: null as Grant | null };
          });
          for (const { who, what, part } of acts) {
            const row = rows[who % partitions]!;
            if (what === 'ask' && row.asked === null) {
              const grant = budget.grant(1, row.held === 0 ? 1 : 0);
              if (row.held === 0) expect(grant.answerBytes).toBeGreaterThan(0);
              if (row.held > 0 && grant.whom === 'empty') continue;
              budget.ask(grant);
              row.asked = grant;
            } else if (what === 'answer' && row.asked !== null) {
              const bytes = Math.floor(part * row.asked.answerBytes);
              budget.answered(row.asked);
              budget.hold(bytes);
              row.held += bytes;
              row.asked = null;
            } else if (what === 'take') {
              budget.release(row.held);
              row.held = 0;
            }
            expect(budget.bytes).toBeLessThanOrEqual(bytesMax);
          }
        },
      ),
    );
  });
});
