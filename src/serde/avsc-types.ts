/**
 * What `avro-types.ts` and the files beside it use of avsc: its types with the underscore methods that
 * avsc's own declarations leave out, and the constructors that these files extend.
 */
import avsc from 'avsc';
import { EscapementError } from '../errors.ts';
import type { AvroCursor } from './avro-cursor.ts';

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

export interface Resolver extends AvroReader {
  itemsType: AvroReader | null;
  valuesType: AvroReader | null;
  symbols: readonly (string | null)[] | null;
}

export interface ResolveOptions {
  readonly ignoreNamespaces: true;
  registry: Record<string, unknown>;
}

export interface ParseOptions {
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

export const types = avsc.types as unknown as Constructors;
export const Type = avsc.Type as unknown as {
  readonly forSchema: (schema: unknown, options: ParseOptions) => AvroType;
  readonly prototype: AvroType & { _peek(cursor: AvroCursor): unknown };
};

/** Fails the record. Say what a value is, not the value: it is in records, and errors are logged. */
export function refuse(what: string): never {
  throw new EscapementError('SERDE_FAILED', what);
}
