/**
 * The door for clients over TCP: kafkajs, kcat, Java clients, and escapement in other processes.
 *
 * Owns frames and headers. A frame is a length and a request: header (api key, version, correlation
 * id, client id, and tagged fields in flexible versions) and body.
 *
 * I1. Requests of a connection are handled one after the other, each after the answer of the one
 *     before: answers leave in the order of the requests, as from Kafka.
 * I2. A frame longer than the limit, or bytes that are no request, close the connection.
 * I3. The response header of ApiVersions is the short one at every version (KIP-511).
 */
import { createServer, type Server, type Socket } from 'node:net';
import { apiVersions } from '../kafka/protocol/api-versions.ts';
import { isFlexible } from '../kafka/protocol/codec.ts';
import type { Connection } from './api-table.ts';
import type { Broker } from './broker.ts';

/** `socket.request.max.bytes` of Kafka. */
const FRAME_BYTES_MAX = 104_857_600;
const LENGTH_BYTES = 4;
const HEADER_BYTES_MIN = 10;

export interface ListenOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** The node that this door leads to; default 0. */
  readonly node?: number;
}

export interface Listener {
  readonly port: number;
  /** Closes the door and every connection. */
  close(): Promise<void>;
}

export function listen(broker: Broker, options: ListenOptions): Promise<Listener> {
  const { host, port, node = 0 } = options;
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    // A node that is down takes no connections: the door stays, as the port of a host does.
    if (!broker.isUp(node)) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('close', () => sockets.delete(socket));
    // A reset by the client is not an event of the broker.
    socket.on('error', () => socket.destroy());
    new ClientConnection(broker, socket, node);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      const address = server.address();
      const bound = address === null || typeof address === 'string' ? port : address.port;
      broker.announce({ id: node, host, port: bound });
      resolve({
        port: bound,
        close: () =>
          new Promise((closed) => {
            server.close(() => closed());
            for (const socket of sockets) socket.destroy();
          }),
      });
    });
  });
}

class ClientConnection {
  readonly #broker: Broker;
  readonly #socket: Socket;
  readonly #connection: Connection;
  #chunks: Buffer[] = [];
  #chunkBytes = 0;
  /** Frame bytes to wait for before looking again: large frames are joined once. */
  #needed = LENGTH_BYTES;
  #frames: Buffer[] = [];
  #state: 'idle' | 'handling' = 'idle';

  constructor(broker: Broker, socket: Socket, node: number) {
    this.#broker = broker;
    this.#socket = socket;
    this.#connection = broker.connect(node, socket.remoteAddress ?? 'unknown', () =>
      socket.destroy(),
    );
    socket.on('close', () => broker.disconnect(this.#connection));
    socket.on('data', (chunk) => this.#received(chunk));
  }

  #received(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#chunkBytes += chunk.length;
    if (this.#chunkBytes < this.#needed) return;
    let bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    this.#needed = LENGTH_BYTES;
    while (bytes.length >= LENGTH_BYTES) {
      const length = bytes.readInt32BE(0);
      if (length < HEADER_BYTES_MIN || length > FRAME_BYTES_MAX) {
        this.#refuse();
        return;
      }
      this.#needed = LENGTH_BYTES + length;
      if (bytes.length < this.#needed) break;
      this.#frames.push(bytes.subarray(LENGTH_BYTES, this.#needed));
      bytes = bytes.subarray(this.#needed);
      this.#needed = LENGTH_BYTES;
    }
    this.#chunks = bytes.length === 0 ? [] : [bytes];
    this.#chunkBytes = bytes.length;
    this.#work();
  }

  /** A loop, not a recursion: many frames may be answered at once. */
  #work(): void {
    while (this.#state === 'idle' && !this.#socket.destroyed) {
      const frame = this.#frames.shift();
      if (frame === undefined) return;
      this.#state = 'handling';
      try {
        this.#handle(frame);
      } catch {
        this.#refuse();
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
    if (clientIdLength > 0) {
      this.#connection.clientId = frame.toString('utf8', at, at + clientIdLength);
      at += clientIdLength;
    }
    if (flexible) at = skipTags(frame, at);
    const body = frame.subarray(at);
    let stack: 'inside' | 'left' = 'inside';
    this.#broker.handle(this.#connection, apiKey, apiVersion, body, (answer) => {
      this.#state = 'idle';
      if (this.#socket.destroyed) return;
      if (answer !== null) {
        const long = flexible && apiKey !== apiVersions.key;
        const header = Buffer.alloc(LENGTH_BYTES + 4 + (long ? 1 : 0));
        header.writeInt32BE(header.length - LENGTH_BYTES + answer.length, 0);
        header.writeInt32BE(correlationId, LENGTH_BYTES);
        this.#socket.cork();
        this.#socket.write(header);
        this.#socket.write(answer);
        this.#socket.uncork();
      }
      if (stack === 'left') this.#work();
    });
    stack = 'left';
  }

  #refuse(): void {
    this.#frames = [];
    this.#socket.destroy();
  }
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
