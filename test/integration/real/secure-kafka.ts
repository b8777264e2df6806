/**
 * A real Kafka that lets nobody in without proof and nobody do anything without a right. Its plain
 * listener is for the test itself, which is a superuser there.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../free-ports.ts';
import { Authority, type Identity } from './certificates.ts';
import { type KafkaVersion, type ListenerOptions, type RealKafka, startKafka } from './kafka.ts';

export const USER = 'alice';
/** Of PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512. */
export const PASSWORD = 'pw-7f3a9c-alice';

export interface SecureKafka {
  readonly kafka: RealKafka;
  /** Removed with the broker. */
  readonly folder: string;
  readonly authority: Authority;
  /** A client certificate of the same authority, with the common name `alice`. */
  readonly client: Identity;
  /** SASL_SSL with PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER (unsecured tokens). */
  readonly secure: string;
  /** SASL_PLAINTEXT with PLAIN and OAUTHBEARER. */
  readonly bare: string;
  /** SSL with client certificates. */
  readonly mutual: string;
  /** SSL whose certificate expired yesterday. */
  readonly expired: string;
  /** SSL whose certificate is of another host. */
  readonly elsewhere: string;
  stop(): Promise<void>;
}

const LISTENERS = [
  ['SECURE', 'SASL_SSL'],
  ['BARE', 'SASL_PLAINTEXT'],
  ['MUTUAL', 'SSL'],
  ['EXPIRED', 'SSL'],
  ['ELSEWHERE', 'SSL'],
] as const;

export async function startSecureKafka(
  version: KafkaVersion,
  settings: Readonly<Record<string, string>> = {},
): Promise<SecureKafka> {
  const folder = mkdtempSync(join(tmpdir(), 'escapement-tls-'));
  const authority = await Authority.create(folder);
  const names = 'IP:127.0.0.1,DNS:localhost';
  const server = await authority.issue({ name: 'server', names });
  const expired = await authority.issue({ name: 'expired', names, days: -1 });
  const elsewhere = await authority.issue({ name: 'elsewhere', names: 'DNS:broker.example' });
  const client = await authority.issue({ name: USER, names: 'DNS:client.example' });
  const ports = await freePorts(LISTENERS.length);
  const listeners = LISTENERS.map(
    ([name, protocol], i): ListenerOptions => ({ name, protocol, port: ports[i]! }),
  );
  const at = (name: string) => `127.0.0.1:${listeners.find((each) => each.name === name)!.port}`;
  const keyStore = (name: string, identity: Identity) => {
    const file = join(folder, `${name}.store.pem`);
    writeFileSync(file, identity.key + identity.cert);
    const prefix = `listener.name.${name.toLowerCase()}`;
    return {
      [`${prefix}.ssl.keystore.type`]: 'PEM',
      [`${prefix}.ssl.keystore.location`]: file,
    };
  };
  writeFileSync(join(folder, 'trusted.pem'), authority.cert);
  const scram = ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
    '--add-scram',
    `${mechanism}=[name=${USER},password=${PASSWORD}]`,
  ]);
  const kafka = await startKafka({
    version,
    listeners,
    format: scram,
    settings: {
      ...keyStore('SECURE', server),
      ...keyStore('MUTUAL', server),
      ...keyStore('EXPIRED', expired),
      ...keyStore('ELSEWHERE', elsewhere),
      'listener.name.mutual.ssl.truststore.type': 'PEM',
      'listener.name.mutual.ssl.truststore.location': join(folder, 'trusted.pem'),
      'listener.name.mutual.ssl.client.auth': 'required',
      // Of a client certificate the common name alone is the user.
      'listener.name.mutual.ssl.principal.mapping.rules': 'RULE:^CN=(.*?)$/$1/,DEFAULT',
      ...saslSettings('secure', ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER']),
      ...saslSettings('bare', ['PLAIN', 'OAUTHBEARER']),
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:ANONYMOUS',
      ...settings,
    },
  });
  return {
    kafka,
    folder,
    authority,
    client,
    secure: at('SECURE'),
    bare: at('BARE'),
    mutual: at('MUTUAL'),
    expired: at('EXPIRED'),
    elsewhere: at('ELSEWHERE'),
    async stop() {
      await kafka.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const MODULES: Readonly<Record<string, string>> = {
  PLAIN: `org.apache.kafka.common.security.plain.PlainLoginModule required user_${USER}="${PASSWORD}";`,
  'SCRAM-SHA-256': 'org.apache.kafka.common.security.scram.ScramLoginModule required;',
  'SCRAM-SHA-512': 'org.apache.kafka.common.security.scram.ScramLoginModule required;',
  OAUTHBEARER:
    'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";',
};

function saslSettings(
  listener: string,
  mechanisms: readonly string[],
): Readonly<Record<string, string>> {
  const settings: Record<string, string> = {
    [`listener.name.${listener}.sasl.enabled.mechanisms`]: mechanisms.join(','),
  };
  for (const mechanism of mechanisms) {
    const prefix = `listener.name.${listener}.${mechanism.toLowerCase()}`;
    settings[`${prefix}.sasl.jaas.config`] = MODULES[mechanism]!;
  }
  return settings;
}

/** A token as the broker's unsecured validator takes it: a JWS with the algorithm `none`. */
export function unsecuredToken(subject: string, lifetimeMs: number): string {
  const now = Date.now() / 1_000;
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none' })}.${part({ sub: subject, iat: now, exp: now + lifetimeMs / 1_000 })}.`;
}
