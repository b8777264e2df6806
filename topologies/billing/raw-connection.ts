/**
 * A socket to a broker and two requests, Metadata v1 and Fetch v5, with nothing of the framework and
 * nothing of kafkajs: for those who judge what is committed.
 */
import { connect, type Socket } from 'node:net';

const API = { fetch: 1, metadata: 3 } as const;
const FETCH_BYTES = 4 * 1024 * 1024;
const FETCH_WAIT_MS = 100;
const NOT_LEADER = 6;
const ANSWER_MS_MAX = 10_000;

export interface RawFetched {
  /** Record batches; the last one may be cut off. */
  readonly records: Buffer;
  /** What is below it was deleted. */
  readonly start: bigint;
  /** The high watermark. */
  readonly end: bigint;
  /** The last stable offset: below it every transaction has ended. */
  readonly stableEnd: bigint;
  readonly errorCode: number;
}

/** One request at a time. */
export class RawConnection {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #waiting: { resolve(body: Buffer): void; reject(error: Error): void } | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('error', (error) => this.#waiting?.reject(error));
    socket.setTimeout(ANSWER_MS_MAX, () => socket.destroy());
    socket.on('close', () => this.#waiting?.reject(new Error('the connection was closed')));
  }

  static to(address: string): Promise<RawConnection> {
    const cut = address.lastIndexOf(':');
    const socket = connect(Number(address.slice(cut + 1)), address.slice(0, cut));
    return new Promise((resolve, reject) => {
      socket.once('connect', () => resolve(new RawConnection(socket)));
      socket.once('error', reject);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  /** `host:port` of the leader of each partition; '' where there is none. */
  async leaders(topic: string): Promise<string[]> {
    const body = await this.#request(API.metadata, 1, [int32(1), text(topic)]);
    let at = 0;
    const int = () => {
      at += 4;
      return body.readInt32BE(at - 4);
    };
    const short = () => {
      at += 2;
      return body.readInt16BE(at - 2);
    };
    const skipInts = (count: number) => {
      at += 4 * count;
    };
    const string = () => {
      const length = short();
      if (length < 0) return '';
      at += length;
      return body.toString('utf8', at - length, at);
    };
    const nodes = new Map<number, string>();
    for (let i = int(); i > 0; i -= 1) {
      const id = int();
      nodes.set(id, `${string()}:${int()}`);
      string();
    }
    int();
    const leaders: string[] = [];
    for (let i = int(); i > 0; i -= 1) {
      const errorCode = short();
      string();
      at += 1;
      if (errorCode !== 0) throw new Error(`metadata of ${topic}: error ${errorCode}`);
      for (let p = int(); p > 0; p -= 1) {
        short();
        const partition = int();
        leaders[partition] = nodes.get(int()) ?? '';
        skipInts(int());
        skipInts(int());
      }
    }
    return leaders;
  }

  /** What is there from `offset` on, committed or not; `bytesMin`: waited for, but not for long. */
  async fetch(topic: string, partition: number, offset: bigint, bytesMin = 0): Promise<RawFetched> {
    const body = await this.#request(API.fetch, 5, [
      int32(-1),
      int32(FETCH_WAIT_MS),
      int32(bytesMin),
      int32(FETCH_BYTES),
      Buffer.from([0]),
      int32(1),
      text(topic),
      int32(1),
      int32(partition),
      int64(offset),
      int64(-1n),
      int32(FETCH_BYTES),
    ]);
    let at = 4 + 4;
    at += 2 + body.readInt16BE(at) + 4 + 4;
    const errorCode = body.readInt16BE(at);
    const end = body.readBigInt64BE(at + 2);
    const stableEnd = body.readBigInt64BE(at + 10);
    const start = body.readBigInt64BE(at + 18);
    at += 2 + 8 + 8 + 8;
    const abortedCount = body.readInt32BE(at);
    at += 4 + Math.max(0, abortedCount) * 16;
    const length = body.readInt32BE(at);
    const records = body.subarray(at + 4, at + 4 + Math.max(0, length));
    if (errorCode === NOT_LEADER) throw new Error('not the leader any more');
    return { records, start, end, stableEnd, errorCode };
  }

  #request(apiKey: number, version: number, parts: readonly Buffer[]): Promise<Buffer> {
    const header = Buffer.concat([int16(apiKey), int16(version), int32(1), text('raw-log')]);
    const message = Buffer.concat([header, ...parts]);
    return new Promise((resolve, reject) => {
      // It was closed between two requests: nothing would ever come of this one.
      if (this.#socket.destroyed) {
        reject(new Error('the connection was closed'));
        return;
      }
      this.#waiting = { resolve, reject };
      this.#socket.write(Buffer.concat([int32(message.length), message]));
    });
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    if (this.#received.length < 4) return;
    const length = this.#received.readInt32BE(0);
    if (this.#received.length < 4 + length) return;
    const body = Buffer.from(this.#received.subarray(8, 4 + length));
    this.#received = Buffer.from(this.#received.subarray(4 + length));
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.resolve(body);
  }
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function int64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([int16(bytes.length), bytes]);
}
