/**
 * avsc's types, hardened: what a foreign writer sends can fail a record and nothing else.
 *
 * Called by `avro.ts`. Every type of a schema is built through `typeHook`, so each node of it is one
 * of the classes below; they read and write through `AvroCursor`, which bounds the bytes. Records
 * stay avsc's own generated code. The classes rely on avsc's underscore methods: the version is
 * pinned to 5.7 and `test/serde/avro-types.test.ts` is to be run on every bump.
 *
 * I1. Work is bounded by the bytes present, whatever counts and sizes they claim.
 * I2. A writer's branch or symbol that the reader cannot take fails the records that use it, not
 *     the schema (Java's rule); a record that lacks a field without default fails the schema.
 * I3. Union branches are chosen as Java does: the same type, then the same name, then a promotion.
 * I4. Names are compared without their namespace, as registries do.
 */
import avsc from 'avsc';
import { EscapementError, messageOf } from '../errors.ts';
import type { AvroCursor } from './avro-cursor.ts';
import { type AvroSchema, normalForm } from './avro-schema.ts';
import { kindOf } from './kind-of.ts';

/** What decodes: a type, or the resolver from a writer's type to a reader's. */
export interface AvroReader {
  _read(cursor: AvroCursor): unknown;
}

export interface AvroType extends AvroReader {
  readonly typeName: string;
  readonly name: string | undefined;
  readonly aliases: readonly string[] | undefined;
  readonly types: readonly AvroType[];
  _write(cursor: AvroCursor, value: unknown): void;
  _skip(cursor: AvroCursor): void;
  _update(resolver: Resolver, writer: AvroType, options: ResolveOptions): void;
  _copy(value: unknown, options: unknown): unknown;
  createResolver(writer: AvroType, options: ResolveOptions): AvroReader;
  /** Tells the hook of each part that does not fit. */
  isValid(
    value: unknown,
    options: {
      readonly errorHook: (path: readonly string[], found: unknown, type: AvroType) => void;
    },
  ): boolean;
}

interface Resolver extends AvroReader {
  itemsType: AvroReader | null;
  valuesType: AvroReader | null;
  symbols: readonly (string | null)[] | null;
}

interface ResolveOptions {
  readonly ignoreNamespaces: true;
  registry: Record<string, unknown>;
}

/** `bigint`: every long is a bigint inside. `number`: a long beyond 2^53 - 1 fails its record. */
export type LongRepresentation = 'number' | 'bigint';

interface ParseOptions {
  readonly typeHook: (schema: unknown, options: ParseOptions) => AvroType | undefined;
  readonly omitRecordMethods: true;
}

/** The constructors that avsc's types leave untyped. */
interface Constructors {
  readonly BooleanType: new () => AvroType;
  readonly IntType: new () => AvroType;
  readonly LongType: new () => AvroType;
  readonly FloatType: new () => AvroType;
  readonly DoubleType: new () => AvroType;
  readonly StringType: new () => AvroType;
  readonly BytesType: new () => AvroType;
  readonly NullType: new () => AvroType;
  readonly FixedType: new (schema: unknown, options: ParseOptions) => AvroType;
  readonly RecordType: new (schema: unknown, options: ParseOptions) => AvroType;
  readonly EnumType: new (
    schema: unknown,
    options: ParseOptions,
  ) => AvroType & {
    readonly symbols: readonly string[];
    readonly default: string | undefined;
    readonly _indices: Readonly<Record<string, number>>;
  };
  readonly ArrayType: new (
    schema: unknown,
    options: ParseOptions,
  ) => AvroType & { readonly itemsType: AvroReader };
  readonly MapType: new (
    schema: unknown,
    options: ParseOptions,
  ) => AvroType & { readonly valuesType: AvroReader };
  readonly UnwrappedUnionType: new (
    types: readonly AvroType[],
    options: ParseOptions,
  ) => AvroType & {
    readonly _bucketIndices: Readonly<Record<string, number>>;
    _getIndex(value: unknown): number | undefined;
  };
  readonly WrappedUnionType: new (types: readonly AvroType[], options: ParseOptions) => AvroType;
}

