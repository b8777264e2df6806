/** TLS and logins on brokers that ask for them: who gets in, and what the others are told. */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { inspect } from 'node:util';
import { Kafka, type KafkaConfig, logLevel } from 'kafkajs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { EscapementError } from '../../src/errors.ts';
import { mapValues, run, string, to, topology } from '../../src/index.ts';
import { Cluster } from '../../src/kafka/cluster/cluster.ts';
import { kafkajsTransport } from '../../src/kafka/transport/kafkajs.ts';
import { systemPorts } from '../../src/ports.ts';
import { type Log, silentLog } from '../../src/telemetry/log.ts';
import { readTopic } from '../../topologies/billing/raw-log.ts';
import { createTopics } from '../topics.ts';
import { Authority } from './real/certificates.ts';
import { describeReal } from './real/parts.ts';
import { writeRows } from './real/producer.ts';
import { documentedRights, grant } from './real/rights.ts';
import {
  PASSWORD,
  type SecureKafka,
  startSecureKafka,
  USER,
  unsecuredToken,
} from './real/secure-kafka.ts';

type Ssl = Exclude<KafkaConfig['ssl'], boolean | undefined>;
type Sasl = NonNullable<KafkaConfig['sasl']>;

const WRONG = 'pw-wrong-4c11';
const TOKEN_MS = 60_000;
/** Of the sessions that are renewed, as soon as so much of them has passed. */
const SESSION_MS = 30_000;
const RENEWED_AFTER_MS = 2_000;
/** Of a connection that comes about, or is refused, on a machine that is busy. */
const CONNECT_MS_MAX = 60_000;
/** How long one is tried that never comes about. */
const TRIED_MS = 4_000;

const plain = (password = PASSWORD): Sasl => ({ mechanism: 'plain', username: USER, password });
const scram = (bits: 256 | 512, password = PASSWORD): Sasl => ({
  mechanism: `scram-sha-${bits}` as 'scram-sha-256',
  username: USER,
  password,
});
const oauth = (lifetimeMs: number): Sasl => ({
  mechanism: 'oauthbearer',
  oauthBearerProvider: async () => ({ value: unsecuredToken(USER, lifetimeMs) }),
});

