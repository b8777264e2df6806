/** A broker that offers every SASL mechanism and refuses every login, repeating what it was sent. */
import { createServer, type Server } from 'node:net';
import { apiVersions } from '../../../src/kafka/protocol/api-versions.ts';
import { decodeRequest, encodeResponse } from '../../../src/kafka/protocol/codec.ts';
import { KafkaErrorCode } from '../../../src/kafka/protocol/error-codes.ts';
import { saslAuthenticate } from '../../../src/kafka/protocol/sasl-authenticate.ts';
import { saslHandshake } from '../../../src/kafka/protocol/sasl-handshake.ts';

const OFFERED = [
  { apiKey: apiVersions.key, minVersion: 0, maxVersion: 2 },
  { apiKey: saslHandshake.key, minVersion: 0, maxVersion: 1 },
  { apiKey: saslAuthenticate.key, minVersion: 0, maxVersion: 1 },
];

export class SaslDoor {
  logins = 0;
  readonly #server: Server;

  constructor() {
    this.#server = createServer((socket) => {
      socket.on('error', () => {});
      // Requests of a login come one by one, each in a piece of its own.
      socket.on('data', (frame) => {
        const [key, version, correlation] = [
          frame.readInt16BE(4),
          frame.readInt16BE(6),
          frame.readInt32BE(8),
        ];
        const body = frame.subarray(14 + Math.max(0, frame.readInt16BE(12)));
        const answer = this.#answer(key, version, body);
        const head = Buffer.alloc(8);
        head.writeInt32BE(4 + answer.length);
        head.writeInt32BE(correlation, 4);
        socket.write(Buffer.concat([head, answer]));
      });
    });
  }

  start(): Promise<number> {
    return new Promise((resolve) => {
      this.#server.listen(0, '127.0.0.1', () => {
        resolve((this.#server.address() as { port: number }).port);
      });
    });
  }

  stop(): void {
    this.#server.close();
  }

  #answer(key: number, version: number, body: Buffer): Buffer {
    if (key === apiVersions.key) {
      return encodeResponse(apiVersions, version, { errorCode: 0, apiKeys: OFFERED });
    }
    if (key === saslHandshake.key) {
      const mechanisms = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'];
      return encodeResponse(saslHandshake, version, { errorCode: 0, mechanisms });
    }
    this.logins++;
    const { authBytes } = decodeRequest(saslAuthenticate, version, body);
    return encodeResponse(saslAuthenticate, version, {
      errorCode: KafkaErrorCode.SASL_AUTHENTICATION_FAILED,
      errorMessage: `no\u001b entry for ${Buffer.from(authBytes).toString()}`,
      authBytes: Buffer.alloc(0),
    });
  }
}
