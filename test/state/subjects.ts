/** Both stores behind one face, for tests that run one body over the two. */
import { KeyValueStore } from '../../src/state/key-value-store.ts';
import type { View, WindowRow } from '../../src/state/staged.ts';
import { WindowStore } from '../../src/state/window-store.ts';
import type { Subject } from './twin.ts';

type AnyStore = KeyValueStore | WindowStore;

/** Bytes with others around them, so that a store which ignores the bounds is found out. */
function framed(bytes: Buffer): { buffer: Buffer; start: number; end: number } {
  const buffer = Buffer.concat([Buffer.from('<<<'), bytes, Buffer.from('>>')]);
  return { buffer, start: 3, end: 3 + bytes.length };
}

/** The row that the store found last. */
function rowOf(store: AnyStore, windowStart: number, key: Buffer): WindowRow {
  const { valueBuffer, valueStart, valueEnd, timestamp } = store;
  const value = Buffer.from(valueBuffer.subarray(valueStart, valueEnd));
  return { windowStart, key: Buffer.from(key), value, timestamp };
}

abstract class StoreSubject<S extends AnyStore> {
  readonly store: S;

  constructor(store: S) {
    this.store = store;
  }

  get size(): number {
    return this.store.size;
  }
  get undoEntries(): number {
    return this.store.undoEntries;
  }
  begin(slot: number): void {
    this.store.begin(slot);
  }
  release(slot: number): void {
    this.store.release(slot);
  }
  rollback(afterSlot: number): void {
    this.store.rollback(afterSlot);
  }
  seal(slot: number): void {
    this.store.seal(slot);
  }
  committed(): void {
    this.store.committed();
  }
  aborted(): void {
    this.store.aborted();
  }
}

export class KeyValueSubject extends StoreSubject<KeyValueStore> implements Subject {
  constructor() {
    super(new KeyValueStore());
  }

  put(_: number, key: Buffer, hash: number, value: Buffer, timestamp: number): void {
    const k = framed(key);
    const v = framed(value);
    this.store.put(k.buffer, k.start, k.end, hash, v.buffer, v.start, v.end, timestamp);
  }

  remove(_: number, key: Buffer, hash: number): boolean {
    const k = framed(key);
    return this.store.remove(k.buffer, k.start, k.end, hash);
  }

  get(view: View, windowStart: number, key: Buffer, hash: number): WindowRow | null {
    const { buffer, start, end } = framed(key);
    const found =
      view === 'staged'
        ? this.store.find(buffer, start, end, hash)
        : this.store.findCommitted(buffer, start, end, hash);
    return found ? rowOf(this.store, windowStart, key) : null;
  }

  entries(view: View): WindowRow[] {
    return [...this.store.entries(view)].map((row) => ({ windowStart: 0, ...row }));
  }

  expire(): void {}
}

export class WindowSubject extends StoreSubject<WindowStore> implements Subject {
  constructor() {
    super(new WindowStore());
  }

  put(window: number, key: Buffer, hash: number, value: Buffer, timestamp: number): void {
    const k = framed(key);
    const v = framed(value);
    this.store.put(window, k.buffer, k.start, k.end, hash, v.buffer, v.start, v.end, timestamp);
  }

  remove(windowStart: number, key: Buffer, hash: number): boolean {
    const k = framed(key);
    return this.store.remove(windowStart, k.buffer, k.start, k.end, hash);
  }

  get(view: View, windowStart: number, key: Buffer, hash: number): WindowRow | null {
    const { buffer, start, end } = framed(key);
    const found =
      view === 'staged'
        ? this.store.find(windowStart, buffer, start, end, hash)
        : this.store.findCommitted(windowStart, buffer, start, end, hash);
    return found ? rowOf(this.store, windowStart, key) : null;
  }

  entries(view: View): WindowRow[] {
    return [...this.store.entries(view)];
  }

  expire(beforeStart: number): void {
    this.store.expire(beforeStart);
  }
}
