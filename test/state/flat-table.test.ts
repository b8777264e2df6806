import { describe, expect, it } from 'vitest';
import { FlatTable } from '../../src/state/flat-table.ts';
import { roundUnits, SLAB_SHIFT, Slabs } from '../../src/state/slabs.ts';
import { Staging } from '../../src/state/staging.ts';

const MIB = 1024 * 1024;

function put(table: FlatTable, key: Buffer, hash: number, value: Buffer): void {
  table.put(key, 0, key.length, hash, value, 0, value.length, 7, 0);
}

function get(table: FlatTable, key: Buffer, hash: number): Buffer | null {
  if (!table.find(key, 0, key.length, hash)) return null;
  return Buffer.from(table.valueBuffer.subarray(table.valueStart, table.valueEnd));
}

describe('FlatTable', () => {
  it('keeps every row while its index doubles and its memory grows over several slabs', () => {
    const table = new FlatTable();
    const rows = 60_000;
    const key = Buffer.alloc(9);
    const value = Buffer.alloc(40);
    const hashOf = (i: number): number => Math.imul(i, 0x9e3779b1) & ~3;
    for (let i = 0; i < rows; i += 1) {
      key.writeInt32BE(i, 5);
      value.writeInt32BE(i * 3, 36);
      put(table, key, hashOf(i), value);
    }
    expect(table.size).toBe(rows);
    expect(table.bytes).toBeGreaterThan(4 * MIB);
    let wrong = 0;
    for (let i = 0; i < rows; i += 1) {
      key.writeInt32BE(i, 5);
      if (!table.find(key, 0, 9, hashOf(i))) wrong += 1;
      else if (table.valueBuffer.readInt32BE(table.valueStart + 36) !== i * 3) wrong += 1;
    }
    expect(wrong).toBe(0);
  });

  it('stays small for few rows, since a window store has a table per window', () => {
    const table = new FlatTable();
    put(table, Buffer.from('k'), 1, Buffer.alloc(8));
    expect(table.bytes).toBeLessThanOrEqual(2_048);
  });

  it('holds values of 1 MiB and more, and gives their memory back', () => {
    const table = new FlatTable();
    const keys = ['a', 'b', 'c', 'd'].map((text) => Buffer.from(text));
    for (const key of keys) put(table, key, key[0]!, Buffer.alloc(MIB, key));
    put(table, Buffer.from('small'), 9, Buffer.from('row'));
    put(table, keys[0]!, keys[0]![0]!, Buffer.alloc(5 * MIB, 'x'));
    expect(get(table, keys[0]!, keys[0]![0]!)?.equals(Buffer.alloc(5 * MIB, 'x'))).toBe(true);
    for (const key of keys.slice(1)) {
      expect(get(table, key, key[0]!)?.equals(Buffer.alloc(MIB, key))).toBe(true);
    }
    const { bytes } = table;
    for (const key of keys) table.remove(key, 0, 1, key[0]!);
    expect(table.bytes).toBeLessThan(bytes - 8 * MIB);
    for (const key of keys) put(table, key, key[0]!, Buffer.alloc(MIB, key));
    expect(table.bytes).toBeLessThanOrEqual(bytes);
    expect(get(table, Buffer.from('small'), 9)?.toString()).toBe('row');
  });

  it('tells keys with equal hashes apart when some of them go', () => {
    const table = new FlatTable();
    const keys = Array.from({ length: 200 }, (_, i) => Buffer.from(`k${i}`));
    for (const key of keys) put(table, key, 42, key);
    for (let i = 0; i < 200; i += 3) table.remove(keys[i]!, 0, keys[i]!.length, 42);
    keys.forEach((key, i) => {
      const expected = i % 3 === 0 ? undefined : key.toString();
      expect(get(table, key, 42)?.toString()).toBe(expected);
    });
  });

  it('takes signed and unsigned forms of one hash for the same', () => {
    const table = new FlatTable();
    put(table, Buffer.from('k'), 0xf0000001, Buffer.from('v'));
    expect(get(table, Buffer.from('k'), 0xf0000001 | 0)?.toString()).toBe('v');
  });

  it('is moved ever more rarely by a value that grows', () => {
    const table = new FlatTable();
    const key = Buffer.from('k');
    let moves = 0;
    for (let length = 1; length <= 10_000; length += 1) {
      if (table.find(key, 0, 1, 1) && table.valueBytesMax < length) moves += 1;
      put(table, key, 1, Buffer.alloc(length));
    }
    expect(moves).toBeLessThan(25);
  });
});

