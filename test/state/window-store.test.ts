import { describe, expect, it } from 'vitest';
import { WindowStore } from '../../src/state/window-store.ts';

function put(store: WindowStore, windowStart: number, key: string, value: string): void {
  const k = Buffer.from(key, 'latin1');
  const v = Buffer.from(value);
  store.put(windowStart, k, 0, k.length, k.length, v, 0, v.length, windowStart + 1);
}

function closed(store: WindowStore, from: number, to: number): string[] {
  return [...store.closedWindows(from, to)].map(
    ({ windowStart, key, value, timestamp }) =>
      `${windowStart} ${key.toString('latin1')} ${value.toString()} ${timestamp}`,
  );
}

describe('WindowStore', () => {
  it('closes windows after the first bound up to the second, by start, then by key bytes', () => {
    const store = new WindowStore();
    store.begin(1);
    for (const start of [3_000, 0, 2_000, 1_000]) {
      for (const key of ['ÿ', 'b', '', 'ab', 'a']) put(store, start, key, 'v');
    }
    const keys = ['', 'a', 'ab', 'b', 'ÿ'];
    const rows = (start: number): string[] => keys.map((key) => `${start} ${key} v ${start + 1}`);
    expect(closed(store, 0, 2_000)).toEqual([...rows(1_000), ...rows(2_000)]);
    expect(closed(store, Number.NEGATIVE_INFINITY, 0)).toEqual(rows(0));
    expect(closed(store, 2_000, 2_000)).toEqual([]);
    expect(closed(store, 2_999, 1e15)).toEqual(rows(3_000));
  });

  it('drops whole windows, but none with a row that is not committed', () => {
    const store = new WindowStore();
    store.begin(1);
    for (const start of [0, 1_000, 2_000]) put(store, start, 'k', 'old');
    store.seal(1);
    store.begin(2);
    put(store, 1_000, 'k', 'new');
    expect(store.expire(5_000)).toBe(0);
    store.committed();
    expect(store.expire(2_000)).toBe(1);
    expect(closed(store, -1, 9_000)).toEqual(['1000 k new 1001', '2000 k old 2001']);
    store.aborted();
    expect(closed(store, -1, 9_000)).toEqual(['1000 k old 1001', '2000 k old 2001']);
    expect(store.expire(2_000)).toBe(1);
    expect(store.windows).toBe(1);
    put(store, 1_000, 'k', 'again');
    expect(store.size).toBe(2);
  });

  it('refuses to go on when it is written while its rows are read', () => {
    const store = new WindowStore();
    store.begin(1);
    put(store, 0, 'a', '1');
    put(store, 0, 'b', '2');
    const rows = store.closedWindows(-1, 0);
    rows.next();
    put(store, 0, 'c', '3');
    expect(() => rows.next()).toThrow(/written while its rows were read/);
  });
});
