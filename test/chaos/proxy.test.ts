/** The proxy between a client that writes frames and a broker that answers each of them. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { until } from '../exactness/count-run.ts';
import { freePorts } from '../free-ports.ts';
import { FrameReader, requestHead } from './frames.ts';
import { ChaosProxy, type Injected } from './proxy.ts';
import { everyNth, onOrdinal, type ProxyFault, type ProxyPlan } from './proxy-faults.ts';

const END_TXN = 26;
const PRODUCE = 0;

function frame(body: Buffer): Buffer {
  const size = Buffer.alloc(4);
  size.writeInt32BE(body.length);
  return Buffer.concat([size, body]);
}

function request(apiKey: number, correlationId: number, padding = 0): Buffer {
  const head = Buffer.alloc(13);
  head.writeInt16BE(apiKey, 0);
  head.writeInt16BE(5, 2);
  head.writeInt32BE(correlationId, 4);
  head.writeInt16BE(3, 8);
  head.write('app', 10);
  return frame(Buffer.concat([head, Buffer.alloc(padding, 7)]));
}

function answer(correlationId: number): Buffer {
  const body = Buffer.alloc(104, 9);
  body.writeInt32BE(correlationId, 0);
  return frame(body);
}

class Stage {
  /** Correlation ids of whole requests that the broker has got, and bytes of all. */
  readonly got: number[] = [];
  gotBytes = 0;
  readonly injected: Injected[] = [];
  proxy!: ChaosProxy;
  #server!: Server;
  readonly #sockets = new Set<Socket>();
  #port = 0;

  async open(plan: ProxyPlan): Promise<this> {
    const [target, port] = (await freePorts(2)) as [number, number];
    this.#port = port;
    this.#server = createServer((socket) => {
      const frames = new FrameReader();
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('data', (piece) => {
        this.gotBytes += piece.length;
        for (const each of frames.push(piece)) {
          const { correlationId } = requestHead(each);
          this.got.push(correlationId);
          socket.write(answer(correlationId));
        }
      });
    });
    this.#server.listen(target, '127.0.0.1');
    await once(this.#server, 'listening');
    this.proxy = await ChaosProxy.listen(port, {
      node: 1,
      target,
      injected: (injected) => this.injected.push(injected),
    });
    this.proxy.setPlan(plan);
    return this;
  }

  async client(): Promise<Client> {
    const socket = connect(this.#port, '127.0.0.1');
    this.#sockets.add(socket);
    await once(socket, 'connect');
    return new Client(socket);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await this.proxy.close();
    this.#server.close();
  }
}

class Client {
  readonly #socket: Socket;
  bytes = Buffer.alloc(0);
  isClosed = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('data', (piece) => {
      this.bytes = Buffer.concat([this.bytes, piece]);
    });
    socket.on('close', () => {
      this.isClosed = true;
    });
  }

  send(...pieces: Buffer[]): void {
    for (const piece of pieces) this.#socket.write(piece);
  }

  /** Correlation ids of whole answers. */
  get answered(): number[] {
    return new FrameReader().push(Buffer.from(this.bytes)).map((each) => each.readInt32BE(4));
  }
}

let stage = new Stage();
afterEach(() => stage.close());

async function strikeThird(fault: ProxyFault): Promise<Client> {
  stage = await new Stage().open(onOrdinal(END_TXN, 3, fault));
  const client = await stage.client();
  client.send(request(END_TXN, 1), request(PRODUCE, 2), request(END_TXN, 3));
  await until(() => client.answered.length === 3, 'not answered');
  client.send(request(END_TXN, 4, 400));
  await until(() => stage.injected.length === 1, 'nothing struck');
  return client;
}

test('without a plan every byte passes, however the stream is cut', async () => {
  stage = await new Stage().open(() => null);
  const client = await stage.client();
  const bytes = Buffer.concat([request(PRODUCE, 1, 9), request(END_TXN, 2), request(PRODUCE, 3)]);
  for (const byte of bytes) client.send(Buffer.of(byte));
  await until(() => client.answered.length === 3, 'not answered');
  expect(client.bytes).toEqual(Buffer.concat([answer(1), answer(2), answer(3)]));
  expect(stage.gotBytes).toBe(bytes.length);
});

