/** What a client at the TCP door may cost the broker, however it behaves. */
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker/broker.ts';
import { type Listener, listen } from '../../src/broker/tcp.ts';
import { encodeRequest } from '../../src/kafka/protocol/codec.ts';
import { fetch } from '../../src/kafka/protocol/fetch.ts';
import { joinGroup } from '../../src/kafka/protocol/join-group.ts';
import { metadata } from '../../src/kafka/protocol/metadata.ts';
import type { Api } from '../../src/kafka/protocol/schema.ts';
import { systemPorts } from '../../src/ports.ts';
import { batch } from './batch.ts';
import { Client } from './client.ts';
import { VirtualPorts } from './ports.ts';

const MEGABYTE = 1_048_576;
const faults: unknown[] = [];
let ports: VirtualPorts;
let broker: Broker;
let listener: Listener;
/** Api keys in the order in which the broker got them. */
let handled: number[];

afterEach(async () => {
  broker.close();
  await listener.close();
  expect(faults.splice(0)).toEqual([]);
});

/** A broker in virtual time behind a door: nothing that waits there ends by itself. */
async function open(): Promise<Client> {
  ports = new VirtualPorts();
  broker = new Broker({ ports });
  handled = [];
  const handle = broker.handle.bind(broker);
  broker.handle = (connection, key, version, body, reply) => {
    handled.push(key);
    handle(connection, key, version, body, reply);
  };
  listener = await listen(broker, {
    host: '127.0.0.1',
    port: 0,
    onFault: (error) => faults.push(error),
  });
  const client = new Client(broker);
  client.createTopic('t');
  handled.length = 0;
  return client;
}

function dial(): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(listener.port, '127.0.0.1', () => resolve(socket));
    socket.on('error', () => {});
  });
}

function frame<Req>(
  api: Api<Req, unknown>,
  version: number,
  correlationId: number,
  body: NoInfer<Req>,
): Buffer {
  const bytes = encodeRequest(api, version, body);
  const head = Buffer.alloc(14);
  head.writeInt32BE(head.length - 4 + bytes.length, 0);
  head.writeInt16BE(api.key, 4);
  head.writeInt16BE(version, 6);
  head.writeInt32BE(correlationId, 8);
  head.writeInt16BE(-1, 12);
  return Buffer.concat([head, bytes]);
}

const ask = (id: number) => frame(metadata, 1, id, { topics: null });

function poll(id: number, maxWaitMs: number): Buffer {
  return frame(fetch, 4, id, {
    maxWaitMs,
    minBytes: 1,
    maxBytes: 10 * MEGABYTE,
    topics: [
      { topic: 't', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: MEGABYTE }] },
    ],
  });
}

/** Correlation ids of the answers, as they come. */
function idsOf(socket: Socket): number[] {
  const ids: number[] = [];
  let bytes = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    while (bytes.length >= 8 && bytes.length >= 4 + bytes.readInt32BE(0)) {
      ids.push(bytes.readInt32BE(4));
      bytes = bytes.subarray(4 + bytes.readInt32BE(0));
    }
  });
  return ids;
}

/** Waits until a count has not changed for a while and answers it. */
async function settled(count: () => number): Promise<number> {
  for (let last = count(), calm = 0; calm < 20; ) {
    await systemPorts.timers.sleep(10);
    const now = count();
    calm = now === last ? calm + 1 : 0;
    last = now;
  }
  return count();
}

const until = (condition: () => boolean) => expect.poll(condition, { timeout: 60_000 }).toBe(true);

describe('a client at the TCP door', () => {
  test('that does not read is not answered on and on, and loses nothing', async () => {
    const client = await open();
    client.produce('t', 0, batch({ values: ['x'.repeat(900_000)] }));
    const socket = await dial();
    socket.pause();
    const requests = 150;
    for (let id = 0; id < requests; id++) socket.write(poll(id, 0));
    const before = await settled(() => handled.length);
    // The rest is in the buffers of the two ends of the connection.
    expect(before).toBeLessThan(requests / 2);
    const ids = idsOf(socket);
    socket.resume();
    await until(() => ids.length === requests);
    expect(ids).toEqual(Array.from({ length: requests }, (_, id) => id));
    socket.destroy();
  });

  test('whose request waits keeps what it sends behind it', async () => {
    await open();
    const socket = await dial();
    const ids = idsOf(socket);
    socket.write(poll(0, 60_000));
    const large = frame(joinGroup, 0, 1, {
      groupId: '',
      sessionTimeoutMs: 10_000,
      memberId: '',
      protocolType: 'consumer',
      protocols: [{ name: 'p', metadata: Buffer.alloc(MEGABYTE) }],
    });
    const count = 64;
    for (let n = 0; n < count; n++) socket.write(large);
    await until(() => handled.length > 0);
    const left = await settled(() => socket.writableLength);
    expect(left).toBeGreaterThan((count * MEGABYTE) / 2);
    expect(handled).toEqual([fetch.key]);
    ports.advance(60_000);
    await until(() => ids.length === 1 + count);
    socket.destroy();
  });

  test('that is gone leaves nothing behind, a thousand times', async () => {
    await open();
    for (let round = 0; round < 10; round++) {
      const sockets = await Promise.all(Array.from({ length: 100 }, () => dial()));
      const before = handled.length;
      for (const socket of sockets) socket.write(poll(1, 2_000_000_000));
      await until(() => handled.length === before + sockets.length);
      expect(ports.pendingTimers).toBe(sockets.length);
      expect(listener.connections).toBe(sockets.length);
      for (const socket of sockets) socket.destroy();
      await until(() => listener.connections === 0);
      expect(ports.pendingTimers).toBe(0);
    }
  });

  test('is cut off when the door closes, also while its request waits', async () => {
    await open();
    const socket = await dial();
    const closed = new Promise((resolve) => socket.on('close', resolve));
    socket.write(poll(1, 2_000_000_000));
    await until(() => handled.length === 1);
    await listener.close();
    await closed;
    expect(ports.pendingTimers).toBe(0);
  });

  test('that says how long a frame is, and no more, costs nothing', async () => {
    await open();
    const sockets = await Promise.all(Array.from({ length: 50 }, () => dial()));
    const length = Buffer.alloc(4);
    length.writeInt32BE(100 * MEGABYTE);
    for (const socket of sockets) socket.write(length);
    const next = await dial();
    const ids = idsOf(next);
    next.write(ask(7));
    await until(() => ids.length === 1);
    // A hundred times 100 MB would be seen.
    expect(process.memoryUsage().arrayBuffers).toBeLessThan(1_000 * MEGABYTE);
    for (const socket of [...sockets, next]) socket.destroy();
  });

  test.each<[string, (bytes: Buffer) => void]>([
    ['a client id beyond the frame', (bytes) => bytes.writeInt16BE(30_000, 12)],
    ['a client id of negative length', (bytes) => bytes.writeInt16BE(-2, 12)],
    ['a version that is not offered', (bytes) => bytes.writeInt16BE(99, 6)],
    ['bytes behind the request', (bytes) => bytes.writeInt32BE(0, 14)],
  ])('is cut off for %s', async (_title, spoil) => {
    await open();
    const socket = await dial();
    const closed = new Promise((resolve) => socket.on('close', resolve));
    const bytes = Buffer.concat([ask(1), Buffer.alloc(3)]);
    bytes.writeInt32BE(bytes.length - 4, 0);
    spoil(bytes);
    socket.write(bytes);
    await closed;
  });
});
