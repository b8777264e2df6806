import { describe, expect, it } from 'vitest';
import type { EscapementError } from '../../../src/errors.ts';
import {
  type OAuthOptions,
  oauthBearer,
  TokenUnavailable,
} from '../../../src/kafka/transport/oauth-bearer.ts';
import { Secrets } from '../../../src/kafka/transport/secrets.ts';

const TOKEN = 'tok-5c1e-secret';

/** A broker's side of SASL: answers in turn, with the length in front as kafkajs hands them over. */
class Peer {
  readonly received: string[] = [];
  readonly host = 'kafka';
  readonly port = 9093;
  readonly #answers: string[];

  constructor(...answers: string[]) {
    this.#answers = answers;
  }

  readonly saslAuthenticate = async (message: {
    request: { encode: () => Promise<Buffer> };
    response: {
      decode: (bytes: unknown) => Promise<unknown>;
      parse: (its: unknown) => Promise<unknown>;
    };
  }): Promise<unknown> => {
    const sent = await message.request.encode();
    expect(sent.readInt32BE()).toBe(sent.length - 4);
    this.received.push(sent.toString('utf8', 4));
    const answer = this.#answers.shift();
    if (answer === undefined) throw new Error('the broker ended the exchange');
    const framed = Buffer.concat([Buffer.alloc(4), Buffer.from(answer)]);
    return message.response.parse(await message.response.decode(framed));
  };
}

const login = (peer: Peer, options: Partial<OAuthOptions>, secrets = new Secrets()) =>
  oauthBearer(
    { mechanism: 'oauthbearer', ...options },
    secrets,
  )(peer)
    .authenticate()
    .then(
      () => null,
      (error: unknown) => error as EscapementError,
    );

describe('OAUTHBEARER', () => {
  it('sends the token with identity and extensions, and is content with an empty answer', async () => {
    const peer = new Peer('');
    const oauthBearerProvider = async () => ({
      value: TOKEN,
      extensions: { pool: 'a', tenant: 'b' },
    });
    expect(await login(peer, { oauthBearerProvider, authorizationIdentity: 'me' })).toBeNull();
    expect(peer.received).toEqual([
      `n,a=me,\u0001auth=Bearer ${TOKEN}\u0001pool=a\u0001tenant=b\u0001\u0001`,
    ]);
  });

  it('takes an answer with a text for a refusal, acknowledges it, and does not repeat the token', async () => {
    const peer = new Peer(`{"status":"invalid_token ${TOKEN}"}`);
    const error = await login(peer, { oauthBearerProvider: async () => ({ value: TOKEN }) });
    expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED', decision: 'stop' });
    expect(error?.message).toContain('invalid_token');
    expect(error?.message).not.toContain(TOKEN);
    expect(peer.received).toHaveLength(2);
    expect(peer.received[1]).toBe('\u0001');
  });

  it('lets a failed provider be tried again, without what its client knew', async () => {
    const failing = Object.assign(new Error('POST http://me:pw-81@idp failed'), { body: TOKEN });
    const error = await login(new Peer(), { oauthBearerProvider: () => Promise.reject(failing) });
    expect(error).toBeInstanceOf(TokenUnavailable);
    expect(error?.message).toContain('idp failed');
    expect(error?.message).not.toContain('pw-81');
    expect(JSON.stringify(error?.cause)).not.toContain(TOKEN);
  });

  it('refuses to go without a provider or a token', async () => {
    expect(await login(new Peer(), {})).toMatchObject({ code: 'OPTION_INVALID' });
    for (const token of [{ value: '' }, {}, undefined]) {
      const oauthBearerProvider = async () => token as { value: string };
      expect(await login(new Peer(), { oauthBearerProvider })).toMatchObject({
        code: 'AUTHENTICATION_FAILED',
      });
    }
  });
});