for (const version of ['3.9.1', '4.3.1'] as const) {
  describeReal(`security on Kafka ${version}`, () => {
    let broker: SecureKafka;
    let trusted: Ssl;

    beforeAll(async () => {
      broker = await startSecureKafka(version, {
        // A session of a token ends with it.
        'listener.name.bare.oauthbearer.connections.max.reauth.ms': '60000',
      });
      trusted = { ca: [broker.authority.cert] };
    });
    afterAll(() => broker?.stop());

    /** Everything that came out in the attempts below, as people print it. */
    const heard: string[] = [];
    const listen = (fields: unknown, event: string): void => {
      heard.push(event, inspect(fields, { depth: null }), JSON.stringify(fields));
    };
    const listening: Log = { debug: listen, info: listen, warn: listen, error: listen };
    const hear = <T>(error: T): T => {
      heard.push(inspect(error, { depth: null, showHidden: true }), JSON.stringify(error));
      return error;
    };

    /** Connects once as `run` does; counts the sockets that were opened for it. */
    const attempt = async (
      address: string,
      config: Partial<KafkaConfig>,
      startTimeoutMs = CONNECT_MS_MAX,
    ): Promise<{ error: EscapementError | null; sockets: number; nodes: number }> => {
      let sockets = 0;
      const kafka: KafkaConfig = {
        brokers: [address],
        logLevel: logLevel.DEBUG,
        connectionTimeout: CONNECT_MS_MAX,
        authenticationTimeout: CONNECT_MS_MAX,
        socketFactory: ({ host, port, ssl, onConnect }) => {
          sockets++;
          return ssl == null
            ? connectTcp({ host, port }, onConnect)
            : connectTls({ host, port, ...ssl }, onConnect);
        },
        ...config,
      };
      const opened = { ports: systemPorts, log: listening };
      let cluster: Cluster;
      try {
        cluster = new Cluster({
          transport: kafkajsTransport(kafka, opened),
          ...opened,
          startTimeoutMs,
        });
      } catch (error) {
        return { error: hear(error as EscapementError), sockets, nodes: 0 };
      }
      try {
        await cluster.start();
        return { error: null, sockets, nodes: cluster.brokerCount };
      } catch (error) {
        return { error: hear(error as EscapementError), sockets, nodes: 0 };
      } finally {
        await cluster.close();
      }
    };

    const admitted: readonly (readonly [string, () => readonly [string, Partial<KafkaConfig>]])[] =
      [
        ['PLAIN', () => [broker.secure, { ssl: trusted, sasl: plain() }]],
        ['SCRAM-SHA-256', () => [broker.secure, { ssl: trusted, sasl: scram(256) }]],
        ['SCRAM-SHA-512', () => [broker.secure, { ssl: trusted, sasl: scram(512) }]],
        ['OAUTHBEARER', () => [broker.secure, { ssl: trusted, sasl: oauth(TOKEN_MS) }]],
        ['PLAIN without TLS', () => [broker.bare, { sasl: plain() }]],
        [
          'a client certificate',
          () => [
            broker.mutual,
            { ssl: { ...trusted, cert: broker.client.cert, key: broker.client.key } },
          ],
        ],
      ];
    it.each(admitted)('logs in by %s', async (_, given) => {
      const { error, sockets, nodes } = await attempt(...given());
      expect(error?.message).toBeUndefined();
      expect({ sockets, nodes }).toEqual({ sockets: 1, nodes: 1 });
    });

    it('logs in by a client certificate whose key has a passphrase', async () => {
      const key = await broker.authority.encrypt(broker.client, 'pass-771-phrase');
      const ssl = { ...trusted, cert: broker.client.cert, key };
      const right = await attempt(broker.mutual, {
        ssl: { ...ssl, passphrase: 'pass-771-phrase' },
      });
      expect(right).toEqual({ error: null, sockets: 1, nodes: 1 });
      const wrong = await attempt(broker.mutual, { ssl: { ...ssl, passphrase: WRONG } });
      expect(wrong).toMatchObject({ error: { code: 'OPTION_INVALID' }, sockets: 0 });
      expect(wrong.error?.message).toMatch(/option `ssl` cannot be used: .* `passphrase`/);
    });

    const refused: readonly (readonly [
      string,
      () => readonly [string, Partial<KafkaConfig>],
      EscapementError['code'],
      RegExp,
    ])[] = [
      [
        'a wrong PLAIN password',
        () => [broker.secure, { ssl: trusted, sasl: plain(WRONG) }],
        'AUTHENTICATION_FAILED',
        /refused the login: SASL PLAIN .*Check mechanism, user name and password/,
      ],
      [
        'a wrong SCRAM-SHA-256 password',
        () => [broker.secure, { ssl: trusted, sasl: scram(256, WRONG) }],
        'AUTHENTICATION_FAILED',
        /refused the login: SASL SCRAM SHA256 .*Check mechanism, user name and password/,
      ],
      [
        'a wrong SCRAM-SHA-512 password',
        () => [broker.secure, { ssl: trusted, sasl: scram(512, WRONG) }],
        'AUTHENTICATION_FAILED',
        /refused the login: SASL SCRAM SHA512 .*Check mechanism, user name and password/,
      ],
      [
        'an expired token',
        () => [broker.secure, { ssl: trusted, sasl: oauth(-TOKEN_MS) }],
        'AUTHENTICATION_FAILED',
        /refused the token: .*invalid_token.*oauthBearerProvider/,
      ],
      [
        'a mechanism that the listener has not',
        () => [broker.bare, { sasl: scram(256) }],
        'AUTHENTICATION_FAILED',
        /does not support the requested SASL mechanism/,
      ],
      [
        'a login where none is asked for',
        () => [broker.kafka.bootstrap, { sasl: plain() }],
        'AUTHENTICATION_FAILED',
        /refused the login.*whether the listener wants TLS/,
      ],
      [
        'a certificate of an unknown authority',
        () => [broker.secure, { ssl: { ca: [stranger.cert] }, sasl: plain() }],
        'TLS_FAILED',
        /is not trusted \(\w+\)\. Put the certificate of its authority into `ssl\.ca`/,
      ],
      [
        'an expired certificate',
        () => [broker.expired, { ssl: trusted }],
        'TLS_FAILED',
        /has expired\. Renew it/,
      ],
      [
        'a certificate of another host',
        () => [broker.elsewhere, { ssl: trusted }],
        'TLS_FAILED',
        /is of another host\. Use an address that it names/,
      ],
      [
        'no client certificate where one is asked for',
        () => [broker.mutual, { ssl: trusted }],
        'TLS_FAILED',
        /refused the certificate of the client \(.*\)\. Check `ssl\.cert`/,
      ],
    ];
    let stranger: Authority;
    beforeAll(async () => {
      stranger = await Authority.create(broker.folder, 'stranger');
    });
    it.each(refused)(
      'says at the first try what is wrong with %s',
      async (_, given, code, text) => {
        const { error, sockets } = await attempt(...given());
        expect(error?.message).toMatch(text);
        expect(error).toMatchObject({ code, decision: 'stop' });
        expect(error?.message).toContain(given()[0]);
        expect(error?.message).not.toMatch(WRONG);
        expect(sockets).toBe(1);
      },
    );

    it('knows a refused token also from a client that was handed over', async () => {
      const kafka = new Kafka({
        brokers: [broker.bare],
        sasl: oauth(-TOKEN_MS),
        retry: { retries: 0 },
        logLevel: logLevel.NOTHING,
      });
      const opened = { ports: systemPorts, log: silentLog };
      const cluster = new Cluster({ transport: kafkajsTransport(kafka, opened), ...opened });
      await expect(cluster.start()).rejects.toMatchObject({
        code: 'AUTHENTICATION_FAILED',
        message: expect.stringContaining('Check the token or password of `sasl`'),
      });
      await cluster.close();
    });

    it('has said no password, passphrase, token or key in all that', () => {
      const all = heard.join('\n');
      // It did hear: kafkajs at debug level, and each kind of error.
      expect(all).toMatch(/Request SaslAuthenticate/);
      expect(all).toMatch(/AUTHENTICATION_FAILED/);
      expect(all).toMatch(/TLS_FAILED/);
      const key = broker.client.key.split('\n')[1]!;
      const token = unsecuredToken(USER, TOKEN_MS).slice(0, 40);
      for (const secret of [PASSWORD, WRONG, 'pass-771-phrase', key, token]) {
        expect(secret.length).toBeGreaterThan(8);
        expect(heard.find((line) => line.includes(secret))).toBeUndefined();
      }
    });

    it('renews its sessions while it works, and ends when a token is refused then', async () => {
      const [input, output] = ['renewed-in', 'renewed-out'];
      const { bootstrap } = broker.kafka;
      await createTopics(
        bootstrap,
        [input, output].map((topic) => ({ topic, numPartitions: 1 })),
      );
      const names = { applicationId: 'renewed', inputs: [input], outputs: [output] };
      await grant(bootstrap, USER, documentedRights(names));
      let asked = 0;
      let refuse = false;
      const oauthBearerProvider = async () => {
        asked++;
        return { value: refuse ? 'no token' : unsecuredToken(USER, SESSION_MS) };
      };
      const warnings: unknown[] = [];
      const app = topology('renewed');
      app.stream(input, { key: string(), value: string() }).pipe(
        mapValues((value) => value),
        to(output, { key: string(), value: string() }),
      );
      const application = await run(app, {
        applicationId: 'renewed',
        kafka: {
          brokers: [broker.bare],
          sasl: { mechanism: 'oauthbearer', oauthBearerProvider },
          reauthenticationThreshold: SESSION_MS - RENEWED_AFTER_MS,
        },
        log: {
          ...silentLog,
          warn: (fields: unknown, event: string) => warnings.push([event, fields]),
        },
        signals: 'ignore',
      });
      const ended = application.stopped().then(
        () => null,
        (error: unknown) => error,
      );
      const committed = async () => (await readTopic(bootstrap, output))[0]!.committed.length;
      const first = asked;
      let rows = 0;
      // Every connection logs in again, several times, and steps go on over all of them.
      while (asked < 3 * first) {
        await writeRows(bootstrap, input, [['k', `v${rows}`]]);
        rows++;
        await expect.poll(committed, { timeout: 60_000 }).toBe(rows);
      }
      expect({ state: application.state, warnings }).toEqual({ state: 'running', warnings: [] });
      refuse = true;
      expect(await ended).toMatchObject({ code: 'AUTHENTICATION_FAILED' });
      expect(await committed()).toBe(rows);
    });

    it('ends when the certificate of the broker is not trusted any more, and leaves TLS for nothing', async () => {
      const [input, output] = ['untrusted-in', 'untrusted-out'];
      const { bootstrap } = broker.kafka;
      await createTopics(
        bootstrap,
        [input, output].map((topic) => ({ topic, numPartitions: 1 })),
      );
      const names = { applicationId: 'untrusted', inputs: [input], outputs: [output] };
      await grant(bootstrap, USER, documentedRights(names));
      const sockets: Socket[] = [];
      let ca = [broker.authority.cert];
      const app = topology('untrusted');
      app.stream(input, { key: string(), value: string() }).pipe(
        mapValues((value) => value),
        to(output, { key: string(), value: string() }),
      );
      const application = await run(app, {
        applicationId: 'untrusted',
        kafka: {
          brokers: [broker.secure],
          ssl: trusted,
          sasl: scram(256),
          socketFactory: ({ host, port, onConnect }) => {
            const socket = connectTls({ host, port, ca }, onConnect);
            sockets.push(socket);
            return socket;
          },
        },
        signals: 'ignore',
      });
      const committed = async () => (await readTopic(bootstrap, output))[0]!.committed.length;
      await writeRows(bootstrap, input, [['k', 'v']]);
      await expect.poll(committed, { timeout: 60_000 }).toBe(1);
      ca = [stranger.cert];
      const before = sockets.length;
      for (const socket of sockets) socket.destroy();
      await expect(application.stopped()).rejects.toMatchObject({ code: 'TLS_FAILED' });
      // One new connection for each kind of work at most: it does not knock again.
      expect(sockets.length - before).toBeLessThanOrEqual(6);
    });

    it('says what a listener of another kind needs, and keeps to TLS', async () => {
      const bare = await attempt(broker.mutual, {});
      expect(bare.error).toMatchObject({ code: 'TLS_FAILED' });
      expect(bare.sockets).toBe(1);
      expect(bare.error?.message).toContain('A TLS listener needs `ssl`');
      const silent = await attempt(broker.bare, {}, TRIED_MS);
      expect(silent.error?.message).toContain('A SASL listener needs `sasl`');
      const needless = await attempt(broker.kafka.bootstrap, { ssl: trusted }, TRIED_MS);
      expect(needless.error).not.toBeNull();
      expect(needless.error?.message).toMatch(/a plain one closes on TLS|TLS_FAILED|handshake/);
    });
  });
}
