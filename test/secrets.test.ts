/**
 * Secrets are planted wherever an option takes one, things go wrong in every way, and nothing that
 * comes out of the library may hold one: errors as people print them, and every line of the log.
 */
import { inspect } from 'node:util';
import { logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Broker } from '../src/broker/broker.ts';
import { type Listener, listen } from '../src/broker/tcp.ts';
import {
  avro,
  confluentRegistry,
  long,
  mapValues,
  memoryRegistry,
  type RunOptions,
  run,
  string,
  type TopologyBuilder,
  to,
  topology,
} from '../src/index.ts';
import { systemPorts } from '../src/ports.ts';
import type { Log } from '../src/telemetry/log.ts';
import { Client } from './broker/client.ts';
import { SaslDoor } from './kafka/transport/sasl-door.ts';

const text = string();
const SECRETS = {
  password: 'plant-pw-5541',
  token: 'plant-token-9917',
  passphrase: 'plant-phrase-3310',
  jaas: 'plant-jaas-7208',
  registryUser: 'plant-registry-2219',
  registryPassword: 'plant-registry-6630',
  urlPassword: 'plant-url-1184',
  key: 'plant-record-key-4402',
  value: 'plant-record-value-8853',
} as const;

class Ear {
  readonly heard: string[] = [];
  readonly log: Log;

  constructor() {
    const write = (fields: object, event: string): void => {
      this.heard.push(event, ...shown(fields));
    };
    this.log = { debug: write, info: write, warn: write, error: write };
  }

  hear(something: unknown): void {
    this.heard.push(...shown(something));
  }
}

/** In every way in which people print things. */
function shown(something: unknown): string[] {
  const { stack = '', cause } = (something ?? {}) as { stack?: string; cause?: unknown };
  return [
    inspect(something, { depth: null, showHidden: true, getters: true }),
    JSON.stringify(something) ?? '',
    String(something),
    stack,
    ...(cause === undefined ? [] : shown(cause)),
  ];
}