const types = avsc.types as unknown as Constructors;
const Type = avsc.Type as unknown as {
  readonly forSchema: (schema: unknown, options: ParseOptions) => AvroType;
  readonly prototype: AvroType & { _peek(cursor: AvroCursor): unknown };
};
const createBareResolver = Type.prototype.createResolver;

const LONG_MIN = -(2n ** 63n);
const LONG_MAX = 2n ** 63n - 1n;

function refuse(what: string): never {
  throw new EscapementError('SERDE_FAILED', what);
}

/** Not the value itself: it is in records, and errors are logged. */
function got(value: unknown): string {
  if (typeof value !== 'number' || !Number.isFinite(value)) return kindOf(value);
  return Number.isInteger(value) ? 'an integer beyond that' : 'a fraction';
}

// Numbers.

function readSafeLong(cursor: AvroCursor): number {
  return cursor.readLong();
}
function readBigLong(cursor: AvroCursor): bigint {
  return cursor.readBigLong();
}

class SafeLong extends types.LongType {
  override _read(cursor: AvroCursor): unknown {
    return cursor.readLong();
  }
  override _write(cursor: AvroCursor, value: unknown): void {
    if (!Number.isSafeInteger(value)) {
      const isWhole = Number.isInteger(value) || typeof value === 'bigint';
      const mend = isWhole ? ": use the option long: 'bigint'" : '';
      refuse(`Avro: a long is a whole number up to 2^53 - 1, the value is ${got(value)}${mend}`);
    }
    cursor.writeLong(value as number);
  }
  override _update(resolver: Resolver, writer: AvroType): void {
    if (writer.typeName === 'long' || writer.typeName === 'int') resolver._read = readSafeLong;
  }
}

class BigLong extends types.LongType {
  override _read(cursor: AvroCursor): unknown {
    return cursor.readBigLong();
  }
  override _write(cursor: AvroCursor, value: unknown): void {
    if (typeof value === 'number' && Number.isSafeInteger(value)) {
      cursor.writeLong(value);
    } else if (typeof value === 'bigint' && value >= LONG_MIN && value <= LONG_MAX) {
      // Defaults are encoded once while a schema is parsed, through a cursor of avsc's own.
      if (cursor.writeBigLong === undefined) cursor.writeLong(Number(value));
      else cursor.writeBigLong(value);
    } else {
      refuse(`Avro: a long is an integer of 64 bits, the value is ${got(value)}`);
    }
  }
  override _update(resolver: Resolver, writer: AvroType): void {
    if (writer.typeName === 'long' || writer.typeName === 'int') resolver._read = readBigLong;
  }
  override _copy(value: unknown): unknown {
    if (typeof value === 'bigint') return value;
    if (!Number.isSafeInteger(value)) refuse(`Avro: ${got(value)} is no default for a long`);
    return BigInt(value as number);
  }
}

class RoundedDouble extends types.DoubleType {
  override _update(resolver: Resolver, writer: AvroType): void {
    if (writer.typeName === 'double') resolver._read = this._read;
    if (writer.typeName === 'float') resolver._read = (cursor) => cursor.readFloat();
    if (writer.typeName === 'int') resolver._read = (cursor) => cursor.readInt();
    if (writer.typeName === 'long') resolver._read = (cursor) => cursor.readRoundedLong();
  }
}

class RoundedFloat extends types.FloatType {
  override _update(resolver: Resolver, writer: AvroType): void {
    if (writer.typeName === 'float') resolver._read = this._read;
    if (writer.typeName === 'int' || writer.typeName === 'long') {
      resolver._read = (cursor) => Math.fround(cursor.readRoundedLong());
    }
  }
}

class PlainNull extends types.NullType {}
class StrictBoolean extends types.BooleanType {}
class StrictInt extends types.IntType {}
class StrictString extends types.StringType {}
class CopiedBytes extends types.BytesType {}
class CopiedFixed extends types.FixedType {}
class GeneratedRecord extends types.RecordType {}

