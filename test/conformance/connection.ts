/**
 * One TCP connection that speaks Kafka's protocol with the layouts of `kafka/protocol` and nothing
 * else: no retries, no cluster, no order of its own. The same for every target of the suite.
 *
 * I1. Requests leave in the order of `ask` and may be pipelined; answers are matched by their
 *     correlation id, so that a broker which answers out of order is found out.
 */
import { connect, type Socket } from 'node:net';
import { apiVersions } from '../../src/kafka/protocol/api-versions.ts';
import { decodeResponse, encodeRequest } from '../../src/kafka/protocol/codec.ts';
import type { Api } from '../../src/kafka/protocol/schema.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

interface Waiting {
  readonly resolve: (frame: Buffer) => void;
  readonly reject: (error: Error) => void;
}

const LENGTH_BYTES = 4;
/** More than any answer of the suite is held for. */
const ANSWER_MS_MAX = 60_000;
const CLIENT_ID = Buffer.from('conformance');

export class Connection {
  /** Correlation ids in the order in which their answers came. */
  readonly answered: number[] = [];
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  #received: Buffer = Buffer.alloc(0);
  #correlationId = 0;
  #end: Error | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the connection was closed')));
  }

  static open({ host, port }: Address): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, host, () => resolve(new Connection(socket)));
      socket.once('error', reject);
    });
  }

  async ask<Req, Res>(api: Api<Req, Res>, version: number, body: NoInfer<Req>): Promise<Res> {
    const frame = await this.#exchange(api, version, encodeRequest(api, version, body));
    const short = version < api.flexibleFrom || api.key === apiVersions.key;
    return decodeResponse(api, version, frame.subarray(short ? 4 : 5));
  }

  /** A body that no layout produces, or a version that is not spoken; the bare answer. */
  askBytes(api: Api, version: number, body: Buffer): Promise<Buffer> {
    return this.#exchange(api, version, body);
  }

  /** Sends and expects no answer, as for Produce with acks 0. */
  send<Req>(api: Api<Req, unknown>, version: number, body: NoInfer<Req>): void {
    this.#write(api, version, encodeRequest(api, version, body));
  }

  /** Closes at once, whatever is on its way. */
  close(): void {
    this.#fail(new Error('the connection was closed by the suite'));
    this.#socket.destroy();
  }

  #exchange(api: Api, version: number, body: Buffer): Promise<Buffer> {
    if (this.#end !== null) return Promise.reject(this.#end);
    return new Promise((resolve, reject) => {
      const correlationId = this.#write(api, version, body);
      const timer = setTimeout(() => {
        reject(new Error(`${api.name} was not answered in ${ANSWER_MS_MAX} ms`));
      }, ANSWER_MS_MAX);
      const settle =
        <T>(done: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timer);
          done(value);
        };
      this.#waiting.set(correlationId, { resolve: settle(resolve), reject: settle(reject) });
    });
  }

  #write(api: Api, version: number, body: Buffer): number {
    this.#correlationId += 1;
    const header = Buffer.alloc(LENGTH_BYTES + 10);
    const flexible = version >= api.flexibleFrom ? Buffer.alloc(1) : Buffer.alloc(0);
    const length = 10 + CLIENT_ID.length + flexible.length + body.length;
    header.writeInt32BE(length, 0);
    header.writeInt16BE(api.key, 4);
    header.writeInt16BE(version, 6);
    header.writeInt32BE(this.#correlationId, 8);
    header.writeInt16BE(CLIENT_ID.length, 12);
    this.#socket.write(Buffer.concat([header, CLIENT_ID, flexible, body]));
    return this.#correlationId;
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= LENGTH_BYTES) {
      const end = LENGTH_BYTES + this.#received.readInt32BE(0);
      if (this.#received.length < end) return;
      const frame = this.#received.subarray(LENGTH_BYTES, end);
      this.#received = this.#received.subarray(end);
      const correlationId = frame.readInt32BE(0);
      this.answered.push(correlationId);
      this.#waiting.get(correlationId)?.resolve(frame);
      this.#waiting.delete(correlationId);
    }
  }

  #fail(error: Error): void {
    this.#end ??= error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
