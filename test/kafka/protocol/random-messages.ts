/**
 * Random messages of any layout and version, made from the layout alone: `body` is given to the
 * encoder, `expected` is what the other side must see.
 */
import fc from 'fast-check';
import type { Field, Layout } from '../../../src/kafka/protocol/schema.ts';

export type Message = Record<string, unknown>;

function isIn(field: Field, version: number): boolean {
  const { since = 0, until = Number.POSITIVE_INFINITY } = field.options;
  return version >= since && version <= until;
}

/** The value of a field that is not on the wire. */
export function absent(field: Field, version: number): unknown {
  if (field.options.default !== undefined) return field.options.default;
  switch (field.kind) {
    case 'boolean':
      return false;
    case 'string':
      return '';
    case 'uuid':
      return '00000000000000000000000000000000';
    case 'bytes':
      return Buffer.alloc(0);
    case 'records':
      return null;
    case 'array':
      return [];
    case 'struct':
      return Object.fromEntries(
        Object.entries(field.layout!).map(([name, inner]) => [name, absent(inner, version)]),
      );
    default:
      return 0;
  }
}

function present(field: Field, version: number): fc.Arbitrary<unknown> {
  const { nullableSince = Number.POSITIVE_INFINITY } = field.options;
  const value = plain(field, version);
  return version >= nullableSince ? fc.option(value, { freq: 4 }) : value;
}

function plain(field: Field, version: number): fc.Arbitrary<unknown> {
  const integer = (bits: number) =>
    fc.integer({ min: -(2 ** (bits - 1)), max: 2 ** (bits - 1) - 1 });
  switch (field.kind) {
    case 'boolean':
      return fc.boolean();
    case 'int8':
      return integer(8);
    case 'int16':
      return integer(16);
    case 'int32':
      return integer(32);
    case 'int64':
      return fc.maxSafeInteger();
    case 'string':
      return fc.string({ unit: 'grapheme', maxLength: 12 });
    case 'uuid':
      return fc
        .uint8Array({ minLength: 16, maxLength: 16 })
        .map((bytes) => Buffer.from(bytes).toString('hex'));
    case 'bytes':
    case 'records':
      return fc
        .oneof(fc.nat({ max: 40 }), fc.integer({ min: 2_048, max: 2_100 }))
        .map((length) => Buffer.alloc(length, 'records of any size'));
    case 'array':
      return fc.array(plain(field.element!, version), { maxLength: 3 });
    case 'struct':
      return message(field.layout!, version);
  }
}

/** Every field of the version is given, no other. */
export function message(layout: Layout, version: number): fc.Arbitrary<Message> {
  const fields = Object.entries(layout).filter(([, field]) => isIn(field, version));
  return fc.record(
    Object.fromEntries(fields.map(([name, field]) => [name, present(field, version)])),
    { noNullPrototype: true },
  );
}

/** The message with the defaults of the fields that the version lacks, at every level. */
export function completed(layout: Layout, version: number, given: Message): Message {
  const complete: Message = {};
  for (const [name, field] of Object.entries(layout)) {
    complete[name] = isIn(field, version)
      ? completedValue(field, version, given[name])
      : absent(field, version);
  }
  return complete;
}

function completedValue(field: Field, version: number, value: unknown): unknown {
  if (value === null) return null;
  if (field.kind === 'struct') return completed(field.layout!, version, value as Message);
  if (field.kind === 'array' && field.element!.kind === 'struct') {
    return (value as Message[]).map((row) => completed(field.element!.layout!, version, row));
  }
  return value;
}
