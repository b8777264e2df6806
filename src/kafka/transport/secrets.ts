/**
 * What must never leave the process in a text: passwords, tokens and passphrases of a connection.
 * One per transport; everything that kafkajs says passes through it, errors and log alike.
 *
 * The options of kafkajs are open-ended (plugins bring their own), so every string of `sasl` counts
 * as a secret unless its name says that it is none.
 */
import { bareError, printable } from '../../errors.ts';

const HIDDEN = '[redacted]';
/** Shorter ones are everywhere in any text. */
const LENGTH_MIN = 4;
const TOKENS_MAX = 16;
const PUBLIC = /^(mechanism|username|authorizationIdentity|accessKeyId)$/i;
const IN_TLS = /^(passphrase|password)$/i;

export class Secrets {
  readonly #known = new Set<string>();
  readonly #tokens: string[] = [];

  /** The options `sasl` and `ssl` of a connection. */
  learn(sasl: unknown, ssl: unknown): void {
    for (const [name, value] of entriesOf(sasl)) if (!PUBLIC.test(name)) this.#add(value);
    for (const [name, value] of entriesOf(ssl)) if (IN_TLS.test(name)) this.#add(value);
    // `key` and `pfx` may each be a list of objects with their own passphrases.
    for (const [, list] of entriesOf(ssl)) {
      if (!Array.isArray(list)) continue;
      for (const each of list) {
        for (const [name, value] of entriesOf(each)) if (IN_TLS.test(name)) this.#add(value);
      }
    }
  }

  /** A token lives shortly; the last ones are remembered. */
  learnToken(token: string): void {
    if (token.length < LENGTH_MIN || this.#tokens.includes(token)) return;
    this.#tokens.push(token);
    if (this.#tokens.length > TOKENS_MAX) this.#tokens.shift();
  }

  /** The text without secrets and without control characters. */
  hide(text: string): string {
    let hidden = text;
    for (const secret of [...this.#known, ...this.#tokens]) {
      hidden = hidden.replaceAll(secret, HIDDEN);
    }
    return printable(hidden);
  }

  /** A foreign error as a cause, without secrets. */
  bare(error: unknown): Error {
    return bareError(error, (text) => this.hide(text));
  }

  #add(value: unknown): void {
    if (typeof value !== 'string' || value.length < LENGTH_MIN) return;
    this.#known.add(value);
    this.#known.add(encodeURIComponent(value));
  }
}

function entriesOf(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null ? Object.entries(value) : [];
}
