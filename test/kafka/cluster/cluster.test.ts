import { beforeEach, describe, expect, it } from 'vitest';
import type { EscapementError } from '../../../src/errors.ts';
import { Cluster } from '../../../src/kafka/cluster/cluster.ts';
import { apiVersions } from '../../../src/kafka/protocol/api-versions.ts';
import { encodeResponse } from '../../../src/kafka/protocol/codec.ts';
import { findCoordinator } from '../../../src/kafka/protocol/find-coordinator.ts';
import { heartbeat } from '../../../src/kafka/protocol/heartbeat.ts';
import { metadata } from '../../../src/kafka/protocol/metadata.ts';
import { TransportError } from '../../../src/kafka/transport/transport.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { RunningTime } from '../running-time.ts';
import { ScriptedTransport } from '../transport/scripted.ts';

const METADATA = {
  brokers: [{ nodeId: 1, host: 'h', port: 9_001 }],
  topics: [{ errorCode: 0, name: 'orders', partitions: [] }],
};
const BEAT = { groupId: 'g', generationId: 1, memberId: 'm' };

const time = new RunningTime();
const { ports } = time;

const failure = (work: Promise<unknown>): Promise<EscapementError> =>
  work.then(
    () => expect.fail('it succeeded'),
    (error: unknown) => error as EscapementError,
  );

