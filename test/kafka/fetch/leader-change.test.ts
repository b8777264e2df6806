/** Leaders move, replicas stand in: the fetcher asks another node, and the group hears of nothing. */
import { afterEach, describe, expect, it } from 'vitest';
import { Cluster } from '../../../src/kafka/cluster/cluster.ts';
import { Fetcher, type FetcherOptions } from '../../../src/kafka/fetch/fetcher.ts';
import type { PartitionFeed } from '../../../src/kafka/fetch/partition-feed.ts';
import { fetch } from '../../../src/kafka/protocol/fetch.ts';
import { metadata } from '../../../src/kafka/protocol/metadata.ts';
import { systemPorts } from '../../../src/ports.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { batch } from '../../broker/batch.ts';
import { ScriptedTransport } from '../transport/scripted.ts';
import { takeAll } from './reading.ts';

const LEADER = 1;
const FOLLOWER = 2;
const NOT_LEADER = 6;

interface Answer {
  readonly errorCode?: number;
  readonly preferredReadReplica?: number;
  readonly records?: Buffer;
}

describe('where a partition is read', () => {
  const open: Fetcher[] = [];
  afterEach(async () => {
    for (const fetcher of open.splice(0)) await fetcher.close();
  });

  /** Three brokers; `answer` says what each tells of `orders-0`. Every node asked is listed. */
  function scene(
    answer: (node: number, position: number, rackId: string) => Answer,
    options: Partial<FetcherOptions> = {},
  ) {
    const asked: [node: number, position: number][] = [];
    let leader = LEADER;
    const partition = () => ({
      partitionIndex: 0,
      leaderId: leader,
      errorCode: 0,
      replicaNodes: [],
      isrNodes: [],
    });
    const transport = new ScriptedTransport()
      .on(metadata, [0, 12], () => ({
        brokers: [1, 2, 3].map((nodeId) => ({ nodeId, host: 'h', port: nodeId })),
        topics: [{ errorCode: 0, name: 'orders', partitions: [partition()] }],
      }))
      .on(fetch, [4, 12], async ({ topics, rackId }, node) => {
        const position = topics[0]!.partitions[0]!.fetchOffset;
        asked.push([node as number, position]);
        const given = answer(node as number, position, rackId);
        if (given.records === undefined && given.errorCode === undefined) {
          await systemPorts.timers.sleep(5);
        }
        const fetched = {
          partitionIndex: 0,
          errorCode: 0,
          highWatermark: 9,
          lastStableOffset: 9,
          abortedTransactions: null,
          preferredReadReplica: -1,
          records: null,
          ...given,
        };
        return { responses: [{ topic: 'orders', partitions: [fetched] }] };
      });
    const cluster = new Cluster({ transport, ports: systemPorts, log: silentLog });
    const fetcher = new Fetcher({ cluster, ports: systemPorts, log: silentLog, ...options });
    open.push(fetcher);
    const lead = (node: number) => {
      leader = node;
    };
    return { fetcher, asked, transport, lead, feed: fetcher.add('orders', 0, 0) };
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

  it.each([
    ['NOT_LEADER_OR_FOLLOWER', NOT_LEADER],
    ['FENCED_LEADER_EPOCH', 74],
    ['UNKNOWN_LEADER_EPOCH', 75],
    ['OFFSET_NOT_AVAILABLE', 78],
    ['UNKNOWN_TOPIC_ID', 100],
    ['INCONSISTENT_TOPIC_ID', 103],
    ['KAFKA_STORAGE_ERROR', 56],
    ['UNKNOWN_TOPIC_OR_PARTITION', 3],
  ])('%s makes it look for the leader again: no group request, no gap', async (_, errorCode) => {
    let refused = 0;
    const { fetcher, feed, asked, transport, lead } = scene((node, position) => {
      if (position === 1 && refused === 0) {
        refused += 1;
        lead(3);
        return { errorCode };
      }
      return position < 3 && (position === 0 || node === 3) ? { records: batchAt(position) } : {};
    });
    expect(await values(fetcher, feed, 3)).toEqual(['v0', 'v1', 'v2']);
    expect(asked.slice(0, 4)).toEqual([
      [LEADER, 0],
      [LEADER, 1],
      [3, 1],
      [3, 2],
    ]);
    // A leader that moved is nobody's business but the fetcher's: 18 ApiVersions, 3 Metadata.
    expect(new Set(transport.asked.map(({ apiKey }) => apiKey))).toEqual(new Set([1, 3, 18]));
  });

  it('is the replica that the leader names for the rack', async () => {
    const racks = new Set<string>();
    const { fetcher, feed, asked } = scene(
      (node, position, rackId) => {
        racks.add(rackId);
        if (node === LEADER) return { preferredReadReplica: FOLLOWER };
        return position < 2 ? { records: batchAt(position) } : {};
      },
      { rackId: 'here' },
    );
    expect(await values(fetcher, feed, 2)).toEqual(['v0', 'v1']);
    expect(asked.slice(0, 3)).toEqual([
      [LEADER, 0],
      [FOLLOWER, 0],
      [FOLLOWER, 1],
    ]);
    expect([...racks]).toEqual(['here']);
  });

  it('is the leader again when the replica refuses, also with an offset it does not have', async () => {
    const refusals = [NOT_LEADER, 1];
    const { fetcher, feed, asked } = scene((node, position) => {
      const code = refusals[0];
      if (node === LEADER) {
        return code === undefined
          ? { records: batchAt(position) }
          : { preferredReadReplica: FOLLOWER };
      }
      refusals.shift();
      return { errorCode: code ?? 0 };
    });
    expect(await values(fetcher, feed, 1)).toEqual(['v0']);
    expect(feed.error).toBe(null);
    expect(asked.slice(0, 5).map(([node]) => node)).toEqual([
      LEADER,
      FOLLOWER,
      LEADER,
      FOLLOWER,
      LEADER,
    ]);
  });
});

function batchAt(offset: number): Buffer {
  const bytes = batch({ values: [`v${offset}`] });
  bytes.writeBigInt64BE(BigInt(offset), 0);
  return bytes;
}