// Enums, arrays, maps.

/** Shared by the type and its resolvers; a symbol of `null` is one that the reader does not have. */
function readSymbol(
  this: { readonly symbols: readonly (string | null)[] | null },
  cursor: AvroCursor,
): string {
  const index = cursor.readInt();
  const symbol = this.symbols?.[index];
  if (typeof symbol !== 'string') refuse(`Avro: the reader has no enum symbol for index ${index}`);
  return symbol;
}

class OwnSymbolEnum extends types.EnumType {
  override _write(cursor: AvroCursor, value: unknown): void {
    // Own properties only: `toString` is no symbol.
    if (typeof value !== 'string' || !Object.hasOwn(this._indices, value)) {
      const what = typeof value === 'string' ? 'a string that' : kindOf(value);
      refuse(`Avro: ${what} is no symbol of enum ${this.name}`);
    }
    cursor.writeLong(this._indices[value as string]!);
  }
  override _update(resolver: Resolver, writer: AvroType): void {
    if (writer.typeName !== 'enum' || !namesMatch(this, writer)) return;
    const known = new Set(this.symbols);
    const fallback = this.default ?? null;
    const symbols = (writer as OwnSymbolEnum).symbols;
    resolver.symbols = symbols.map((symbol) => (known.has(symbol) ? symbol : fallback));
    // I2. An enum that shares no symbol with the reader's cannot be what was meant.
    if (resolver.symbols.some((symbol) => symbol !== null)) resolver._read = readSymbol;
  }
}
OwnSymbolEnum.prototype._read = readSymbol as AvroType['_read'];

/** Items of the next block; 0 after the last one. The claimed byte size of a block is not used. */
function readBlockCount(cursor: AvroCursor): number {
  const count = cursor.readLong();
  if (count >= 0) return count;
  cursor.skipLong();
  return -count;
}

function readItems(this: { readonly itemsType: AvroReader }, cursor: AvroCursor): unknown[] {
  const { itemsType } = this;
  const items: unknown[] = [];
  cursor.enter();
  for (let count = readBlockCount(cursor); count > 0; count = readBlockCount(cursor)) {
    // I1. No allocation by the claimed count: the loop ends where the bytes end.
    for (; count > 0; count -= 1) {
      const before = cursor.position;
      items.push(itemsType._read(cursor));
      cursor.countItem(before);
    }
  }
  cursor.leave();
  return items;
}

class BoundedArray extends types.ArrayType {
  override _skip(cursor: AvroCursor): void {
    const itemsType = this.itemsType as AvroType;
    cursor.enter();
    for (let count = readBlockCount(cursor); count > 0; count = readBlockCount(cursor)) {
      for (; count > 0; count -= 1) {
        const before = cursor.position;
        itemsType._skip(cursor);
        cursor.countItem(before);
      }
    }
    cursor.leave();
  }
}
BoundedArray.prototype._read = readItems as AvroType['_read'];

function readEntries(
  this: { readonly valuesType: AvroReader },
  cursor: AvroCursor,
): Record<string, unknown> {
  const { valuesType } = this;
  const entries: Record<string, unknown> = {};
  cursor.enter();
  for (let count = readBlockCount(cursor); count > 0; count = readBlockCount(cursor)) {
    for (; count > 0; count -= 1) {
      const key = cursor.readString();
      const value = valuesType._read(cursor);
      // An assignment would replace the prototype and lose the entry.
      if (key === '__proto__') {
        const entry = { value, writable: true, enumerable: true, configurable: true };
        Object.defineProperty(entries, key, entry);
      } else {
        entries[key] = value;
      }
    }
  }
  cursor.leave();
  return entries;
}

