import { describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker/broker.ts';
import { brokerTransport } from '../../src/broker/in-process.ts';
import { decodeResponse, encodeRequest } from '../../src/kafka/protocol/codec.ts';
import { createTopics } from '../../src/kafka/protocol/create-topics.ts';
import { fetch } from '../../src/kafka/protocol/fetch.ts';
import { metadata } from '../../src/kafka/protocol/metadata.ts';
import type { Api } from '../../src/kafka/protocol/schema.ts';
import type { Lane, Transport } from '../../src/kafka/transport/transport.ts';
import { VirtualPorts } from './ports.ts';

function open() {
  const ports = new VirtualPorts();
  const broker = new Broker({ ports });
  const transport = brokerTransport(broker);
  return { ports, broker, transport };
}

async function send<Req, Res>(
  transport: Transport,
  api: Api<Req, Res>,
  version: number,
  body: NoInfer<Req>,
  options: { lane?: Lane; timeoutMs?: number; node?: number | 'any' } = {},
): Promise<Res> {
  const { lane = 'transaction', timeoutMs = 1_000, node = 0 } = options;
  const bytes = await transport.request(node, {
    apiKey: api.key,
    apiVersion: version,
    body: encodeRequest(api, version, body),
    timeoutMs,
    lane,
  });
  return decodeResponse(api, version, bytes);
}

const topic = { name: 't', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] };
const poll = {
  maxWaitMs: 500,
  minBytes: 1,
  topics: [{ topic: 't', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 }] }],
};

/** Lets promises run that need no time. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

describe('the in-process door', () => {
  test('carries requests to any node and leaves no timer behind', async () => {
    const { ports, transport } = open();
    await send(transport, createTopics, 5, { topics: [topic] }, { node: 'any' });
    const answer = await send(transport, metadata, 6, { topics: null });
    expect(answer.topics.map((each) => each.name)).toEqual(['t']);
    expect(ports.pendingTimers).toBe(0);
  });

  test('handles nothing inside the stack of the caller', async () => {
    const { broker, transport } = open();
    const sent = send(transport, createTopics, 5, { topics: [topic] });
    expect(broker.topics.find('t')).toBeUndefined();
    await sent;
    expect(broker.topics.find('t')).toBeDefined();
  });

  test('rule 16: answers one lane in order, and lanes independently of each other', async () => {
    const { ports, transport } = open();
    await send(transport, createTopics, 5, { topics: [topic] });
    const order: string[] = [];
    const note = (name: string) => () => order.push(name);
    const all = [
      send(transport, fetch, 11, poll, { lane: 'fetch' }).then(note('poll')),
      send(transport, metadata, 6, { topics: null }, { lane: 'fetch' }).then(note('behind')),
      send(transport, metadata, 6, { topics: null }, { lane: 'group' }).then(note('beside')),
    ];
    await settle();
    expect(order).toEqual(['beside']);
    ports.advance(500);
    await Promise.all(all);
    expect(order).toEqual(['beside', 'poll', 'behind']);
  });

  test('closes the connection of a request that is not answered in time, fate unknown', async () => {
    const { ports, transport } = open();
    await send(transport, createTopics, 5, { topics: [topic] });
    const late = send(transport, fetch, 11, poll, { lane: 'fetch', timeoutMs: 100 });
    const behind = send(transport, metadata, 6, { topics: null }, { lane: 'fetch' });
    const outcomes = Promise.allSettled([late, behind]);
    await settle();
    ports.advance(100);
    expect(await outcomes).toMatchObject([
      { status: 'rejected', reason: { fate: 'unknown' } },
      { status: 'rejected', reason: { fate: 'unknown' } },
    ]);
    const fresh = await send(transport, metadata, 6, { topics: null }, { lane: 'fetch' });
    expect(fresh.topics).toHaveLength(1);
  });

  test('rule 23: what was delivered stays handled, what was not never is', async () => {
    const { broker, transport } = open();
    const first = send(transport, createTopics, 5, { topics: [topic] });
    await settle();
    const second = send(transport, createTopics, 5, { topics: [{ ...topic, name: 'u' }] });
    const outcomes = Promise.allSettled([first, second]);
    await transport.close();
    expect((await outcomes).map((each) => each.status)).toEqual(['fulfilled', 'rejected']);
    expect(broker.topics.find('t')).toBeDefined();
    expect(broker.topics.find('u')).toBeUndefined();
  });

  test('refuses requests after close and to unknown nodes as never sent', async () => {
    const { transport } = open();
    const ask = (node: number) => send(transport, metadata, 6, { topics: null }, { node });
    await expect(ask(7)).rejects.toMatchObject({ fate: 'never-sent' });
    await transport.close();
    await expect(ask(0)).rejects.toMatchObject({ fate: 'never-sent' });
  });

  test('rejects malformed requests as of unknown fate', async () => {
    const { transport } = open();
    const request = { apiKey: 0, apiVersion: 99, timeoutMs: 1_000, lane: 'group' as const };
    await expect(transport.request(0, { ...request, body: Buffer.alloc(0) })).rejects.toMatchObject(
      { fate: 'unknown' },
    );
  });
});
