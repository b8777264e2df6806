import { createServer } from 'node:net';
import { type KafkaConfig, logLevel } from 'kafkajs';
import { afterEach, describe, expect, it } from 'vitest';
import { kafkajsTransport } from '../../../src/kafka/transport/kafkajs.ts';
import { checkSecurity, saslOf } from '../../../src/kafka/transport/kafkajs-security.ts';
import { Secrets } from '../../../src/kafka/transport/secrets.ts';
import { systemPorts } from '../../../src/ports.ts';
import { silentLog } from '../../../src/telemetry/log.ts';

const AWAY = ['kafka.example:9093'];
const PASSWORD = 'pw-91d2-secret';
const plain = { mechanism: 'plain', username: 'me', password: PASSWORD } as const;
const REQUEST = { apiKey: 3, apiVersion: 4, body: Buffer.alloc(9), timeoutMs: 60_000 } as const;

const warningsOf = (options: Pick<KafkaConfig, 'brokers' | 'sasl' | 'ssl'>): string[] => {
  const warnings: string[] = [];
  const log = { ...silentLog, warn: (_: unknown, event: string) => warnings.push(event) };
  checkSecurity(options, log, new Secrets());
  return warnings;
};

describe('the options of kafkajs', () => {
  const closers: (() => void)[] = [];
  afterEach(() => {
    for (const close of closers.splice(0)) close();
  });

  it('with TLS begin every connection with TLS, also when the first one fails', async () => {
    const firstBytes: number[] = [];
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (bytes) => {
        firstBytes.push(bytes[0]!);
        socket.destroy();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => server.close());
    const { port } = server.address() as { port: number };
    const kafka = {
      brokers: [`127.0.0.1:${port}`],
      ssl: true,
      sasl: { ...plain },
      logLevel: logLevel.NOTHING,
    };
    const transport = kafkajsTransport(kafka, { ports: systemPorts, log: silentLog });
    closers.push(() => void transport.close());
    for (let attempt = 0; attempt < 3; attempt++) {
      await expect(transport.request('any', { ...REQUEST, lane: 'transaction' })).rejects.toThrow();
    }
    const HANDSHAKE = 0x16;
    expect(firstBytes).toEqual([HANDSHAKE, HANDSHAKE, HANDSHAKE]);
  });

  it('are copied, since kafkajs would keep an authenticator with the password in them', () => {
    const sasl = Object.freeze({ ...plain });
    const copy = saslOf(sasl, new Secrets());
    expect(copy).toEqual(sasl);
    expect(copy).not.toBe(sasl);
    const oauth = { mechanism: 'OAuthBearer', oauthBearerProvider: async () => ({ value: 'x' }) };
    expect(saslOf(oauth, new Secrets())).toHaveProperty('authenticationProvider');
    const own = { ...oauth, authenticationProvider: () => {} };
    expect(saslOf(own, new Secrets())).toEqual(own);
  });

  it('are refused when TLS is too old or its key cannot be read', () => {
    const refusal = (ssl: object) => () =>
      checkSecurity({ brokers: AWAY, ssl }, silentLog, new Secrets());
    expect(refusal({ minVersion: 'TLSv1.1' })).toThrow(/TLS 1\.2 is the least/);
    expect(refusal({ key: `no key but ${PASSWORD}`, passphrase: PASSWORD })).toThrow(
      /`ssl` cannot be used/,
    );
    expect(refusal({ minVersion: 'TLSv1.3' })).not.toThrow();
  });

  it('warn of what travels readable or is not verified', () => {
    expect(warningsOf({ brokers: AWAY, sasl: plain })).toHaveLength(1);
    expect(warningsOf({ brokers: () => AWAY, sasl: plain })).toHaveLength(1);
    expect(warningsOf({ brokers: AWAY, sasl: plain, ssl: true })).toEqual([]);
    expect(warningsOf({ brokers: ['127.0.0.1:9092', 'localhost:1'], sasl: plain })).toEqual([]);
    expect(warningsOf({ brokers: AWAY, sasl: { ...plain, mechanism: 'scram-sha-256' } })).toEqual(
      [],
    );
    expect(warningsOf({ brokers: AWAY, ssl: { rejectUnauthorized: false } })).toHaveLength(1);
  });
});

describe('secrets', () => {
  it('are hidden as they are and URL-encoded, in errors and their stacks', () => {
    const secrets = new Secrets();
    secrets.learn(
      { mechanism: 'plain', username: 'harmless', password: 'p@ss word', custom: 'key-of-plugin' },
      { passphrase: 'phrase-1', pfx: [{ passphrase: 'phrase-2' }], ca: ['certificate'] },
    );
    secrets.learn(undefined, true);
    secrets.learnToken('token-1');
    const text =
      'harmless p@ss word p%40ss%20word key-of-plugin phrase-1 phrase-2 token-1 certificate plain';
    const rest = 'harmless certificate plain';
    expect(secrets.hide(text).replaceAll('[redacted] ', '')).toBe(rest);
    const bare = secrets.bare(new Error('said p@ss word'));
    expect(`${bare.message} ${bare.stack}`).not.toContain('p@ss word');
  });

  it('remember the last tokens only, and no short text', () => {
    const secrets = new Secrets();
    secrets.learn({ password: 'abc' }, null);
    for (let i = 0; i < 100; i++) secrets.learnToken(`token-${i}.`);
    expect(secrets.hide('abc token-0. token-99.')).toBe('abc token-0. [redacted]');
  });
});