describe('secrets', () => {
  const ear = new Ear();
  let broker: Broker;
  let listener: Listener;
  let address: string;
  const door = new SaslDoor();
  let refusing: string;

  beforeAll(async () => {
    broker = new Broker({ ports: systemPorts });
    listener = await listen(broker, { host: '127.0.0.1', port: 0 });
    address = `127.0.0.1:${listener.port}`;
    refusing = `127.0.0.1:${await door.start()}`;
    const client = new Client(broker);
    client.createTopic('in');
    client.createTopic('out');
    client.produce('in', 0, { values: [SECRETS.value], key: SECRETS.key, timestamp: 1_000 });
  });
  afterAll(async () => {
    door.stop();
    await listener.close();
    broker.close();
  });

  /** Runs until it fails; returns the code of the error. */
  const failing = async (
    given: Partial<RunOptions>,
    app: TopologyBuilder = copying(() => SECRETS.value),
  ): Promise<string> => {
    const options: RunOptions = {
      applicationId: `app-${ear.heard.length}`,
      kafka: { brokers: [address] },
      signals: 'ignore',
      log: ear.log,
      ...given,
    };
    try {
      const application = await run(app, options);
      ear.hear(application);
      ear.hear(application.metrics());
      await application.stopped();
    } catch (error) {
      ear.hear(error);
      return (error as { code?: string }).code ?? 'none';
    }
    return 'stopped';
  };

  const copying = (map: (value: string) => string) => {
    const app = topology('copy');
    app
      .stream('in', { key: text, value: text })
      .pipe(mapValues(map), to('out', { key: text, value: text }));
    return app;
  };

  const security = {
    logLevel: logLevel.DEBUG,
    // None of them is to fail by a machine that is busy.
    connectionTimeout: 60_000,
    authenticationTimeout: 60_000,
    sasl: { mechanism: 'plain', username: 'me', password: SECRETS.password },
  } as const;

  it('stay out of refused logins, connections and TLS', async () => {
    const { password, token, passphrase, jaas } = SECRETS;
    const dead = '127.0.0.1:1';
    const ssl = { passphrase, rejectUnauthorized: true };
    const provider = async () => ({ value: token, extensions: { jaas } });
    const throwing = async (): Promise<never> => {
      throw Object.assign(new Error(`https://x:${SECRETS.urlPassword}@idp refused`), { token });
    };
    const oauth = { mechanism: 'oauthbearer' as const };
    for (const sasl of [security.sasl, { ...oauth, oauthBearerProvider: provider }]) {
      const kafka = { ...security, brokers: [refusing], sasl };
      expect(await failing({ kafka })).toBe('AUTHENTICATION_FAILED');
    }
    const codes = await Promise.all([
      failing({ kafka: { ...security, brokers: [address] } }),
      failing({ kafka: { ...security, brokers: [dead], ssl } }),
      failing({ kafka: { ...security, brokers: [address], ssl } }),
      failing({
        kafka: { brokers: [address], sasl: { ...oauth, oauthBearerProvider: provider } },
      }),
      failing({
        kafka: { brokers: [address], sasl: { ...oauth, oauthBearerProvider: throwing } },
      }),
      failing({
        kafka: {
          brokers: () => {
            throw new Error(`no brokers for ${password}`);
          },
          sasl: security.sasl,
        },
      }),
      failing({ kafka: { brokers: [address], ssl: { key: 'no key', passphrase } } }),
    ]);
    expect(codes.every((code) => /FAILED|INVALID|UNKNOWN|BROKER_ERROR/.test(code))).toBe(true);
  });

  it('stay out of a registry that refuses, is away, or is badly addressed', async () => {
    const { registryUser, registryPassword, urlPassword } = SECRETS;
    const auth = { username: registryUser, password: registryPassword };
    const schema = '{"type":"record","name":"R","fields":[]}';
    for (const host of [
      `http://me:${urlPassword}@127.0.0.1:1/registry`,
      `http://me:${urlPassword}@127.0.0.1:${listener.port}`,
      `me:${urlPassword}@no-scheme`,
    ]) {
      try {
        const registry = confluentRegistry({ host, auth, deadlineMs: 1_000 });
        ear.hear(registry);
        const app = topology('registry');
        const value = avro<object>({ registry, schema, subject: 'out-value' });
        app.stream('in', { key: text, value: text }).pipe(
          mapValues(() => ({})),
          to('out', { key: text, value }),
        );
        expect(await failing({}, app)).toMatch(/REGISTRY_UNAVAILABLE/);
      } catch (error) {
        ear.hear(error);
        expect(error).toMatchObject({ code: 'OPTION_INVALID' });
      }
    }
  });

  it('stay out of options that are refused, and records out of everything', async () => {
    const { password } = SECRETS;
    const unknown = { sasl: { password }, commitIntervalMs: -1 } as Partial<RunOptions>;
    expect(await failing(unknown)).toBe('OPTION_INVALID');
    const thrower = copying(() => {
      throw new Error('user code failed');
    });
    expect(await failing({}, thrower)).toBe('RECORD_FAILED');
    const reader = topology('read');
    reader.stream('in', { key: text, value: long() }).pipe(
      mapValues((value) => value + 1),
      to('out', { key: text, value: long() }),
    );
    expect(await failing({}, reader)).toBe('RECORD_UNDECODABLE');
    const writer = topology('write');
    writer.stream('in', { key: text, value: text }).pipe(
      mapValues((value) => `${value}!`),
      to('out', { key: text, value: long() as never }),
    );
    expect(await failing({}, writer)).toBe('SERDE_FAILED');
    const registry = memoryRegistry();
    const schema = '{"type":"record","name":"R","fields":[{"name":"n","type":"int"}]}';
    await registry.register('out-value', schema);
    const typed = topology('typed');
    const out = avro<{ n: string }>({ registry, schema, subject: 'out-value' });
    typed.stream('in', { key: text, value: text }).pipe(
      mapValues((n) => ({ n })),
      to('out', { key: text, value: out }),
    );
    expect(await failing({}, typed)).toBe('SERDE_FAILED');
  });

  it('are in nothing that was heard', () => {
    expect(ear.heard.length).toBeGreaterThan(50);
    const all = ear.heard.join('\n');
    // The ear does hear: what is no secret is there.
    expect(all).toContain('AUTHENTICATION_FAILED');
    expect(all).toContain('REGISTRY_UNAVAILABLE');
    expect(all).toContain('Connecting');
    for (const [name, secret] of Object.entries(SECRETS)) {
      const line = ear.heard.find((each) => each.includes(secret));
      expect({ name, line }).toEqual({ name, line: undefined });
    }
  });
});
