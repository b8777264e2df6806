/**
 * `java-vectors.jsonl` holds, for every API, version and side, bytes that Kafka 4.3.1's own message
 * classes read to the end and wrote again byte for byte, with the message as those classes print it:
 * int64 as a number, bytes in base64, uuids in base64url, `records` without content, absent tagged
 * fields left out.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { APIS } from '../../../src/kafka/protocol/apis.ts';
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
} from '../../../src/kafka/protocol/codec.ts';
import type { Field, Layout } from '../../../src/kafka/protocol/schema.ts';
import { absent, type Message } from './random-messages.ts';

interface Vector {
  readonly api: string;
  readonly version: number;
  readonly side: 'request' | 'response';
  readonly bytes: string;
  readonly message: Message;
}

const vectors = readFileSync(new URL('./java-vectors.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Vector);

/** A decoded message as Kafka's classes print it, fields that they leave out included. */
function printed(layout: Layout, message: Message): Message {
  return Object.fromEntries(
    Object.entries(layout).map(([name, field]) => [name, printedValue(field, message[name])]),
  );
}

function printedValue(field: Field, value: unknown): unknown {
  if (value === null) return null;
  switch (field.kind) {
    case 'bytes':
      return (value as Buffer).toString('base64');
    case 'records':
      return '';
    case 'uuid':
      return Buffer.from(value as string, 'hex').toString('base64url');
    case 'struct':
      return printed(field.layout!, value as Message);
    case 'array':
      return (value as unknown[]).map((one) => printedValue(field.element!, one));
    default:
      return value;
  }
}

/** Kafka's message with what it leaves out: fields of other versions and tagged defaults. */
function filled(layout: Layout, version: number, message: Message): Message {
  return Object.fromEntries(
    Object.entries(layout).map(([name, field]) => [
      name,
      name in message
        ? filledValue(field, version, message[name])
        : printedValue(field, absent(field, version)),
    ]),
  );
}

function filledValue(field: Field, version: number, value: unknown): unknown {
  if (value === null) return null;
  if (field.kind === 'struct') return filled(field.layout!, version, value as Message);
  if (field.kind !== 'array') return value;
  return (value as unknown[]).map((one) => filledValue(field.element!, version, one));
}

describe('messages of Kafka 4.3.1', () => {
  it('cover every API, version and side', () => {
    const expected = [...APIS.values()].flatMap(({ name, versions: [min, max] }) =>
      Array.from({ length: max - min + 1 }, (_, index) => min + index).flatMap((version) => [
        `${name} ${version} request`,
        `${name} ${version} response`,
      ]),
    );
    const present = vectors.map(({ api, version, side }) => `${api} ${version} ${side}`);
    expect(present).toEqual(expected);
  });

  for (const api of APIS.values()) {
    it(`${api.name} is read and written as Kafka does`, () => {
      for (const { version, side, bytes, message } of vectors.filter((v) => v.api === api.name)) {
        const wire = Buffer.from(bytes, 'hex');
        const decoded = (
          side === 'request'
            ? decodeRequest(api, version, wire)
            : decodeResponse(api, version, wire)
        ) as Message;
        const layout = api[side];
        // Every field that Kafka prints has the same name here.
        for (const name of Object.keys(message)) expect(Object.keys(layout)).toContain(name);
        expect([version, side, printed(layout, decoded)]).toEqual([
          version,
          side,
          filled(layout, version, message),
        ]);
        const again =
          side === 'request'
            ? encodeRequest(api, version, decoded)
            : encodeResponse(api, version, decoded);
        expect(again.toString('hex')).toBe(bytes);
      }
    });
  }
});
