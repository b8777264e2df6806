/**
 * The door for clients over TCP: kafkajs, kcat, Java clients, and escapement in other processes.
 *
 * Owns the connections and the headers. A request is a header (api key, version, correlation id,
 * client id, and tagged fields in flexible versions) and a body; `frames.ts` cuts them out.
 *
 *            frame               answer, all of it taken
 *   idle ─────────────► handling ───────────────────────► idle
 *                          │                                ▲
 *                          │ answer, the socket is full     │ drained
 *                          └──────────► draining ───────────┘
 *
 * I1. Requests of a connection are handled one after the other, each after the answer of the one
 *     before: answers leave in the order of the requests, as from Kafka.
 * I2. A frame outside of the bounds, or bytes that are no request, close the connection, and
 *     nothing that a client sends harms the broker or another connection.
 * I3. The response header of ApiVersions is the short one at every version (KIP-511).
 * I4. A connection holds at most one answer that its client does not read, and little more than
 *     READ_AHEAD_BYTES of requests that wait behind one: more is left to the client's side.
 */

import { createServer, type Server, type Socket } from 'node:net';
import { type Known, refuseMissing, refuseUnknown } from '../config/known-options.ts';
import { EscapementError } from '../errors.ts';
import { apiVersions } from '../kafka/protocol/api-versions.ts';
import { isFlexible } from '../kafka/protocol/codec.ts';
import type { Connection } from './api-table.ts';
import type { Broker } from './broker.ts';
import { FrameReader, LENGTH_BYTES } from './frames.ts';

const HEADER_BYTES_MIN = 10;
const READ_AHEAD_BYTES = 1_048_576;

export interface ListenOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** The node that this door leads to; default 0. */
  readonly node?: number;
  /** Gets what a request broke although it was well formed: a defect of the broker. */
  readonly onFault?: (error: unknown) => void;
}

const KNOWN: Known<ListenOptions> = { host: true, port: true, node: true, onFault: true };

export interface Listener {
  readonly port: number;
  /** Open connections. */
  readonly connections: number;
  /** Closes the door and every connection. */
  close(): Promise<void>;
}

export function listen(broker: Broker, options: ListenOptions): Promise<Listener> {
  refuseUnknown('listen', options, KNOWN);
  refuseMissing('listen', options, ['host', 'port']);
  const { host, port, node = 0, onFault = () => {} } = options;
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    // A reset by the client is not an event of the broker.
    socket.on('error', () => socket.destroy());
    // A node that is down takes no connections: the door stays, as the port of a host does.
    if (!broker.isUp(node)) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('close', () => sockets.delete(socket));
    new ClientConnection({ broker, socket, node, onFault });
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      const address = server.address();
      const bound = address === null || typeof address === 'string' ? port : address.port;
      broker.announce({ id: node, host, port: bound });
      resolve({
        port: bound,
        get connections() {
          return sockets.size;
        },
        async close() {
          const gone = [...sockets].map(
            (socket) => new Promise((end) => socket.once('close', end)),
          );
          const shut = new Promise((end) => server.close(end));
          for (const socket of sockets) socket.destroy();
          // The server is shut before its sockets have told that they are.
          await Promise.all([shut, ...gone]);
        },
      });
    });
  });
}

interface ConnectionOptions {
  readonly broker: Broker;
  readonly socket: Socket;
  readonly node: number;
  readonly onFault: (error: unknown) => void;
}

class ClientConnection {
  readonly #broker: Broker;
  readonly #socket: Socket;
  readonly #connection: Connection;
  readonly #onFault: (error: unknown) => void;
  readonly #frames = new FrameReader(HEADER_BYTES_MIN);
  #state: 'idle' | 'handling' | 'draining' = 'idle';