describe('Slabs', () => {
  it('name blocks beyond 2^31 units without losing a bit', () => {
    const slabs = new Slabs();
    const small = slabs.allocate(4);
    // Numbers are taken, not memory: the slabs between stand for 20 GiB.
    for (let i = 0; i < 20_000; i += 1) slabs.slabs.push(slabs.slabs[0]!);
    const large = slabs.allocate(roundUnits(MIB / 8));
    expect(large).toBeLessThan(0);
    expect(large >>> SLAB_SHIFT).toBe(20_001);
    expect(slabs.slabs[large >>> SLAB_SHIFT]!.bytes.length).toBe(MIB);
    slabs.release(large, roundUnits(MIB / 8));
    expect(slabs.allocate(roundUnits(MIB / 8))).toBe(large);
    slabs.release(small, 4);
    expect(slabs.allocate(4)).toBe(small);
  });

  it('refuse to grow beyond what a reference can name', () => {
    const slabs = new Slabs();
    slabs.allocate(1);
    while (slabs.slabs.length < 2 ** 15) slabs.slabs.push(slabs.slabs[0]!);
    expect(() => slabs.allocate(MIB / 8)).toThrow(
      expect.objectContaining({ code: 'STORE_TOO_LARGE' }),
    );
  });

  it('round a block up by at most an eighth', () => {
    for (let units = 1; units < 300_000; units += 1 + (units >> 5)) {
      const rounded = roundUnits(units);
      expect(rounded).toBeGreaterThanOrEqual(units);
      expect(rounded).toBeLessThanOrEqual(units * 1.125 + 1);
      expect(roundUnits(rounded)).toBe(rounded);
    }
  });
});

describe('Staging', () => {
  it('goes on when the numbers of generations are used up', () => {
    const table = new FlatTable();
    const staging = new Staging({ table: () => table, tables: () => [table] }, 0x7ffffffe);
    const key = Buffer.from('k');
    const write = (slot: number): void => {
      staging.begin(slot);
      staging.put(table, 0, key, 0, 1, 1, Buffer.from([slot]), 0, 1, slot);
      staging.release(slot);
    };
    for (let slot = 1; slot <= 6; slot += 1) {
      write(slot);
      if (slot > 1) staging.committed();
      staging.seal(slot);
    }
    write(7);
    write(8);
    staging.committed();
    staging.aborted();
    expect(get(table, key, 1)).toEqual(Buffer.from([6]));
  });
});

it('warming changes nothing, whatever the hashes', () => {
  const table = new FlatTable();
  const hashes = new Uint32Array(256);
  const key = Buffer.alloc(4);
  table.warm(hashes, 256);
  for (let i = 0; i < 20_000; i += 1) {
    key.writeInt32BE(i);
    table.put(key, 0, 4, Math.imul(i, 0x85eb_ca6b) >>> 0, key, 0, 4, i, 0);
    if (i < 256) hashes[i] = Math.imul(i, i % 3 === 0 ? 7 : 0x85eb_ca6b);
  }
  const before = table.writes;
  table.warm(hashes, 256);
  expect(table.writes).toBe(before);
  expect(table.size).toBe(20_000);
  for (let i = 0; i < 20_000; i += 1) {
    key.writeInt32BE(i);
    expect(table.find(key, 0, 4, Math.imul(i, 0x85eb_ca6b) >>> 0)).toBe(true);
    expect(table.timestamp).toBe(i);
  }
});
