/** One request to a Kafka broker on a connection of its own, for what kafkajs does not do. */
import { connect } from 'node:net';

export interface OneRequest {
  readonly apiKey: number;
  /** Of a version before flexible ones (KIP-482). */
  readonly version: number;
  readonly body: readonly Buffer[];
  readonly timeoutMs: number;
}

const CORRELATION_ID = 0x62696c6c;
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

/**
 * Resolves with the body of the answer. Rejects when nobody listens at `address`, when no answer
 * comes in time, and when what answers does not speak the Kafka protocol.
 */
export function requestOnce(address: string, request: OneRequest): Promise<Buffer> {
  const { apiKey, version, body, timeoutMs } = request;
  const header = [int16(apiKey), int16(version), int32(CORRELATION_ID), text('billing-launcher')];
  const message = Buffer.concat([...header, ...body]);
  const cut = address.lastIndexOf(':');
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address.slice(0, cut), port: Number(address.slice(cut + 1)) });
    const fail = (error: Error): void => {
      reject(error);
      socket.destroy();
    };
    const timer = setTimeout(
      () => fail(new Error(`no answer within ${timeoutMs / 1_000} s`)),
      timeoutMs,
    );
    let received = Buffer.alloc(0);
    socket.on('connect', () => socket.write(Buffer.concat([int32(message.length), message])));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 8) return;
      const length = received.readInt32BE(0);
      const isAnswer = length >= 4 && length <= ANSWER_BYTES_MAX;
      if (!isAnswer || received.readInt32BE(4) !== CORRELATION_ID) {
        fail(new Error('what listens there does not speak the Kafka protocol'));
      } else if (received.length >= 4 + length) {
        resolve(received.subarray(8, 4 + length));
        socket.destroy();
      }
    });
    socket.on('error', fail);
    socket.on('close', () => {
      clearTimeout(timer);
      reject(new Error('the connection was closed without an answer'));
    });
  });
}

export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

export function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([int16(bytes.length), bytes]);
}
