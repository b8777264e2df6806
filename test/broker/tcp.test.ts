import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker/broker.ts';
import { type Listener, listen } from '../../src/broker/tcp.ts';
import { apiVersions } from '../../src/kafka/protocol/api-versions.ts';
import { decodeResponse, encodeRequest } from '../../src/kafka/protocol/codec.ts';
import { metadata } from '../../src/kafka/protocol/metadata.ts';
import { systemPorts } from '../../src/ports.ts';

let listener: Listener | undefined;
let broker: Broker | undefined;

afterEach(async () => {
  broker?.close();
  await listener?.close();
});

async function door(): Promise<Socket> {
  broker = new Broker({ ports: systemPorts });
  listener = await listen(broker, { host: '127.0.0.1', port: 0 });
  const { port } = listener;
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket));
  });
}

/** A request frame; `tags` is what the flexible header ends with. */
function frame(
  key: number,
  version: number,
  correlationId: number,
  body: Buffer,
  tags: Buffer = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(14 + 2);
  head.writeInt16BE(key, 4);
  head.writeInt16BE(version, 6);
  head.writeInt32BE(correlationId, 8);
  head.writeInt16BE(2, 12);
  head.write('me', 14);
  head.writeInt32BE(head.length - 4 + tags.length + body.length, 0);
  return Buffer.concat([head, tags, body]);
}

/** The next `count` answers: correlation id and what follows. */
function answers(socket: Socket, count: number): Promise<{ id: number; rest: Buffer }[]> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0);
    const found: { id: number; rest: Buffer }[] = [];
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      while (bytes.length >= 4 && bytes.length >= 4 + bytes.readInt32BE(0)) {
        const length = bytes.readInt32BE(0);
        found.push({ id: bytes.readInt32BE(4), rest: bytes.subarray(8, 4 + length) });
        bytes = bytes.subarray(4 + length);
      }
      if (found.length >= count) resolve(found);
    });
  });
}

const NO_TAGS = Buffer.from([0]);

describe('the TCP door', () => {
  test('answers several requests of one chunk in order', async () => {
    const socket = await door();
    const body = encodeRequest(metadata, 1, { topics: null });
    socket.write(Buffer.concat([1, 2, 3].map((id) => frame(3, 1, id, body))));
    const got = await answers(socket, 3);
    expect(got.map((each) => each.id)).toEqual([1, 2, 3]);
    expect(decodeResponse(metadata, 1, got[0]!.rest).brokers[0]).toMatchObject({
      nodeId: 0,
      port: listener!.port,
    });
    socket.destroy();
  });

  test('puts a request together that comes byte by byte', async () => {
    const socket = await door();
    socket.setNoDelay(true);
    const waiting = answers(socket, 1);
    for (const byte of frame(3, 1, 9, encodeRequest(metadata, 1, { topics: null }))) {
      socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await waiting)[0]!.id).toBe(9);
    socket.destroy();
  });

  test('steps over header tags and answers flexible versions with the longer header', async () => {
    const socket = await door();
    const tags = Buffer.from([1, 7, 2, 0xaa, 0xbb]);
    socket.write(frame(3, 9, 5, encodeRequest(metadata, 9, { topics: null }), tags));
    const [got] = await answers(socket, 1);
    expect(got!.rest[0]).toBe(0);
    expect(decodeResponse(metadata, 9, got!.rest.subarray(1)).brokers).toHaveLength(1);
    socket.destroy();
  });

  test('answers ApiVersions with the short header at every version', async () => {
    const socket = await door();
    const body = encodeRequest(apiVersions, 3, { clientSoftwareName: 'x' });
    socket.write(frame(18, 3, 1, body, NO_TAGS));
    const [known] = await answers(socket, 1);
    expect(decodeResponse(apiVersions, 3, known!.rest).errorCode).toBe(0);
    socket.removeAllListeners('data');
    socket.write(frame(18, 77, 2, Buffer.from('future'), NO_TAGS));
    const [unknown] = await answers(socket, 1);
    expect(decodeResponse(apiVersions, 0, unknown!.rest).errorCode).toBe(35);
    socket.destroy();
  });

  test.each([
    ['a frame above the limit', Buffer.from([0x7f, 0xff, 0xff, 0xff])],
    ['a negative length', Buffer.from([0xff, 0xff, 0xff, 0xff])],
    ['an unknown api', frame(999, 0, 1, Buffer.alloc(0))],
    ['a malformed body', frame(3, 1, 1, Buffer.from([0x7f, 0, 0, 0]))],
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
  ])('closes the connection on %s and lives on', async (_title, bytes) => {
    const socket = await door();
    const closed = new Promise((resolve) => socket.on('close', resolve));
    socket.on('error', () => {});
    socket.write(bytes);
    await closed;
    const next = connect(listener!.port, '127.0.0.1');
    next.write(frame(3, 1, 4, encodeRequest(metadata, 1, { topics: null })));
    expect((await answers(next, 1))[0]!.id).toBe(4);
    next.destroy();
  });
});