class PlainMap extends types.MapType {
  override _skip(cursor: AvroCursor): void {
    const valuesType = this.valuesType as AvroType;
    cursor.enter();
    for (let count = readBlockCount(cursor); count > 0; count = readBlockCount(cursor)) {
      for (; count > 0; count -= 1) {
        cursor.skipString();
        valuesType._skip(cursor);
      }
    }
    cursor.leave();
  }
  override _write(cursor: AvroCursor, value: unknown): void {
    if (value instanceof Map || value instanceof Set || ArrayBuffer.isView(value)) {
      refuse('Avro: a map is written from a plain object, not from a Map, a Set or bytes');
    }
    super._write(cursor, value);
  }
}
PlainMap.prototype._read = readEntries as AvroType['_read'];

// Unions.

function readBranch(union: AvroType, cursor: AvroCursor): AvroType {
  const index = cursor.readInt();
  const branch = union.types[index];
  if (branch === undefined) refuse(`Avro: a union of ${union.types.length} has no branch ${index}`);
  return branch;
}

function skipBranch(this: AvroType, cursor: AvroCursor): void {
  cursor.enter();
  readBranch(this, cursor)._skip(cursor);
  cursor.leave();
}

class NaturalUnion extends types.UnwrappedUnionType {
  override _read(cursor: AvroCursor): unknown {
    cursor.enter();
    const value = readBranch(this, cursor)._read(cursor);
    cursor.leave();
    return value;
  }
  override _getIndex(value: unknown): number | undefined {
    return typeof value === 'bigint' ? this._bucketIndices.number : super._getIndex(value);
  }
  override _update(resolver: Resolver, writer: AvroType, options: ResolveOptions): void {
    const found = resolveBranch(this, writer, options);
    if (found !== null) resolver._read = (cursor) => found.reader._read(cursor);
  }
}
NaturalUnion.prototype._skip = skipBranch;

class TaggedUnion extends types.WrappedUnionType {
  override _read(cursor: AvroCursor): unknown {
    cursor.enter();
    const branch = readBranch(this, cursor);
    const value = tagged(branch, branch._read(cursor));
    cursor.leave();
    return value;
  }
  override _update(resolver: Resolver, writer: AvroType, options: ResolveOptions): void {
    const found = resolveBranch(this, writer, options);
    if (found === null) return;
    const { branch, reader } = found;
    resolver._read = (cursor) => tagged(branch, reader._read(cursor));
  }
}
TaggedUnion.prototype._skip = skipBranch;

function tagged(branch: AvroType, value: unknown): unknown {
  return branch.typeName === 'null' ? null : { [branch.name ?? branch.typeName]: value };
}

/** I3. The reader's branch that takes a writer's type, or `null`. */
function resolveBranch(
  union: AvroType,
  writer: AvroType,
  options: ResolveOptions,
): { readonly branch: AvroType; readonly reader: AvroReader } | null {
  const ranked = [
    ...union.types.filter((branch) => rank(branch, writer) === 0),
    ...union.types.filter((branch) => rank(branch, writer) === 1),
    ...union.types.filter((branch) => rank(branch, writer) === 2),
  ];
  for (const branch of ranked) {
    // A failed attempt leaves a half-built resolver in its registry: each gets its own copy.
    const attempt: ResolveOptions = { ignoreNamespaces: true, registry: { ...options.registry } };
    const reader = resolverOrNull(branch, writer, attempt);
    if (reader === null) continue;
    Object.assign(options.registry, attempt.registry);
    return { branch, reader };
  }
  return null;
}

function rank(branch: AvroType, writer: AvroType): number {
  if (branch.typeName !== writer.typeName) return 2;
  return branch.name === writer.name ? 0 : 1;
}

function resolverOrNull(
  reader: AvroType,
  writer: AvroType,
  options: ResolveOptions,
): AvroReader | null {
  try {
    return reader.createResolver(writer, options);
  } catch {
    return null;
  }
}

function namesMatch(reader: AvroType, writer: AvroType): boolean {
  if (writer.name === undefined) return true;
  const name = simpleName(writer.name);
  return [reader.name, ...(reader.aliases ?? [])].some(
    (alias) => alias !== undefined && simpleName(alias) === name,
  );
}

function simpleName(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}

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
