import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { Cluster } from '../../../src/kafka/cluster/cluster.ts';
import { Fetcher, type FetcherOptions } from '../../../src/kafka/fetch/fetcher.ts';
import type { PartitionFeed } from '../../../src/kafka/fetch/partition-feed.ts';
import { fetch } from '../../../src/kafka/protocol/fetch.ts';
import { metadata } from '../../../src/kafka/protocol/metadata.ts';
import { type FaultPlan, planOf } from '../../../src/kafka/transport/faulty.ts';
import { systemPorts } from '../../../src/ports.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { batch } from '../../broker/batch.ts';
import { marked } from '../marked.ts';
import { ScriptedTransport } from '../transport/scripted.ts';
import { Reading, takeAll } from './reading.ts';

const FETCH = 1;
/** A record that came only when its long poll ended came too late. */
const LONG_MS = 30_000;

describe('a fetcher', () => {
  const open: Fetcher[] = [];
  afterEach(async () => {
    for (const fetcher of open.splice(0)) await fetcher.close();
  });

  const fetcherOf = (cluster: Cluster, options: Partial<FetcherOptions> = {}): Fetcher => {
    const fetcher = new Fetcher({ cluster, ports: cluster.ports, log: silentLog, ...options });
    open.push(fetcher);
    return fetcher;
  };

  /** What a feed gives until it has given `count` values. */
  const read = async (fetcher: Fetcher, feed: PartitionFeed, count: number): Promise<string[]> => {
    const values: string[] = takeAll(feed);
    while (values.length < count) {
      await fetcher.arrival();
      if (feed.error !== null) throw feed.error;
      values.push(...takeAll(feed));
    }
    return values;
  };

  it('gives the records of a partition from an offset on, and its ends', async () => {
    const { client, cluster, write } = bound(new Reading());
    client.createTopic('orders');
    write('orders', 0, 'a', 'b', 'c');
    write('orders', 0, 'd');
    const fetcher = fetcherOf(cluster);
    const feed = fetcher.add('orders', 0, 1);
    expect(feed.lastStableOffset).toBe(-1);
    expect(await read(fetcher, feed, 3)).toEqual(['b', 'c', 'd']);
    expect([feed.position, feed.highWatermark, feed.lastStableOffset]).toEqual([4, 4, 4]);
    expect([feed.take(), feed.bufferedBytes, feed.error]).toEqual([null, 0, null]);
  });

  it('hands a new record on at once, in the middle of a long poll', async () => {
    const { client, cluster, clock, sleep, write } = bound(new Reading());
    client.createTopic('orders');
    const fetcher = fetcherOf(cluster, { maxWaitMs: LONG_MS });
    const feed = fetcher.add('orders', 0, 0);
    await sleep(30);
    for (const value of ['a', 'b', 'c']) {
      write('orders', 0, value);
      expect(await read(fetcher, feed, 1)).toEqual([value]);
    }
    expect(clock.monotonic()).toBeLessThan(LONG_MS);
  });

  it('reads a partition that is added while a long poll waits for others', async () => {
    const { client, clock, cluster, sleep, transport, write } = bound(new Reading());
    client.createTopic('orders', 2);
    write('orders', 1, 'a');
    const fetcher = fetcherOf(cluster, { maxWaitMs: LONG_MS });
    fetcher.add('orders', 0, 0);
    await sleep(30);
    expect(transport.count(FETCH)).toBe(1);
    const feed = fetcher.add('orders', 1, 0);
    expect(await read(fetcher, feed, 1)).toEqual(['a']);
    // And what comes while the long poll still goes on without it.
    write('orders', 1, 'b');
    expect(await read(fetcher, feed, 1)).toEqual(['b']);
    expect(clock.monotonic()).toBeLessThan(LONG_MS);
  });

  it('does not spin when nothing comes', async () => {
    const reading = new Reading();
    const { client, cluster, tap } = reading;
    const { sleep } = reading.ports.timers;
    client.createTopic('orders', 3);
    const fetcher = fetcherOf(cluster, { maxWaitMs: 100 });
    for (const partition of [0, 1, 2]) {
      fetcher.add('orders', partition, 0);
      await sleep(20);
    }
    // Beside a long poll a late partition is asked for every 20 ms, until one takes it in.
    const all = { lane: 'fetch', partitions: ['orders-0', 'orders-1', 'orders-2'] };
    const isWhole = ({ partitions }: { partitions: string[] }) => partitions.length === 3;
    while (!tap.fetches.some(isWhole)) await sleep(5);
    const settled = tap.fetches.findIndex(isWhole);
    while (tap.fetches.length < settled + 4) await sleep(5);
    expect(tap.fetches.slice(settled, settled + 4)).toMatchObject([all, all, all, all]);
  });

  it('sends the next request before it announces what the last one brought', async () => {
    const { client, cluster, transport, write } = bound(new Reading());
    client.createTopic('orders');
    write('orders', 0, 'a');
    const fetcher = fetcherOf(cluster);
    fetcher.add('orders', 0, 0);
    await fetcher.arrival();
    expect(transport.count(FETCH)).toBe(2);
  });

  it('leaves a partition out while enough of it waits, and goes on when it is taken', async () => {
    const { client, clock, cluster, sleep, transport, write } = bound(new Reading());
    client.createTopic('orders', 2);
    const value = 'x'.repeat(600);
    for (let index = 0; index < 6; index++) write('orders', 0, `${index}${value}`);
    const fetcher = fetcherOf(cluster, {
      bytesPerPartitionMax: 700,
      prefetchBytesPerPartitionMax: 1_000,
      maxWaitMs: LONG_MS,
    });
    const feed = fetcher.add('orders', 0, 0);
    // An idle neighbour keeps a long poll open, which must not hold the full one back later.
    fetcher.add('orders', 1, 0);
    while (feed.bufferedBytes < 1_000) await fetcher.arrival();
    expect(feed.position).toBe(2);
    expect(feed.bufferedBytes).toBeGreaterThanOrEqual(1_000);
    const sent = transport.count(FETCH);
    await sleep(50);
    expect(transport.count(FETCH)).toBe(sent);
    const values = await read(fetcher, feed, 6);
    expect(values.map((each) => each[0]).join('')).toBe('012345');
    expect(clock.monotonic()).toBeLessThan(LONG_MS);
  });

  it('makes an offset outside of the log the error of that feed alone', async () => {
    const { client, cluster, write } = bound(new Reading());
    client.createTopic('orders', 2);
    write('orders', 1, 'a');
    const fetcher = fetcherOf(cluster);
    const lost = fetcher.add('orders', 0, 77);
    const other = fetcher.add('orders', 1, 0);
    expect(await read(fetcher, other, 1)).toEqual(['a']);
    while (lost.error === null) await fetcher.arrival();
    expect(lost.error.code).toBe('OFFSET_OUT_OF_RANGE');
    expect(lost.error.at).toMatchObject({ topic: 'orders', partition: 0, offset: 77 });
    write('orders', 1, 'b');
    expect(await read(fetcher, other, 1)).toEqual(['b']);
  });

  it('fails a feed whose topic does not appear', async () => {
    const { cluster } = bound(new Reading());
    const fetcher = fetcherOf(cluster);
    const feed = fetcher.add('nowhere', 0, 0);
    await fetcher.arrival();
    expect(feed.error?.message).toContain('UNKNOWN_TOPIC_OR_PARTITION');
  });

  it('never shows records of an aborted transaction, and moves over its marker', async () => {
    const reading = new Reading();
    const { client, cluster, write } = bound(reading);
    client.createTopic('orders');
    const producer = client.init('t');
    const transact = (value: string, sequence: number, how: 'commit' | 'abort') => {
      client.addPartitions('t', producer, 'orders', [0]);
      client.produceIn('t', producer, 'orders', 0, { values: [value], sequence });
      client.end('t', producer, how);
    };
    write('orders', 0, 'a');
    transact('no', 0, 'abort');
    await marked(reading);
    transact('b', 1, 'commit');
    await marked(reading);
    client.addPartitions('t', producer, 'orders', [0]);
    client.produceIn('t', producer, 'orders', 0, { values: ['open'], sequence: 2 });
    const fetcher = fetcherOf(cluster);
    const feed = fetcher.add('orders', 0, 0);
    expect(await read(fetcher, feed, 2)).toEqual(['a', 'b']);
    expect([feed.position, feed.lastStableOffset, feed.highWatermark]).toEqual([5, 5, 6]);
  });

  it('drops what arrives for a removed feed, and starts anew where it is added again', async () => {
    const { client, clock, cluster, write } = bound(new Reading());
    client.createTopic('orders');
    write('orders', 0, 'a', 'b');
    const fetcher = fetcherOf(cluster, { maxWaitMs: LONG_MS });
    const feed = fetcher.add('orders', 0, 0);
    await read(fetcher, feed, 2);
    fetcher.remove(feed);
    const again = fetcher.add('orders', 0, 1);
    expect(await read(fetcher, again, 1)).toEqual(['b']);
    write('orders', 0, 'c');
    expect(await read(fetcher, again, 1)).toEqual(['c']);
    expect([feed.take(), feed.position]).toEqual([null, 2]);
    expect(clock.monotonic()).toBeLessThan(LONG_MS);
  });

  it('ends with its waiters when it is closed', async () => {
    const { client, cluster, sleep, transport } = bound(new Reading());
    client.createTopic('orders');
    const fetcher = fetcherOf(cluster, { maxWaitMs: 50 });
    fetcher.add('orders', 0, 0);
    await sleep(10);
    const waiting = fetcher.arrival();
    await fetcher.close();
    await waiting;
    await sleep(60);
    const sent = transport.count(FETCH);
    await sleep(80);
    expect(transport.count(FETCH)).toBe(sent);
    expect(() => fetcher.add('orders', 0, 0)).toThrow(expect.objectContaining({ code: 'CLOSED' }));
  });

  it('follows a leader to another node without losing its place', async () => {
    let leader = 1;
    const asked: (readonly [number | 'any', number])[] = [];
    const transport = new ScriptedTransport()
      .on(metadata, [0, 12], () => ({
        brokers: [1, 2].map((nodeId) => ({ nodeId, host: 'h', port: nodeId })),
        topics: [topicLedBy(leader)],
      }))
      .on(fetch, [4, 12], async ({ topics }, node) => {
        const position = topics[0]!.partitions[0]!.fetchOffset;
        asked.push([node, position]);
        if (node !== leader) return answerOf({ errorCode: 6 });
        leader = 2;
        if (position >= 2) await systemPorts.timers.sleep(20);
        return answerOf(position < 2 ? { records: batchAt(position) } : {});
      });
    const fetcher = fetcherOf(clusterOf(transport));
    const feed = fetcher.add('orders', 0, 0);
    expect(await read(fetcher, feed, 2)).toEqual(['v0', 'v1']);
    expect(asked.slice(0, 3)).toEqual([
      [1, 0],
      [1, 1],
      [2, 1],
    ]);
    expect(feed.error).toBe(null);
  });

  it('fetches a corrupt batch once again, then makes it the error of the feed', async () => {
    let corrupt = 1;
    const transport = new ScriptedTransport()
      .on(metadata, [0, 12], () => ({
        brokers: [{ nodeId: 1, host: 'h', port: 1 }],
        topics: [topicLedBy(1)],
      }))
      .on(fetch, [4, 12], ({ topics }) => {
        const records = batchAt(topics[0]!.partitions[0]!.fetchOffset);
        if (corrupt-- > 0) records[70]! ^= 1;
        return answerOf({ records });
      });
    const fetcher = fetcherOf(clusterOf(transport), { prefetchBytesPerPartitionMax: 1 });
    const feed = fetcher.add('orders', 0, 0);
    expect(await read(fetcher, feed, 1)).toEqual(['v0']);
    corrupt = 2;
    while (feed.error === null) {
      await fetcher.arrival();
      takeAll(feed);
    }
    expect(feed.error.code).toBe('BATCH_CORRUPT');
    expect(corrupt).toBe(0);
  });

  it('gives every record once and in order, whatever is lost on the way', async () => {
    const fault = fc.record({
      ordinal: fc.integer({ min: 1, max: 12 }),
      outcome: fc.constantFrom('lose-request', 'lose-reply', 'delay', 'duplicate', 'close'),
      at: fc.constantFrom('before-send', 'after-reply'),
    });
    const plan = fc.array(
      fault.filter(({ outcome, at }) => outcome !== 'lose-request' || at === 'before-send'),
      { maxLength: 5 },
    );
    const steps = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 4, maxLength: 10 });
    await fc.assert(
      fc.asyncProperty(plan, steps, async (faults, writes) => {
        const planned: FaultPlan = planOf(
          faults.map((each) => ({ ...each, apiKey: FETCH, delayMs: 5 })),
        );
        const { client, cluster, sleep, write } = bound(new Reading(planned));
        client.createTopic('orders', 3);
        const fetcher = fetcherOf(cluster, { maxWaitMs: 20, prefetchBytesPerPartitionMax: 100 });
        const feeds = [0, 1, 2].map((partition) => fetcher.add('orders', partition, 0));
        const written: string[][] = [[], [], []];
        for (const [index, partition] of writes.entries()) {
          write('orders', partition, `${index}`);
          written[partition]!.push(`${index}`);
          if (index % 3 === 0) await sleep(2);
        }
        for (const [partition, feed] of feeds.entries()) {
          const wanted = written[partition]!;
          expect(await read(fetcher, feed, wanted.length)).toEqual(wanted);
        }
        await fetcher.close();
      }),
      { numRuns: 60 },
    );
  });
});

function bound(reading: Reading) {
  return {
    client: reading.client,
    cluster: reading.cluster,
    transport: reading.transport,
    clock: reading.ports.clock,
    sleep: reading.ports.timers.sleep,
    write: reading.write.bind(reading),
  };
}

function clusterOf(transport: ScriptedTransport): Cluster {
  return new Cluster({ transport, ports: systemPorts, log: silentLog });
}

function topicLedBy(leaderId: number) {
  const partition = { partitionIndex: 0, leaderId, errorCode: 0, replicaNodes: [], isrNodes: [] };
  return { errorCode: 0, name: 'orders', partitions: [partition] };
}

function answerOf(partition: { errorCode?: number; records?: Buffer }) {
  const fetched = {
    partitionIndex: 0,
    errorCode: partition.errorCode ?? 0,
    highWatermark: 9,
    lastStableOffset: 9,
    abortedTransactions: null,
    records: partition.records ?? null,
  };
  return { responses: [{ topic: 'orders', partitions: [fetched] }] };
}

function batchAt(offset: number): Buffer {
  const bytes = batch({ values: [`v${offset}`] });
  bytes.writeBigInt64BE(BigInt(offset), 0);
  return bytes;
}
