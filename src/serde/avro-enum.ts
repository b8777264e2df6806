/** Avro's enums, whose symbols a reader and a writer may not share. */
import type { AvroCursor } from './avro-cursor.ts';
import { type AvroType, type Resolver, refuse, types } from './avsc-types.ts';
import { kindOf } from './kind-of.ts';

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

export class OwnSymbolEnum extends types.EnumType {
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
    // I2 of `avro-types.ts`. An enum that shares no symbol with the reader's cannot be what was meant.
    if (resolver.symbols.some((symbol) => symbol !== null)) resolver._read = readSymbol;
  }
}
OwnSymbolEnum.prototype._read = readSymbol as AvroType['_read'];

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