describe('a cluster', () => {
  let transport: ScriptedTransport;
  let cluster: Cluster;
  /** Leaders by partition, per topic. */
  const topics = new Map<string, number[]>();

  beforeEach(() => {
    topics.clear();
    transport = new ScriptedTransport()
      .on(metadata, [0, 13], ({ topics: asked, allowAutoTopicCreation }) => {
        expect(allowAutoTopicCreation).toBe(false);
        return {
          brokers: [1, 2].map((nodeId) => ({ nodeId, host: 'h', port: 9_000 + nodeId })),
          controllerId: 2,
          topics: (asked ?? []).map(({ name }) => {
            const leaders = topics.get(name ?? '');
            const partitions = (leaders ?? []).map((leaderId, partitionIndex) => ({
              errorCode: leaderId < 0 ? 5 : 0,
              partitionIndex,
              leaderId,
              replicaNodes: [],
              isrNodes: [],
            }));
            return { errorCode: leaders === undefined ? 3 : 0, name, partitions };
          }),
        };
      })
      .on(heartbeat, [0, 3], () => ({ errorCode: 0 }));
    cluster = new Cluster({ transport, ports, log: silentLog, requestTimeoutMs: 300 });
  });

  it('learns the nodes at start', async () => {
    await cluster.start();
    expect(cluster.brokerCount).toBe(2);
    expect(cluster.controller).toBe(2);
    expect(transport.nodes.get(2)).toEqual({ id: 2, host: 'h', port: 9_002 });
  });

  it('speaks the highest version that both know, asked for once per node', async () => {
    await Promise.all([1, 2, 3].map(() => cluster.send(1, heartbeat, BEAT, { lane: 'group' })));
    await cluster.send(1, heartbeat, BEAT, { lane: 'group', versionMax: 2 });
    expect(transport.count(apiVersions.key)).toBe(1);
    const beats = transport.asked.filter(({ apiKey }) => apiKey === heartbeat.key);
    expect(beats.map(({ apiVersion }) => apiVersion)).toEqual([3, 3, 3, 2]);
    expect(beats.map(({ lane, timeoutMs }) => [lane, timeoutMs])[0]).toEqual(['group', 300]);
    // Versions are asked for where no request waits.
    expect(transport.asked[0]?.lane).toBe('transaction');
  });

  it('gives the body the version it is for', async () => {
    const versions: number[] = [];
    await cluster.send(
      1,
      heartbeat,
      (version) => {
        versions.push(version);
        return BEAT;
      },
      { lane: 'group' },
    );
    expect(versions).toEqual([3]);
  });

  it('names API and versions when the broker is too old', async () => {
    const error = await failure(cluster.send(1, heartbeat, BEAT, { lane: 'group', versionMin: 4 }));
    expect(error.code).toBe('BROKER_TOO_OLD');
    expect(error.message).toContain('Node 1 offers Heartbeat in versions 0 to 3');
    expect(error.message).toContain('needs version 4');
  });

  it.each([
    { name: 'lacks it', range: null, message: 'Node 1 does not offer Heartbeat' },
    { name: 'is too new', range: [7, 9], message: 'Node 1 offers Heartbeat in versions 7 to 9' },
  ])('names API, version and node when a broker $name', async ({ range, message }) => {
    const [minVersion = 0, maxVersion = 0] = range ?? [];
    const apiKeys = range === null ? [] : [{ apiKey: heartbeat.key, minVersion, maxVersion }];
    transport.onRaw(apiVersions.key, ({ apiVersion }) =>
      encodeResponse(apiVersions, apiVersion, { errorCode: 0, apiKeys }),
    );
    const error = await failure(cluster.send(1, heartbeat, BEAT, { lane: 'group' }));
    expect(error).toMatchObject({ code: 'BROKER_TOO_OLD', decision: 'stop', at: { node: '1' } });
    expect(error.message).toContain(message);
    expect(error.message).toContain('escapement needs a version from 0 to 4');
    // Nothing was sent in a version that the node might read as something else.
    expect(transport.count(heartbeat.key)).toBe(0);
  });

  it('knows what the cluster has finalized, and asks again once the connection was lost', async () => {
    let level = 1;
    let epoch = 0;
    transport.onRaw(apiVersions.key, ({ apiVersion }) =>
      encodeResponse(apiVersions, apiVersion, {
        errorCode: 0,
        apiKeys: [{ apiKey: heartbeat.key, minVersion: 0, maxVersion: 4 }],
        finalizedFeaturesEpoch: epoch,
        finalizedFeatures: [{ name: 'f', maxVersionLevel: level, minVersionLevel: 1 }],
      }),
    );
    expect(await cluster.finalizedFeature(1, 'f')).toBe(1);
    expect(await cluster.finalizedFeature(1, 'other')).toBe(0);
    level = 2;
    expect(await cluster.finalizedFeature(1, 'f')).toBe(1);
    transport.onRaw(heartbeat.key, () => {
      throw new TransportError('unknown', 'connection lost');
    });
    await failure(cluster.send(1, heartbeat, BEAT, { lane: 'group' }));
    expect(await cluster.finalizedFeature(1, 'f')).toBe(2);
    // -1: the node does not know what is finalized.
    epoch = -1;
    expect(await cluster.finalizedFeature(2, 'f')).toBe(0);
  });

  it('has not sent a request for which the versions could not be had', async () => {
    transport.onRaw(apiVersions.key, () => {
      throw new TransportError('unknown', 'connection lost');
    });
    const error = await failure(cluster.send(1, heartbeat, BEAT, { lane: 'group' }));
    expect(error).toMatchObject({ fate: 'never-sent', decision: 'retry' });
  });

  it('falls back to version 0 of ApiVersions', async () => {
    const asked: number[] = [];
    transport.onRaw(apiVersions.key, ({ apiVersion }) => {
      asked.push(apiVersion);
      const errorCode = apiVersion > 0 ? 35 : 0;
      const apiKeys = [{ apiKey: heartbeat.key, minVersion: 0, maxVersion: 1 }];
      return encodeResponse(apiVersions, 0, { errorCode, apiKeys });
    });
    await cluster.send(1, heartbeat, BEAT, { lane: 'group' });
    expect(asked).toEqual([3, 0]);
  });

  it('repeats no request itself, and asks for versions again after a lost connection', async () => {
    await cluster.send(1, heartbeat, BEAT, { lane: 'group' });
    let sent = 0;
    transport.onRaw(heartbeat.key, () => {
      sent++;
      throw new TransportError('unknown', 'lost');
    });
    const error = await failure(cluster.send(1, heartbeat, BEAT, { lane: 'group' }));
    expect((error as TransportError).fate).toBe('unknown');
    expect(sent).toBe(1);
    await failure(cluster.send(1, heartbeat, BEAT, { lane: 'group' }));
    expect(transport.count(apiVersions.key)).toBe(2);
  });

  it('describes topics and leaves out those that do not exist', async () => {
    topics.set('orders', [1, 2, -1]);
    const found = await cluster.topics(['orders', 'nowhere']);
    expect([...found]).toEqual([['orders', { partitions: 3, leaders: [1, 2, -1], replicas: 0 }]]);
  });

  it('remembers leaders until they are forgotten', async () => {
    topics.set('orders', [1, 2]);
    expect(await cluster.leaderOf('orders', 1)).toBe(2);
    expect(await cluster.leaderOf('orders', 0)).toBe(1);
    expect(transport.count(metadata.key)).toBe(1);
    topics.set('orders', [2, 1]);
    cluster.forgetLeader('orders', 1);
    expect(await cluster.leaderOf('orders', 1)).toBe(1);
    expect(transport.count(metadata.key)).toBe(2);
  });

  it('asks once for many partitions of a topic at the same time', async () => {
    topics.set('orders', [1, 2, 1, 2]);
    const leaders = await Promise.all([0, 1, 2, 3].map((p) => cluster.leaderOf('orders', p)));
    expect(leaders).toEqual([1, 2, 1, 2]);
    expect(transport.count(metadata.key)).toBe(1);
  });

  it('waits for an election, within the time of a lookup', async () => {
    topics.set('orders', [-1]);
    const waiting = cluster.leaderOf('orders', 0);
    ports.timers.after(50, () => topics.set('orders', [2]));
    expect(await waiting).toBe(2);
    topics.set('orders', [-1]);
    cluster.forgetLeader('orders', 0);
    expect((await failure(cluster.leaderOf('orders', 0))).message).toContain(
      'LEADER_NOT_AVAILABLE',
    );
  });

  /** Requests for metadata are lost without a word, so many of them; then they are answered. */
  const lose = (count: number): void => {
    let lost = 0;
    transport.onRaw(metadata.key, async ({ apiVersion, timeoutMs }) => {
      if (++lost > count) return encodeResponse(metadata, apiVersion, METADATA);
      await ports.timers.sleep(timeoutMs + 1);
      throw new TransportError('unknown', `not answered within ${timeoutMs} ms`);
    });
  };
  const deadlines = () =>
    transport.asked.filter(({ apiKey }) => apiKey === metadata.key).map((each) => each.timeoutMs);

  it('misses a lost request soon, and gives the next one twice as long', async () => {
    lose(3);
    const parts = { transport, ports, log: silentLog };
    const member = new Cluster({ ...parts, requestTimeoutMs: 500, lookupAttemptMs: 10 });
    expect([...(await member.topics(['orders'])).keys()]).toEqual(['orders']);
    expect(deadlines()).toEqual([10, 20, 40, 80]);
  });

  it('starts although the first request is lost', async () => {
    lose(1);
    const parts = { transport, ports, log: silentLog };
    await new Cluster({ ...parts, startTimeoutMs: 1_000 }).start();
    expect(deadlines()).toEqual([500, 500]);
  });

  it('starts although the process stood still at the first request for longer than that may take', async () => {
    let asked = 0;
    transport.onRaw(metadata.key, ({ apiVersion }) => {
      if (++asked > 1) return encodeResponse(metadata, apiVersion, METADATA);
      time.stall(60_000);
      throw new TransportError('unknown', 'not answered in time');
    });
    await new Cluster({ transport, ports, log: silentLog, startTimeoutMs: 1_000 }).start();
    expect(asked).toBe(2);
  });

  it('refuses a partition that the topic does not have', async () => {
    topics.set('orders', [1]);
    expect((await failure(cluster.leaderOf('orders', 4))).code).toBe('TOPIC_MISMATCH');
  });

  it('keeps trying at start, then says why it failed', async () => {
    let attempts = 0;
    transport.onRaw(apiVersions.key, () => {
      attempts++;
      throw new TransportError('never-sent', 'No connection to h:1');
    });
    const impatient = new Cluster({
      transport,
      ports,
      log: silentLog,
      startTimeoutMs: 100,
    });
    const error = await failure(impatient.start());
    expect(error.code).toBe('CONNECTION_FAILED');
    expect(attempts).toBeGreaterThan(1);
  });

  describe('coordinators', () => {
    const answers: { errorCode: number; nodeId: number }[] = [];
    beforeEach(() => {
      answers.length = 0;
      transport.on(findCoordinator, [0, 6], ({ key, keyType }) => {
        expect([key, keyType]).toEqual(['app', 1]);
        const answer = answers.length > 1 ? answers.shift()! : answers[0]!;
        return { ...answer, host: 'h', port: 9_000 + answer.nodeId };
      });
    });

    it('are found once for all who ask, and found again when forgotten', async () => {
      answers.push({ errorCode: 0, nodeId: 5 });
      const nodes = await Promise.all([1, 2].map(() => cluster.coordinator('transaction', 'app')));
      expect(nodes).toEqual([5, 5]);
      expect(await cluster.coordinator('transaction', 'app')).toBe(5);
      expect(transport.count(findCoordinator.key)).toBe(1);
      expect(transport.nodes.get(5)?.port).toBe(9_005);
      cluster.forgetCoordinator('transaction', 'app');
      answers.splice(0, 1, { errorCode: 0, nodeId: 6 });
      expect(await cluster.coordinator('transaction', 'app')).toBe(6);
    });

    it('are waited for while the broker loads or elects them', async () => {
      answers.push({ errorCode: 15, nodeId: -1 }, { errorCode: 14, nodeId: -1 });
      answers.push({ errorCode: 0, nodeId: 3 });
      expect(await cluster.coordinator('transaction', 'app')).toBe(3);
      expect(transport.count(findCoordinator.key)).toBe(3);
      expect(transport.nodes.has(-1)).toBe(false);
    });

    it('are refused when the right is missing', async () => {
      answers.push({ errorCode: 53, nodeId: -1 });
      const error = await failure(cluster.coordinator('transaction', 'app'));
      expect(error.code).toBe('NOT_AUTHORIZED');
      expect(transport.count(findCoordinator.key)).toBe(1);
    });

    it('are forgotten with the node that cannot be reached', async () => {
      answers.push({ errorCode: 0, nodeId: 5 });
      await cluster.coordinator('transaction', 'app');
      transport.onRaw(heartbeat.key, () => {
        throw new TransportError('never-sent', 'refused');
      });
      await failure(cluster.send(5, heartbeat, BEAT, { lane: 'group' }));
      await cluster.coordinator('transaction', 'app');
      expect(transport.count(findCoordinator.key)).toBe(2);
    });
  });
});
