/**
 * SASL OAUTHBEARER (RFC 7628) for kafkajs, whose own one takes every answer for a success: with a
 * token that the broker refuses it goes on, and the next request fails for a reason that names no
 * token. It also writes a stray quotation mark into the authorization identity.
 */
import { EscapementError } from '../../errors.ts';
import type { Secrets } from './secrets.ts';

export interface OAuthOptions {
  readonly mechanism: string;
  readonly authorizationIdentity?: string;
  readonly oauthBearerProvider?: () => Promise<{
    readonly value: string;
    readonly extensions?: Readonly<Record<string, string>>;
  }>;
  readonly authenticationProvider?: unknown;
}

/** One exchange: the client's bytes there, the broker's bytes back. */
type Exchange = (message: {
  readonly request: { readonly encode: () => Promise<Buffer> };
  readonly response: {
    readonly decode: (bytes: unknown) => Promise<unknown>;
    readonly parse: (bytes: unknown) => Promise<unknown>;
  };
}) => Promise<unknown>;

const SEPARATOR = '\u0001';
const LENGTH_BYTES = 4;

/** A provider of kafkajs's option `sasl.authenticationProvider`. */
export function oauthBearer(options: OAuthOptions, secrets: Secrets) {
  return ({ host, port, saslAuthenticate }: OAuthConnection) => ({
    authenticate: async (): Promise<void> => {
      const { value, extensions } = await tokenOf(options, secrets);
      const identity =
        options.authorizationIdentity === undefined ? '' : `a=${options.authorizationIdentity}`;
      const more = Object.entries(extensions ?? {}).map(([key, its]) => `${key}=${its}`);
      const fields = [`auth=Bearer ${value}`, ...more].join(SEPARATOR);
      const first = `n,${identity},${SEPARATOR}${fields}${SEPARATOR}${SEPARATOR}`;
      const answer = await exchange(saslAuthenticate, first);
      if (answer.length === 0) return;
      // RFC 7628, 3.2.3: a refusal is a text with the reason; the broker ends the exchange, with an
      // error, when the client has acknowledged it.
      await exchange(saslAuthenticate, SEPARATOR).catch(() => {});
      throw new EscapementError(
        'AUTHENTICATION_FAILED',
        `The broker at ${host}:${port} refused the token: ${secrets.hide(answer.toString())}. ` +
          'Check what `sasl.oauthBearerProvider` returns: issuer, audience, life time.',
      );
    },
  });
}

interface OAuthConnection {
  readonly host: string;
  readonly port: number;
  readonly saslAuthenticate: Exchange;
}

async function tokenOf(options: OAuthOptions, secrets: Secrets) {
  const { oauthBearerProvider } = options;
  if (oauthBearerProvider === undefined) {
    throw new EscapementError(
      'OPTION_INVALID',
      'The option `sasl.oauthBearerProvider` is missing.',
    );
  }
  let token: Awaited<ReturnType<typeof oauthBearerProvider>>;
  try {
    token = await oauthBearerProvider();
  } catch (cause) {
    throw new TokenUnavailable(secrets.bare(cause));
  }
  if (typeof token?.value !== 'string' || token.value === '') {
    throw new EscapementError(
      'AUTHENTICATION_FAILED',
      'The option `sasl.oauthBearerProvider` returned no token: an object with `value` is needed.',
    );
  }
  for (const secret of [token.value, ...Object.values(token.extensions ?? {})]) {
    secrets.learnToken(String(secret));
  }
  return token;
}

/** The issuer of tokens may be away for a moment, so the connection is tried again. */
export class TokenUnavailable extends Error {
  override readonly name = 'TokenUnavailable';

  constructor(cause: Error) {
    super(`\`sasl.oauthBearerProvider\` failed: ${cause.message}`, { cause });
  }
}

async function exchange(send: Exchange, text: string): Promise<Buffer> {
  const answer = await send({
    request: { encode: async () => withLength(Buffer.from(text)) },
    response: { decode: itself, parse: itself },
  });
  return Buffer.isBuffer(answer) ? answer.subarray(LENGTH_BYTES) : Buffer.alloc(0);
}

/** kafkajs takes and gives the bytes of a SASL message with their length in front. */
function withLength(bytes: Buffer): Buffer {
  const framed = Buffer.alloc(LENGTH_BYTES + bytes.length);
  framed.writeInt32BE(bytes.length);
  bytes.copy(framed, LENGTH_BYTES);
  return framed;
}

async function itself(bytes: unknown): Promise<unknown> {
  return bytes;
}
