import { connect, createServer, type Server, type Socket } from 'node:net';
import { type ISocketFactory, Kafka, logLevel } from 'kafkajs';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { Broker } from '../../../src/broker/broker.ts';
import { type Listener, listen } from '../../../src/broker/tcp.ts';
import type { EscapementError } from '../../../src/errors.ts';
import { decodeResponse, encodeRequest } from '../../../src/kafka/protocol/codec.ts';
import { initProducerId } from '../../../src/kafka/protocol/init-producer-id.ts';
import { metadata } from '../../../src/kafka/protocol/metadata.ts';
import { kafkajsTransport } from '../../../src/kafka/transport/kafkajs.ts';
import {
  type Lane,
  type Transport,
  TransportError,
} from '../../../src/kafka/transport/transport.ts';
import { type Ports, systemPorts } from '../../../src/ports.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { freePorts } from '../../free-ports.ts';

const HOST = '127.0.0.1';
const METADATA_VERSION = 9;
/** Longer than a busy machine takes for anything: deadlines that are to pass are short. */
const PATIENT_MS = 60_000;

/** Stands between transport and broker, and misbehaves on demand. */
class Door {
  behaviour: 'pass' | 'mute' | 'half' | 'hold' | 'refuse' | 'lie' | 'garble' = 'pass';
  /** Resolves when an answer is held, with what sends the next half of it. */
  readonly held: Promise<() => void>;
  #holds: (release: () => void) => void = () => {};
  /** Answered instead of what the broker says, when lying. */
  lie: Buffer = Buffer.alloc(0);
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  accepted = 0;

