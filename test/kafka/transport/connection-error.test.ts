import { describe, expect, it } from 'vitest';
import { EscapementError } from '../../../src/errors.ts';
import { connectionError, type Failure } from '../../../src/kafka/transport/connection-error.ts';
import { TokenUnavailable } from '../../../src/kafka/transport/oauth-bearer.ts';
import { Secrets } from '../../../src/kafka/transport/secrets.ts';
import { TransportError } from '../../../src/kafka/transport/transport.ts';

const from = (reason: unknown, more: Partial<Failure> = {}): EscapementError =>
  connectionError({
    ...{ reason, fate: 'never-sent', state: 'connecting', address: 'kafka:9093', lane: 'read' },
    ...{ secrets: new Secrets(), served: 0 },
    ...more,
  });

const failing = (fields: object, message = 'no'): Error =>
  Object.assign(new Error(message), fields);

describe('a connection that fails', () => {
  it.each([
    [{ name: 'KafkaJSSASLAuthenticationError' }, 'AUTHENTICATION_FAILED'],
    [{ type: 'SASL_AUTHENTICATION_FAILED' }, 'AUTHENTICATION_FAILED'],
    [{ type: 'UNSUPPORTED_SASL_MECHANISM' }, 'AUTHENTICATION_FAILED'],
    [{ type: 'ILLEGAL_SASL_STATE' }, 'AUTHENTICATION_FAILED'],
    [{ code: 'CERT_HAS_EXPIRED' }, 'TLS_FAILED'],
    [{ code: 'CERT_NOT_YET_VALID' }, 'TLS_FAILED'],
    [{ code: 'ERR_TLS_CERT_ALTNAME_INVALID' }, 'TLS_FAILED'],
    [{ code: 'SELF_SIGNED_CERT_IN_CHAIN' }, 'TLS_FAILED'],
    [{ code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' }, 'TLS_FAILED'],
    [{ code: 'ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE' }, 'TLS_FAILED'],
    [{ code: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED' }, 'TLS_FAILED'],
    [{ code: 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA' }, 'TLS_FAILED'],
    [{ code: 'ERR_SSL_WRONG_VERSION_NUMBER' }, 'TLS_FAILED'],
  ])('by %o is not tried again, whatever was sent', (fields, code) => {
    for (const fate of ['never-sent', 'unknown'] as const) {
      const error = from(failing(fields), { fate });
      expect(error).toMatchObject({ code, decision: 'stop' });
      expect(error.message).toContain('kafka:9093');
      expect(error.message).toMatch(/Check|Renew|Use|Put/);
    }
  });

  it.each(['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'ETIMEDOUT', undefined])(
    'by %s is tried again',
    (code) => {
      const error = from(failing({ code }));
      expect(error).toBeInstanceOf(TransportError);
      expect(error).toMatchObject({ code: 'CONNECTION_FAILED', decision: 'retry' });
    },
  );

  it('after it stood passes, unless a certificate is the reason', () => {
    const standing = { state: 'open', fate: 'unknown' } as const;
    const broken = from(failing({ code: 'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC' }), standing);
    expect(broken).toMatchObject({ code: 'REQUEST_FATE_UNKNOWN', decision: 'indefinite' });
    const refused = from(failing({ code: 'ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED' }), standing);
    expect(refused.code).toBe('TLS_FAILED');
  });

  it('for the lack of a token is tried again, and says so alone', () => {
    const error = from(new TokenUnavailable(new Error('idp down')));
    expect(error.decision).toBe('retry');
    expect(error.message).toMatch(/oauthBearerProvider` failed: idp down\.$/);
  });

  it('at its first request hints at the login that was not made, and later does not', () => {
    const closed = failing({ name: 'KafkaJSConnectionClosedError' });
    const standing = { state: 'open', fate: 'unknown' } as const;
    expect(from(closed, standing).message).toContain('A SASL listener needs `sasl`');
    expect(from(closed, { ...standing, served: 1 }).message).not.toContain('sasl');
  });

  it('keeps what is an error of ours already', () => {
    const ours = new EscapementError('OPTION_INVALID', 'said before');
    expect(from(ours)).toBe(ours);
  });
});
