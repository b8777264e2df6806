/** Avro's unions: values for themselves or tagged, and which branch of a reader takes what was written. */
import type { AvroCursor } from './avro-cursor.ts';
import {
  type AvroReader,
  type AvroType,
  type ResolveOptions,
  type Resolver,
  refuse,
  types,
} from './avsc-types.ts';

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

export class NaturalUnion extends types.UnwrappedUnionType {
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

export class TaggedUnion extends types.WrappedUnionType {
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

/** I3 of `avro-types.ts`. The reader's branch that takes a writer's type, or `null`. */
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

export function resolverOrNull(
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