  constructor(to: number) {
    this.held = new Promise((resolve) => {
      this.#holds = resolve;
    });
    this.#server = createServer((client) => {
      this.accepted++;
      if (this.behaviour === 'refuse') {
        client.destroy();
        return;
      }
      const upstream = connect(to, HOST);
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => {
          client.destroy();
          upstream.destroy();
        });
      }
      client.on('data', (bytes) => upstream.write(bytes));
      upstream.on('data', (bytes) => {
        if (this.behaviour === 'pass') client.write(bytes);
        if (this.behaviour === 'lie') client.write(this.lie);
        // Everything behind size and correlation id.
        if (this.behaviour === 'garble') client.write(Buffer.from(bytes).fill(0xff, 8));
        if (this.behaviour === 'hold') {
          const middle = bytes.length >> 1;
          const halves = [bytes.subarray(0, middle), bytes.subarray(middle)];
          this.#holds(() => void client.write(halves.shift()!));
        }
        if (this.behaviour === 'half') {
          this.behaviour = 'pass';
          client.write(bytes.subarray(0, bytes.length >> 1), () => client.destroy());
        }
      });
    });
  }

  /** On a port that nobody else gets when the door has stopped. */
  async start(): Promise<number> {
    const [port] = (await freePorts(1)) as [number];
    await new Promise<void>((resolve) => this.#server.listen(port, HOST, resolve));
    return port;
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

const failure = (work: Promise<unknown>): Promise<EscapementError> =>
  work.then(
    () => expect.fail('the request succeeded'),
    (error: unknown) => error as EscapementError,
  );

describe('the kafkajs transport', () => {
  let broker: Broker;
  let listener: Listener;
  let door: Door;
  let port: number;
  const open: Transport[] = [];
  /** Those of the transports. */
  const sockets: Socket[] = [];
  const socketFactory: ISocketFactory = (to) => {
    const socket = connect(to.port, to.host, to.onConnect);
    sockets.push(socket);
    return socket;
  };

  beforeEach(async () => {
    broker = new Broker({ ports: systemPorts });
    listener = await listen(broker, { host: HOST, port: 0 });
    door = new Door(listener.port);
    port = await door.start();
  });
  afterEach(async () => {
    for (const transport of open.splice(0)) await transport.close();
    sockets.length = 0;
    door.stop();
    await listener.close();
  });

  const transportTo = (...ports: number[]): Transport => transportWith(systemPorts, ...ports);

  const transportWith = (own: Ports, ...ports: number[]): Transport => {
    const brokers = ports.map((each) => `${HOST}:${each}`);
    const config = { brokers, connectionTimeout: PATIENT_MS, socketFactory };
    const transport = kafkajsTransport(config, { ports: own, log: silentLog });
    open.push(transport);
    return transport;
  };

  const nodesOf = async (
    transport: Transport,
    node: number | 'any' = 'any',
    timeoutMs = PATIENT_MS,
    lane: Lane = 'transaction',
  ): Promise<number[]> => {
    const answer = await transport.request(node, {
      apiKey: metadata.key,
      apiVersion: METADATA_VERSION,
      body: encodeRequest(metadata, METADATA_VERSION, { topics: [] }),
      timeoutMs,
      lane,
    });
    return decodeResponse(metadata, METADATA_VERSION, answer).brokers.map(({ nodeId }) => nodeId);
  };

  it('carries flexible and inflexible requests to a bootstrap broker and to a node', async () => {
    const transport = transportTo(port);
    expect(await nodesOf(transport)).toEqual([0]);
    transport.learn([{ id: 0, host: HOST, port: listener.port }]);
    for (const version of [1, 4]) {
      const answer = await transport.request(0, {
        apiKey: initProducerId.key,
        apiVersion: version,
        body: encodeRequest(initProducerId, version, {
          transactionalId: null,
          transactionTimeoutMs: 1_000,
        }),
        timeoutMs: PATIENT_MS,
        lane: 'transaction',
      });
      expect(decodeResponse(initProducerId, version, answer).errorCode).toBe(0);
    }
  });

  it('opens one socket per lane and node, however many requests come at once', async () => {
    const transport = transportTo(port);
    transport.learn([{ id: 0, host: HOST, port }]);
    await Promise.all([1, 2, 3].map(() => nodesOf(transport, 0)));
    expect(door.accepted).toBe(1);
    await Promise.all([nodesOf(transport, 0, PATIENT_MS, 'fetch'), nodesOf(transport)]);
    expect(door.accepted).toBe(2);
  });

  it('rejects the request whose answer begins with broken tagged fields, and goes on', async () => {
    const transport = transportTo(port);
    await nodesOf(transport);
    door.behaviour = 'garble';
    expect(await failure(nodesOf(transport))).toMatchObject({ code: 'PROTOCOL_MALFORMED' });
    door.behaviour = 'pass';
    expect(await nodesOf(transport)).toEqual([0]);
  });

  it('sets no timer for requests that wait when none does', async () => {
    const transport = transportTo(port);
    const timeouts = vi.spyOn(globalThis, 'setTimeout');
    onTestFinished(() => timeouts.mockRestore());
    await nodesOf(transport);
    // That of the library has a time long ago.
    expect(timeouts.mock.calls.filter(([, ms]) => (ms ?? 0) < 0)).toEqual([]);
  });

  it('takes a Kafka client as well as its configuration', async () => {
    const kafka = new Kafka({
      brokers: [`${HOST}:${port}`],
      logLevel: logLevel.NOTHING,
      connectionTimeout: PATIENT_MS,
    });
    const transport = kafkajsTransport(kafka, { ports: systemPorts, log: silentLog });
    open.push(transport);
    expect(await nodesOf(transport)).toEqual([0]);
  });

  it('names the address and the mend when nothing listens', async () => {
    door.stop();
    const error = await failure(nodesOf(transportTo(port)));
    expect(error).toBeInstanceOf(TransportError);
    expect((error as TransportError).fate).toBe('never-sent');
    expect(error.code).toBe('CONNECTION_FAILED');
    expect(error.message).toContain(`${HOST}:${port}`);
    expect(error.message).toContain('is the broker running at this address?');
  });

  it('hints at the kind of listener when the connection closes while it is opened', async () => {
    door.behaviour = 'refuse';
    const error = await failure(nodesOf(transportTo(port)));
    expect((error as TransportError).fate).toBe('never-sent');
    expect(error.message).toContain('A TLS listener needs `ssl`');
  });

  it('goes on to the next bootstrap address', async () => {
    const [dead] = (await freePorts(1)) as [number];
    expect(await nodesOf(transportTo(dead, port))).toEqual([0]);
  });

  it('refuses a node that nobody told it of, before anything is sent', async () => {
    const error = await failure(nodesOf(transportTo(port), 9));
    expect((error as TransportError).fate).toBe('never-sent');
    expect(error.message).toContain('Node 9');
  });

  it('closes the connection when a deadline passes, and its other requests share the fate', async () => {
    const transport = transportTo(port);
    transport.learn([{ id: 0, host: HOST, port }]);
    await nodesOf(transport, 0);
    await nodesOf(transport, 0, PATIENT_MS, 'group');
    door.behaviour = 'mute';
    const patient = failure(nodesOf(transport, 0, PATIENT_MS));
    const elsewhere = failure(nodesOf(transport, 0, PATIENT_MS, 'group'));
    const hasty = failure(nodesOf(transport, 0, 50));
    for (const error of await Promise.all([patient, hasty])) {
      expect((error as TransportError).fate).toBe('unknown');
      expect(error.message).toContain('Metadata v9 was not answered within 50 ms');
    }
    door.behaviour = 'pass';
    expect(await nodesOf(transport, 0)).toEqual([0]);
    await transport.close();
    expect(((await elsewhere) as TransportError).fate).toBe('unknown');
  });

  it('lets a deadline pass while an answer is coming in', async () => {
    const deadlines: (() => void)[] = [];
    const after = (_: number, run: () => void) => {
      deadlines.push(run);
      return { cancel: () => {} };
    };
    // The deadline passes before the half that is there was read, as after a standstill.
    let readOfHalf = async () => {};
    const timers = { ...systemPorts.timers, after, turn: () => readOfHalf() };
    const transport = transportWith({ ...systemPorts, timers }, port);
    transport.learn([{ id: 0, host: HOST, port }]);
    await nodesOf(transport, 0);
    door.behaviour = 'hold';
    const answered = nodesOf(transport, 0);
    const release = await door.held;
    readOfHalf = async () => {
      const socket = sockets.at(-1)!;
      const { bytesRead } = socket;
      release();
      while (socket.bytesRead === bytesRead) await systemPorts.timers.sleep(1);
    };
    const watched = deadlines.length;
    deadlines.at(-1)!();
    while (deadlines.length === watched && !sockets.at(-1)!.destroyed)
      await systemPorts.timers.sleep(1);
    release();
    expect(await answered).toEqual([0]);
  });

  it('asks the node that owes no answer when any will do', async () => {
    const silent = new Door(listener.port);
    onTestFinished(() => silent.stop());
    const transport = transportTo(port);
    transport.learn([
      { id: 0, host: HOST, port: await silent.start() },
      { id: 1, host: HOST, port },
    ]);
    await nodesOf(transport, 0);
    await nodesOf(transport, 1);
    silent.behaviour = 'mute';
    const owed = failure(nodesOf(transport, 0, PATIENT_MS));
    expect(await nodesOf(transport, 'any', PATIENT_MS)).toEqual([0]);
    await transport.close();
    expect(((await owed) as TransportError).fate).toBe('unknown');
  });

  it('knows that a request was never sent when its connection never stood', async () => {
    const transport = transportTo(port);
    transport.learn([{ id: 0, host: HOST, port }]);
    door.behaviour = 'mute';
    const error = await failure(nodesOf(transport, 0, 50));
    expect((error as TransportError).fate).toBe('never-sent');
    const bootstrap = await failure(nodesOf(transport, 'any', 50));
    expect((bootstrap as TransportError).fate).toBe('never-sent');
  });

  it('reads answers in frame after a connection broke in the middle of one', async () => {
    const transport = transportTo(port);
    transport.learn([{ id: 0, host: HOST, port }]);
    await nodesOf(transport, 0);
    door.behaviour = 'half';
    const error = await failure(nodesOf(transport, 0));
    expect((error as TransportError).fate).toBe('unknown');
    expect(await nodesOf(transport, 0)).toEqual([0]);
    expect(await nodesOf(transport, 0)).toEqual([0]);
  });

  it.each([
    ['larger than frameBytesMax', '40000000'],
    ['negative', 'ffffffff00000000'],
    ['too small for a correlation id', '0000000100'],
  ])(
    'closes on an answer whose size is %s, early and late, and the process lives',
    async (_, hex) => {
      door.lie = Buffer.from(hex, 'hex');
      door.behaviour = 'lie';
      const early = await failure(nodesOf(transportTo(port)));
      door.behaviour = 'pass';
      const transport = transportTo(port);
      transport.learn([{ id: 0, host: HOST, port }]);
      await nodesOf(transport, 0);
      door.behaviour = 'lie';
      const late = await failure(nodesOf(transport, 0));
      for (const { code, message } of [early, late]) {
        expect(['PROTOCOL_MALFORMED', 'CONNECTION_FAILED', 'REQUEST_FATE_UNKNOWN']).toContain(code);
        if (code === 'PROTOCOL_MALFORMED') expect(message).toContain('frameBytesMax (104857600)');
      }
      if (hex.length !== 10)
        expect([early.code, late.code]).toEqual(Array(2).fill('PROTOCOL_MALFORMED'));
      door.behaviour = 'pass';
      expect(await nodesOf(transport, 0)).toEqual([0]);
    },
  );

  it('follows a node to another address', async () => {
    const transport = transportTo(port);
    transport.learn([{ id: 0, host: HOST, port }]);
    await nodesOf(transport, 0);
    transport.learn([{ id: 0, host: HOST, port: listener.port }]);
    await nodesOf(transport, 0);
    expect(door.accepted).toBe(1);
  });

  it('rejects what is pending when it closes, and leaves neither socket nor timer', async () => {
    const held = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const before = held();
    const transport = transportTo(port);
    await nodesOf(transport);
    door.behaviour = 'mute';
    const pending = failure(nodesOf(transport, 'any', 600_000));
    await systemPorts.timers.sleep(10);
    await transport.close();
    expect(((await pending) as TransportError).fate).toBe('unknown');
    expect(((await failure(nodesOf(transport))) as TransportError).fate).toBe('never-sent');
    // What runs the tests may have a timer for a moment, too; none of the transport ends so soon.
    const deadline = performance.now() + 30_000;
    while (held() > before && performance.now() < deadline) await systemPorts.timers.sleep(5);
    expect(held()).toBeLessThanOrEqual(before);
  });

  it('refuses a kafkajs of another shape at once', () => {
    const other = { consumer: () => ({}) } as unknown as Kafka;
    expect(() => kafkajsTransport(other, { ports: systemPorts, log: silentLog })).toThrow(
      expect.objectContaining({ code: 'KAFKAJS_SHAPE' }),
    );
  });

  it.each([
    ['a text', '127.0.0.1:9092'],
    ['an address without a port', ['localhost']],
  ])('reports a client whose brokers are %s as an option, at once', async (_, brokers) => {
    const kafka = new Kafka({ brokers: brokers as string[], logLevel: logLevel.NOTHING });
    const transport = kafkajsTransport(kafka, { ports: systemPorts, log: silentLog });
    open.push(transport);
    const error = await failure(nodesOf(transport));
    expect(error.code).toBe('OPTION_INVALID');
    expect(error.message).toContain("it is a list of 'host:port'");
  });

  it('reports an empty list of brokers as an option', () => {
    expect(() => transportTo()).toThrow(
      expect.objectContaining({
        code: 'OPTION_INVALID',
        message: expect.stringMatching(/brokers/),
      }),
    );
  });
});
