/**
 * Why a connection could not be made or was lost, as an error with a mend.
 *
 * Three kinds end the application, for trying again cannot help and would knock at the door of the
 * broker for ever: a refused login, a refused certificate, and an option that cannot work. Nothing
 * falls back to a connection without TLS or without a login. Everything else passes.
 */
import { EscapementError } from '../../errors.ts';
import { TokenUnavailable } from './oauth-bearer.ts';
import type { Secrets } from './secrets.ts';
import { type Fate, type Lane, TransportError } from './transport.ts';

export type LinkState = 'connecting' | 'open' | 'closed';

export interface Failure {
  readonly reason: unknown;
  readonly fate: Fate;
  /** Of the link when it failed. */
  readonly state: LinkState;
  readonly address: string;
  readonly lane: Lane;
  readonly secrets: Secrets;
  /** Requests that the link has seen answered. */
  readonly served: number;
}

export function connectionError(failure: Failure): EscapementError {
  const { reason, fate, state, address, lane, secrets } = failure;
  if (reason instanceof EscapementError && !(reason instanceof TransportError)) return reason;
  const cause = secrets.bare(reason);
  if (isLoginRefused(reason)) {
    return new EscapementError(
      'AUTHENTICATION_FAILED',
      `The broker at ${address} refused the login: ${cause.message}. ` +
        'Check mechanism, user name and password of `sasl`, and whether the listener wants TLS.',
      { cause },
    );
  }
  const tls = tlsProblem(reason, state);
  if (tls !== null) {
    const message = `No TLS connection to ${address}: ${tls}`;
    return new EscapementError('TLS_FAILED', message, { cause });
  }
  const what = state === 'connecting' ? 'No connection to' : 'Connection to';
  const hint = hintOn(reason, failure);
  return new TransportError(
    fate,
    `${what} ${address} (${lane}): ${cause.message}.${hint === '' ? '' : ` ${hint}`}`,
    cause,
  );
}

function isLoginRefused(reason: unknown): boolean {
  const { name, type } = (reason ?? {}) as { name?: unknown; type?: unknown };
  return (
    name === 'KafkaJSSASLAuthenticationError' ||
    type === 'SASL_AUTHENTICATION_FAILED' ||
    type === 'UNSUPPORTED_SASL_MECHANISM' ||
    type === 'ILLEGAL_SASL_STATE'
  );
}

/** OpenSSL's verdicts on a certificate, as Node names them. */
const NOT_TRUSTED = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'CERT_REVOKED',
  'CERT_SIGNATURE_FAILURE',
  'INVALID_CA',
  'INVALID_PURPOSE',
]);

/** Null: TLS is not what failed. */
function tlsProblem(reason: unknown, state: LinkState): string | null {
  const code = (reason as { code?: unknown } | null)?.code;
  if (typeof code !== 'string') return null;
  if (code === 'CERT_HAS_EXPIRED') {
    return "the broker's certificate, or one above it, has expired. Renew it.";
  }
  if (code === 'CERT_NOT_YET_VALID') {
    return "the broker's certificate is not valid yet. Check the clocks of both sides.";
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return (
      "the broker's certificate is of another host. Use an address that it names, have a " +
      'certificate made for this one, or set `ssl.servername`.'
    );
  }
  if (NOT_TRUSTED.has(code)) {
    return (
      `the broker's certificate is not trusted (${code}). ` +
      'Put the certificate of its authority into `ssl.ca`.'
    );
  }
  const alert = /^ERR_SSL_\w*ALERT_(\w+)$/.exec(code)?.[1]?.toLowerCase().replaceAll('_', ' ');
  if (alert !== undefined && /certificate|unknown ca|access denied/.test(alert)) {
    return (
      `the broker refused the certificate of the client (${alert}). ` +
      'Check `ssl.cert` and `ssl.key`, and that the broker trusts their authority.'
    );
  }
  if (state !== 'connecting' || !code.startsWith('ERR_SSL_')) return null;
  const what = alert ?? code.slice('ERR_SSL_'.length).toLowerCase().replaceAll('_', ' ');
  return `the handshake failed (${what}). Check that the listener speaks TLS 1.2 or later.`;
}

function hintOn(reason: unknown, { state, served }: Failure): string {
  if (reason instanceof TokenUnavailable) return '';
  if (state === 'connecting') return connectHint(reason);
  // The broker closes a connection that asks for anything before it has logged in.
  const closed = (reason as { name?: unknown } | null)?.name === 'KafkaJSConnectionClosedError';
  return closed && served === 0 ? 'A SASL listener needs `sasl`.' : '';
}

function connectHint(reason: unknown): string {
  const code = (reason as { code?: unknown } | null)?.code;
  if (code === 'ECONNREFUSED')
    return 'Nothing listens there: is the broker running at this address?';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'The host name does not resolve.';
  return (
    'Is it a Kafka listener of the expected kind? A TLS listener needs `ssl`, ' +
    'a SASL listener needs `sasl`, and a plain one closes on TLS.'
  );
}