  constructor({ broker, socket, node, onFault }: ConnectionOptions) {
    this.#broker = broker;
    this.#socket = socket;
    this.#onFault = onFault;
    this.#connection = broker.connect(node, socket.remoteAddress ?? 'unknown', () =>
      socket.destroy(),
    );
    socket.on('close', () => broker.disconnect(this.#connection));
    socket.on('data', (chunk) => this.#received(chunk));
    socket.on('drain', () => this.#drained());
  }

  #received(chunk: Buffer): void {
    if (this.#frames.push(chunk) === 'malformed') {
      this.#socket.destroy();
      return;
    }
    this.#work();
    // I4: what is behind a request that waits stays with the client.
    if (this.#frames.waitingBytes > READ_AHEAD_BYTES) this.#socket.pause();
  }

  #drained(): void {
    if (this.#state !== 'draining') return;
    this.#state = 'idle';
    this.#work();
  }

  /** A loop, not a recursion: many frames may be answered at once. */
  #work(): void {
    while (this.#state === 'idle' && !this.#socket.destroyed) {
      const frame = this.#frames.take();
      if (frame === undefined) {
        if (this.#socket.isPaused()) this.#socket.resume();
        return;
      }
      this.#state = 'handling';
      try {
        this.#handle(frame);
      } catch (error) {
        this.#socket.destroy();
        if (!isMalformed(error)) this.#onFault(error);
      }
    }
  }

  #handle(frame: Buffer): void {
    const apiKey = frame.readInt16BE(0);
    const apiVersion = frame.readInt16BE(2);
    const correlationId = frame.readInt32BE(4);
    const flexible = isFlexible(apiKey, apiVersion);
    const clientIdLength = frame.readInt16BE(8);
    let at = HEADER_BYTES_MIN;
    if (clientIdLength < -1 || at + clientIdLength > frame.length) {
      throw new RangeError('the client id runs past its frame');
    }
    if (clientIdLength > 0) {
      this.#connection.clientId = frame.toString('utf8', at, at + clientIdLength);
      at += clientIdLength;
    }
    if (flexible) at = skipTags(frame, at);
    const body = frame.subarray(at);
    const long = flexible && apiKey !== apiVersions.key;
    let stack: 'inside' | 'left' = 'inside';
    this.#broker.handle(this.#connection, apiKey, apiVersion, body, (answer) => {
      this.#state = 'idle';
      if (this.#socket.destroyed) return;
      if (answer !== null) this.#send(correlationId, long ? 'long' : 'short', answer);
      if (stack === 'left') this.#work();
    });
    stack = 'left';
  }

  #send(correlationId: number, headerKind: 'long' | 'short', answer: Buffer): void {
    const header = Buffer.alloc(LENGTH_BYTES + 4 + (headerKind === 'long' ? 1 : 0));
    header.writeInt32BE(header.length - LENGTH_BYTES + answer.length, 0);
    header.writeInt32BE(correlationId, LENGTH_BYTES);
    this.#socket.cork();
    this.#socket.write(header);
    const hasRoom = this.#socket.write(answer);
    this.#socket.uncork();
    if (!hasRoom && this.#socket.writableNeedDrain) this.#state = 'draining';
  }
}

/** Bytes that are no request: an error of the client, and expected. */
function isMalformed(error: unknown): boolean {
  return (
    error instanceof RangeError ||
    (error instanceof EscapementError && error.code === 'PROTOCOL_MALFORMED')
  );
}

/** Steps over the tagged fields of a request header; none are known. */
function skipTags(frame: Buffer, from: number): number {
  let at = from;
  const varint = () => {
    let value = 0;
    let shift = 0;
    for (;;) {
      const byte = frame.readUInt8(at);
      at += 1;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
      shift += 7;
      if (shift > 28) throw new RangeError('a varint of more than 5 bytes');
    }
  };
  for (let count = varint(); count > 0; count--) {
    varint();
    const size = varint();
    at += size;
    if (size < 0 || at > frame.length) throw new RangeError('a tag runs past its frame');
  }
  return at;
}
