/**
 * avsc's types, hardened: what a foreign writer sends can fail a record and nothing else.
 *
 * Called by `avro.ts`. Every type of a schema is built through `typeHook`, so each node of it is one
 * of the classes here, in `avro-numbers.ts`, `avro-enum.ts`, `avro-containers.ts` and
 * `avro-unions.ts`; they read and write through `AvroCursor`, which bounds the bytes. Records stay
 * avsc's own generated code. The classes rely on avsc's underscore methods: the version is
 * pinned to 5.7 and `test/serde/avro.test.ts` is to be run on every bump.
 *
 * I1. Work is bounded by the bytes present, whatever counts and sizes they claim.
 * I2. A writer's branch or symbol that the reader cannot take fails the records that use it, not
 *     the schema (Java's rule); a record that lacks a field without default fails the schema.
 * I3. Union branches are chosen as Java does: the same type, then the same name, then a promotion.
 * I4. Names are compared without their namespace, as registries do.
 */
import { EscapementError, messageOf } from '../errors.ts';
import { BoundedArray, PlainMap } from './avro-containers.ts';
import type { AvroCursor } from './avro-cursor.ts';
import { OwnSymbolEnum } from './avro-enum.ts';
import { BigLong, RoundedDouble, RoundedFloat, SafeLong } from './avro-numbers.ts';
import { type AvroSchema, normalForm } from './avro-schema.ts';
import { NaturalUnion, resolverOrNull, TaggedUnion } from './avro-unions.ts';
import {
  type AvroReader,
  type AvroType,
  type ParseOptions,
  type ResolveOptions,
  refuse,
  Type,
  types,
} from './avsc-types.ts';

/** `bigint`: every long is a bigint inside. `number`: a long beyond 2^53 - 1 fails its record. */
export type LongRepresentation = 'number' | 'bigint';

const createBareResolver = Type.prototype.createResolver;

class PlainNull extends types.NullType {}
class StrictBoolean extends types.BooleanType {}
class StrictInt extends types.IntType {}
class StrictString extends types.StringType {}
class CopiedBytes extends types.BytesType {}
class CopiedFixed extends types.FixedType {}
class GeneratedRecord extends types.RecordType {}

/** I2. avsc refuses a writer's union as soon as one of its branches cannot be read. */
function createResolver(this: AvroType, writer: AvroType, options: ResolveOptions): AvroReader {
  if (!writer.typeName.startsWith('union:')) {
    return createBareResolver.call(this, writer, options);
  }
  const branches = writer.types.map((branch) => {
    const attempt: ResolveOptions = { ignoreNamespaces: true, registry: { ...options.registry } };
    return resolverOrNull(this, branch, attempt);
  });
  if (branches.every((branch) => branch === null)) {
    throw new Error(`no branch of ${String(writer)} can be read as ${String(this)}`);
  }
  return {
    _read(cursor: AvroCursor): unknown {
      const index = cursor.readInt();
      const branch = branches[index];
      if (branch === undefined || branch === null) {
        refuse(`Avro: the reader cannot take branch ${index} of the writer's union`);
      }
      cursor.enter();
      const value = branch._read(cursor);
      cursor.leave();
      return value;
    },
    _peek: Type.prototype._peek,
  } as AvroReader;
}

for (const Hardened of [
  PlainNull,
  StrictBoolean,
  StrictInt,
  SafeLong,
  BigLong,
  RoundedFloat,
  RoundedDouble,
  StrictString,
  CopiedBytes,
  CopiedFixed,
  OwnSymbolEnum,
  BoundedArray,
  PlainMap,
  NaturalUnion,
  TaggedUnion,
  GeneratedRecord,
]) {
  Hardened.prototype.createResolver = createResolver;
}

const SIMPLE = {
  null: PlainNull,
  boolean: StrictBoolean,
  int: StrictInt,
  float: RoundedFloat,
  double: RoundedDouble,
  string: StrictString,
  bytes: CopiedBytes,
} as const;

const NAMED_OR_CONTAINER = {
  record: GeneratedRecord,
  enum: OwnSymbolEnum,
  fixed: CopiedFixed,
  array: BoundedArray,
  map: PlainMap,
} as const;

function parseOptions(long: LongRepresentation): ParseOptions {
  const Long = long === 'bigint' ? BigLong : SafeLong;
  const typeHook = (schema: unknown, options: ParseOptions): AvroType | undefined => {
    if (Array.isArray(schema)) return union(schema, options);
    if (typeof schema !== 'object' || schema === null) return undefined;
    const { type } = schema as { readonly type?: unknown };
    if (typeof type === 'object' && type !== null) return Type.forSchema(type, options);
    if (type === 'long') return new Long();
    if (typeof type === 'string' && Object.hasOwn(SIMPLE, type)) {
      return new SIMPLE[type as keyof typeof SIMPLE]();
    }
    if (typeof type === 'string' && Object.hasOwn(NAMED_OR_CONTAINER, type)) {
      return new NAMED_OR_CONTAINER[type as keyof typeof NAMED_OR_CONTAINER](schema, options);
    }
    return undefined;
  };
  return { typeHook, omitRecordMethods: true };
}

/** Values of a union stand for themselves where that is unambiguous, else as `{branch: value}`. */
function union(schema: readonly unknown[], options: ParseOptions): AvroType {
  const branches = schema.map((branch) => Type.forSchema(branch, options));
  return isNatural(branches.map(({ typeName }) => typeName))
    ? new NaturalUnion(branches, options)
    : new TaggedUnion(branches, options);
}

/** Whether values of a union of these types stand for themselves. */
export function isNatural(typeNames: readonly string[]): boolean {
  return new Set(typeNames.map((name) => BUCKETS[name] ?? name)).size === typeNames.length;
}

/** Types whose values look alike in JavaScript. */
const BUCKETS: Readonly<Record<string, string>> = {
  int: 'number',
  long: 'number',
  float: 'number',
  double: 'number',
  enum: 'string',
  fixed: 'bytes',
  record: 'object',
  map: 'object',
};

/** A schema as its developer wrote it: with its defaults and aliases. Throws `OPTION_INVALID`. */
export function readerType(schema: AvroSchema, long: LongRepresentation): AvroType {
  try {
    return Type.forSchema(schema, parseOptions(long));
  } catch (cause) {
    throw new EscapementError(
      'OPTION_INVALID',
      `an Avro schema is not valid: ${messageOf(cause)}`,
      { cause },
    );
  }
}

/** A schema that bytes are written with: its normal form, so that every field is required. */
export function writerType(schema: AvroSchema, long: LongRepresentation): AvroType {
  return readerType(normalForm(schema), long);
}

/** How to read what `writer` wrote as `reader`. Throws `SCHEMA_INCOMPATIBLE`. */
export function resolve(reader: AvroType, writer: AvroType): AvroReader {
  try {
    return reader.createResolver(writer, { ignoreNamespaces: true, registry: {} });
  } catch (cause) {
    const reason = messageOf(cause);
    throw new EscapementError(
      'SCHEMA_INCOMPATIBLE',
      `what ${String(writer.name ?? writer.typeName)} wrote cannot be read as ${String(reader.name ?? reader.typeName)}: ${reason}`,
      { cause },
    );
  }
}
