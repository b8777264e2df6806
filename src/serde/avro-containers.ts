/** Avro's arrays and maps, whose blocks claim counts and sizes that nobody has to believe. */
import type { AvroCursor } from './avro-cursor.ts';
import { type AvroReader, type AvroType, refuse, types } from './avsc-types.ts';

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
    // I1 of `avro-types.ts`. No allocation by the claimed count: the loop ends where the bytes end.
    for (; count > 0; count -= 1) {
      const before = cursor.position;
      items.push(itemsType._read(cursor));
      cursor.countItem(before);
    }
  }
  cursor.leave();
  return items;
}

export class BoundedArray extends types.ArrayType {
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

export class PlainMap extends types.MapType {
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
