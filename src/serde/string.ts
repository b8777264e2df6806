import { EscapementError } from '../errors.ts';
import { kindOf } from './kind-of.ts';
import type { Serde } from './serde.ts';
import { readUtf8, writeUtf8 } from './utf8.ts';

const STRING: Serde<string> = {
  name: 'string',
  decode: readUtf8,
  encode(value, buffer, at) {
    if (typeof value !== 'string') {
      throw new EscapementError('SERDE_FAILED', `string() got ${kindOf(value)}`);
    }
    return writeUtf8(value, buffer, at);
  },
};

/**
 * Strings as UTF-8, the bytes of Java's `Serdes.String()`.
 *
 * Reading refuses invalid UTF-8 and writing refuses lone surrogates (`SERDE_FAILED`) where Java
 * replaces both: a replaced character would make two different keys equal.
 */
export function string(): Serde<string> {
  return STRING;
}
