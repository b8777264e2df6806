/**
 * The naive twin of a store: a map of committed rows and the list of writes since, nothing shared.
 *
 * Every view is computed from scratch, so that it is plain to see that the twin is right.
 */
import type { View, WindowRow } from '../../src/state/staged.ts';

interface Write {
  readonly slot: number;
  readonly id: string;
  readonly row: WindowRow | null;
  sealed: boolean;
}

export class ModelStore {
  #committed = new Map<string, WindowRow>();
  #writes: Write[] = [];
  #slot = 0;

  begin(slot: number): void {
    this.#slot = slot;
  }

  put(windowStart: number, key: Buffer, value: Buffer, timestamp: number): void {
    const row = { windowStart, key: Buffer.from(key), value: Buffer.from(value), timestamp };
    this.#write(windowStart, key, row);
  }

  remove(windowStart: number, key: Buffer): void {
    this.#write(windowStart, key, null);
  }

  #write(windowStart: number, key: Buffer, row: WindowRow | null): void {
    this.#writes.push({ slot: this.#slot, id: idOf(windowStart, key), row, sealed: false });
  }

  rollback(afterSlot: number): void {
    this.#writes = this.#writes.filter((write) => write.slot <= afterSlot);
  }

  seal(slot: number): void {
    for (const write of this.#writes) if (write.slot <= slot) write.sealed = true;
  }

  committed(): void {
    apply(
      this.#committed,
      this.#writes.filter((write) => write.sealed),
    );
    this.#writes = this.#writes.filter((write) => !write.sealed);
  }

  aborted(): void {
    this.#writes = [];
  }

  /** Drops the windows that start earlier and have nothing but committed rows. */
  expire(beforeStart: number): void {
    const staged = new Set(this.#writes.map((write) => startOf(write.id)));
    for (const [id, row] of this.#committed) {
      if (row.windowStart < beforeStart && !staged.has(row.windowStart)) this.#committed.delete(id);
    }
  }

  get(view: View, windowStart: number, key: Buffer): WindowRow | null {
    return this.#rows(view).get(idOf(windowStart, key)) ?? null;
  }

  /** Ordered by start, then by the bytes of the key. */
  entries(view: View): WindowRow[] {
    return [...this.#rows(view).values()].sort(
      (a, b) => a.windowStart - b.windowStart || Buffer.compare(a.key, b.key),
    );
  }

  #rows(view: View): Map<string, WindowRow> {
    const rows = new Map(this.#committed);
    if (view === 'staged') apply(rows, this.#writes);
    return rows;
  }
}

function apply(rows: Map<string, WindowRow>, writes: readonly Write[]): void {
  for (const { id, row } of writes) {
    if (row === null) rows.delete(id);
    else rows.set(id, row);
  }
}

function idOf(windowStart: number, key: Buffer): string {
  return `${windowStart} ${key.toString('hex')}`;
}

function startOf(id: string): number {
  return Number(id.slice(0, id.indexOf(' ')));
}