test('the answer to the third EndTxn of a connection is lost, and its request is carried out', async () => {
  const client = await strikeThird({ kind: 'lose-answer' });
  await until(() => client.isClosed, 'not closed');
  expect(stage.got).toEqual([1, 2, 3, 4]);
  expect(client.answered).toEqual([1, 2, 3]);
  expect(stage.injected[0]!.request).toMatchObject({
    apiKey: END_TXN,
    ordinal: 3,
    clientId: 'app',
  });
  expect(stage.proxy.counts.lostAnswers.get(END_TXN)).toBe(1);
  expect(stage.proxy.counts.cut).toBe(1);
});

test('a lost request never reaches the broker', async () => {
  const client = await strikeThird({ kind: 'lose-request' });
  await until(() => client.isClosed, 'not closed');
  expect(stage.got).toEqual([1, 2, 3]);
  expect(stage.proxy.counts.lostAnswers.size).toBe(0);
});

test('of a cut request the broker gets half', async () => {
  const before = [request(END_TXN, 1), request(PRODUCE, 2), request(END_TXN, 3)];
  const client = await strikeThird({ kind: 'cut-request' });
  const half = request(END_TXN, 4, 400).length >> 1;
  const bytes = before.reduce((sum, { length }) => sum + length, half);
  await until(() => client.isClosed && stage.gotBytes === bytes, 'half of it did not come');
  expect(stage.got).toEqual([1, 2, 3]);
});

test('of a cut answer the client gets half', async () => {
  const client = await strikeThird({ kind: 'cut-answer' });
  await until(() => client.isClosed, 'not closed');
  expect(stage.got).toEqual([1, 2, 3, 4]);
  expect(client.bytes.length).toBe(3 * answer(0).length + (answer(0).length >> 1));
});

test.each(['close-after-forward', 'late-request'] as const)(
  'after %s the broker carries out what the client has given up',
  async (kind) => {
    const fault: ProxyFault = kind === 'late-request' ? { kind, delayMs: 20 } : { kind };
    const client = await strikeThird(fault);
    await until(() => client.isClosed && stage.got.includes(4), 'the request did not come');
    expect(client.answered).toEqual([1, 2, 3]);
  },
);

test('a held answer holds the ones behind it, and all come in their order', async () => {
  const client = await strikeThird({ kind: 'hold-answer', delayMs: 100 });
  client.send(request(PRODUCE, 5));
  await until(() => stage.got.includes(5), 'the request did not come');
  await until(() => client.answered.length === 5, 'not answered');
  expect(client.answered).toEqual([1, 2, 3, 4, 5]);
  expect(client.isClosed).toBe(false);
});

test('a swallowed answer leaves the connection as it was', async () => {
  const client = await strikeThird({ kind: 'swallow-answer' });
  client.send(request(PRODUCE, 5));
  await until(() => client.answered.includes(5), 'not answered');
  expect(client.answered).toEqual([1, 2, 3, 5]);
});

test('ordinals are counted by connection', async () => {
  stage = await new Stage().open(onOrdinal(END_TXN, 2, { kind: 'lose-answer' }));
  const [one, other] = [await stage.client(), await stage.client()];
  one.send(request(END_TXN, 1));
  other.send(request(END_TXN, 1));
  await until(() => one.answered.length + other.answered.length === 2, 'not answered');
  one.send(request(END_TXN, 2));
  await until(() => one.isClosed, 'not closed');
  expect(other.isClosed).toBe(false);
});

test('every second request of a client is struck, over all of its connections', async () => {
  stage = await new Stage().open(everyNth(END_TXN, 2, { kind: 'lose-answer' }));
  const [one, other] = [await stage.client(), await stage.client()];
  one.send(request(END_TXN, 1), request(PRODUCE, 2));
  await until(() => one.answered.length === 2, 'not answered');
  other.send(request(END_TXN, 1));
  await until(() => other.isClosed, 'not closed');
  one.send(request(END_TXN, 3));
  await until(() => one.answered.length === 3, 'not answered');
});

test('connections with a short life end, also those that stood before', async () => {
  stage = await new Stage().open(() => null);
  const before = await stage.client();
  before.send(request(PRODUCE, 1));
  await until(() => before.answered.length === 1, 'not answered');
  stage.proxy.setLives(() => 5);
  const after = await stage.client();
  await until(() => before.isClosed && after.isClosed, 'they live on');
  expect(stage.proxy.counts.expired).toBe(2);
});
