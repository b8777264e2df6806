/** A bit that flips on the way: once it is read again, for ever it is an error with its place. */
import { afterEach, describe, expect, it } from 'vitest';
import { Fetcher } from '../../../src/kafka/fetch/fetcher.ts';
import { readRange } from '../../../src/kafka/fetch/read-range.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { Reading, takeAll, valuesOf } from './reading.ts';

const FETCH = 1;

describe('a bit that flips in a fetched batch', () => {
  const open: Fetcher[] = [];
  afterEach(async () => {
    for (const fetcher of open.splice(0)) await fetcher.close();
  });

  /** Flips a bit of the value `needle` in the first `times` answers that hold it. */
  function flipping(times: number) {
    const reading = new Reading();
    reading.client.createTopic('orders', 2);
    for (const value of ['sound', 'needle', 'sound']) reading.write('orders', 1, value);
    let flipped = 0;
    reading.tap.change = (answer, { apiKey }) => {
      const at = answer.indexOf('needle');
      if (apiKey !== FETCH || at < 0 || flipped === times) return answer;
      flipped += 1;
      const copy = Buffer.from(answer);
      copy[at]! ^= 0x04;
      return copy;
    };
    return { reading, flips: () => flipped };
  }

  const corrupt = {
    code: 'BATCH_CORRUPT',
    decision: 'stop',
    at: { topic: 'orders', partition: 1, offset: 1 },
    message: expect.stringContaining('orders-1@1'),
  };

  it('once is fetched again, and nobody hears of it', async () => {
    const { reading, flips } = flipping(1);
    const fetcher = new Fetcher({ ...reading, log: silentLog });
    open.push(fetcher);
    const feed = fetcher.add('orders', 1, 0);
    const values: string[] = [];
    await reading.time.until(() => {
      values.push(...takeAll(feed));
      return values.length === 3 || feed.error !== null;
    });
    expect([values, flips()]).toEqual([['sound', 'needle', 'sound'], 1]);
    expect(fetcher.counts.repeated).toBe(1);
  });

  it('each time is fatal after the second look, with topic, partition and offset', async () => {
    const { reading, flips } = flipping(Number.POSITIVE_INFINITY);
    const fetcher = new Fetcher({ ...reading, log: silentLog });
    open.push(fetcher);
    const feed = fetcher.add('orders', 1, 0);
    await reading.time.until(() => feed.error !== null || feed.bufferedBytes > 0);
    expect(feed.error).toMatchObject(corrupt);
    expect([flips(), takeAll(feed)]).toEqual([2, []]);
  });

  it('in a restore is fetched again once, then fatal with its place', async () => {
    const range = { topic: 'orders', partition: 1, from: 0, to: 3, isolation: 'read_committed' };
    const read = async (reading: Reading) => {
      const values: string[] = [];
      for await (const chunk of readRange({ ...reading, ...range } as never)) {
        values.push(...valuesOf(chunk));
      }
      return values;
    };
    const once = flipping(1);
    expect([await read(once.reading), once.flips()]).toEqual([['sound', 'needle', 'sound'], 1]);
    const always = flipping(Number.POSITIVE_INFINITY);
    await expect(read(always.reading)).rejects.toMatchObject(corrupt);
    expect(always.flips()).toBe(2);
  });
});
