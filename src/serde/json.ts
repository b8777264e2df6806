import { EscapementError, messageOf } from '../errors.ts';
import { isPromise, kindOf } from './kind-of.ts';
import type { Serde } from './serde.ts';
import { readUtf8, writeUtf8 } from './utf8.ts';

const JSON_SERDE: Serde<unknown> = {
  name: 'json',
  decode(buffer, start, end) {
    const text = readUtf8(buffer, start, end);
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      throw new EscapementError('SERDE_FAILED', notJson(cause, end - start));
    }
    if (value !== null) return value;
    throw new EscapementError(
      'SERDE_FAILED',
      "json(): the bytes are the JSON text null: write Kafka's null (a record without a value)",
    );
  },
  encode: (value, buffer, at) => writeUtf8(textOf(value), buffer, at),
};

function textOf(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    const reason = messageOf(cause);
    throw new EscapementError('SERDE_FAILED', `json(): the value has no JSON: ${reason}`, {
      cause,
    });
  }
  // JSON.stringify: undefined for these; null for NaN, which would be read as no value at all.
  const isText = text !== undefined && text !== 'null';
  // A forgotten await: its JSON is that of an object without fields.
  if (isText && (text !== '{}' || !isPromise(value))) return text;
  throw new EscapementError('SERDE_FAILED', `json() got ${kindOf(value)}, which has no JSON`);
}

/** Where it breaks off; V8's own words would quote the record, and errors are logged. */
function notJson(cause: unknown, bytes: number): string {
  const [, position] = /at position (\d+)/.exec((cause as Error).message) ?? [];
  const where = position === undefined ? '' : `, from character ${position} on`;
  return `json(): ${bytes} bytes are not JSON${where}: mend the producer, or decode them as bytes()`;
}

/**
 * Values as JSON in UTF-8: what `JSON.stringify` writes and `JSON.parse` reads. The type is a claim
 * that nobody checks: check what others write in the pipeline, or use `avro`.
 *
 * JSON cannot carry everything, and some of it changes without a word: fields that are `undefined` are
 * left out, and so are functions; `NaN` and the infinities within a value are read as `null`, a `Date`
 * as a string, a `Map` or a `Set` as `{}`. `checkLaws` and `roundTrip` of `escapement/testing` show
 * this. Refused with `SERDE_FAILED`, when writing: a value without any JSON (`undefined`, a function,
 * `NaN`), a `bigint`, a circle; when reading: what is not JSON or not UTF-8, and the text `null`, since
 * null values are Kafka's null and never meet a serde.
 *
 * As a key it is the text that counts: `{a, b}` and `{b, a}` are two keys. Java: a `Serde` over Jackson.
 */
export function json<T>(): Serde<T> {
  return JSON_SERDE as Serde<T>;
}
