/**
 * The options `sasl` and `ssl` of kafkajs, checked where kafkajs would fail later or not at all.
 *
 * I1. The user's object is not changed. kafkajs keeps the authenticator it makes in `sasl`, where it
 *     holds the first password: a copy of that object with another one would still use the first.
 */
import { isIP } from 'node:net';
import { type ConnectionOptions, createSecureContext } from 'node:tls';
import { EscapementError } from '../../errors.ts';
import type { Log } from '../../telemetry/log.ts';
import { type OAuthOptions, oauthBearer } from './oauth-bearer.ts';
import type { Secrets } from './secrets.ts';

export interface SecurityOptions {
  readonly brokers: readonly string[] | (() => unknown);
  readonly sasl?: { readonly mechanism: string };
  readonly ssl?: boolean | ConnectionOptions;
}

const OLD_TLS = new Set<unknown>(['TLSv1', 'TLSv1.1']);

/** Throws `OPTION_INVALID`: a key that cannot be read, or TLS that no broker should speak. */
export function checkSecurity(options: SecurityOptions, log: Log, secrets: Secrets): void {
  const { sasl, ssl } = options;
  secrets.learn(sasl, ssl);
  if (typeof ssl === 'object') checkTls(ssl, secrets);
  if (typeof ssl === 'object' && ssl.rejectUnauthorized === false) {
    log.warn({ option: 'ssl.rejectUnauthorized' }, 'the certificates of brokers are not verified');
  }
  if (!ssl && /^(plain|oauthbearer)$/i.test(String(sasl?.mechanism)) && !isLocal(options)) {
    const { mechanism } = sasl!;
    log.warn({ mechanism }, 'passwords or tokens travel readable: use ssl, or SCRAM');
  }
}

function checkTls(ssl: ConnectionOptions, secrets: Secrets): void {
  if (OLD_TLS.has(ssl.minVersion) || OLD_TLS.has(ssl.maxVersion)) {
    throw new EscapementError('OPTION_INVALID', 'The kafkajs option `ssl`: TLS 1.2 is the least.');
  }
  try {
    createSecureContext(ssl);
  } catch (error) {
    const cause = secrets.bare(error);
    throw new EscapementError(
      'OPTION_INVALID',
      `The kafkajs option \`ssl\` cannot be used: ${cause.message}. Check that \`ca\`, \`cert\` and ` +
        '`key` are PEM texts, that `key` belongs to `cert`, and `passphrase`.',
      { cause },
    );
  }
}

/** The user's `sasl` for kafkajs to keep things in, with an OAUTHBEARER that hears a refusal. */
export function saslOf<T extends { readonly mechanism: string }>(sasl: T, secrets: Secrets): T {
  const options: OAuthOptions = { ...sasl };
  const isOAuth = String(options.mechanism).toLowerCase() === 'oauthbearer';
  if (!isOAuth || options.authenticationProvider !== undefined) return { ...sasl };
  return { ...sasl, authenticationProvider: oauthBearer(options, secrets) };
}

function isLocal({ brokers }: SecurityOptions): boolean {
  return typeof brokers !== 'function' && brokers.every(isLoopback);
}

function isLoopback(broker: string): boolean {
  const host = String(broker).replace(/:\d+$/, '');
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
