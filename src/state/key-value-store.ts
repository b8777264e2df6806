/**
 * A key-value store in memory: one table, staged.
 *
 * Owned by a task; operators read and write it synchronously, the task stages it (`Staged`). Keys
 * come with their hash, the murmur2 that partitioning uses too.
 *
 * I1. Everything kept is a copy: no fetch response is held by a row.
 * I2. `valueBuffer` with its bounds and `timestamp` are valid until the next call of this store.
 */
import { invariant } from '../errors.ts';
import { FlatTable } from './flat-table.ts';
import { committedRows, stagedRows } from './rows.ts';
import type { Restoring, Row, Staged, View } from './staged.ts';
import { Staging } from './staging.ts';
import { ABSENT, BLOCK } from './undo-log.ts';

const NO_BYTES = Buffer.alloc(0);

export class KeyValueStore implements Staged {
  /** The row that was found last. */
  valueBuffer: Buffer = NO_BYTES;
  valueStart = 0;
  valueEnd = 0;
  timestamp = 0;
  /** The restore under way. */
  restoring: Restoring | null = null;

  readonly #table = new FlatTable();
  readonly #staging = new Staging({ table: () => this.#table, tables: () => [this.#table] });

  /** Rows, staged ones included. */
  get size(): number {
    return this.#table.size;
  }

  /** Bytes of memory held by rows and their index. */
  get bytes(): number {
    return this.#table.bytes;
  }

  /** Old rows held so that they can be restored. */
  get undoEntries(): number {
    return this.#staging.entries;
  }

  /** Bytes of the undo log in use. */
  get undoBytes(): number {
    return this.#staging.undoBytes;
  }

  find(key: Buffer, start: number, end: number, hash: number): boolean {
    const table = this.#table;
    if (!table.find(key, start, end, hash)) return false;
    this.valueBuffer = table.valueBuffer;
    this.valueStart = table.valueStart;
    this.valueEnd = table.valueEnd;
    this.timestamp = table.timestamp;
    return true;
  }

  /** Brings the rows of at most 256 hashes into the processor's cache; changes nothing. */
  warm(hashes: Uint32Array, count: number): number {
    return this.#table.warm(hashes, count);
  }

  /** As `find`, without what is not committed. Walks the undo log: for queries, not for records. */
  findCommitted(key: Buffer, start: number, end: number, hash: number): boolean {
    const entry = this.#staging.committedEntry(0, key, start, end, hash);
    if (entry === null) return this.find(key, start, end, hash);
    const { log, at } = entry;
    const state = log.stateAt(at);
    if (state === ABSENT) return false;
    const table = this.#table;
    if (state === BLOCK) table.read(log.blockAt(at));
    this.valueBuffer = state === BLOCK ? table.valueBuffer : log.bytes;
    this.valueStart = state === BLOCK ? table.valueStart : log.valueStartAt(at);
    this.valueEnd = state === BLOCK ? table.valueEnd : this.valueStart + state;
    this.timestamp = state === BLOCK ? table.timestamp : log.timestampAt(at);
    return true;
  }

  put(
    key: Buffer,
    keyStart: number,
    keyEnd: number,
    hash: number,
    value: Buffer,
    valueStart: number,
    valueEnd: number,
    timestamp: number,
  ): void {
    this.#staging.put(
      this.#table,
      0,
      key,
      keyStart,
      keyEnd,
      hash,
      value,
      valueStart,
      valueEnd,
      timestamp,
    );
  }

  /** True when there was a row. */
  remove(key: Buffer, start: number, end: number, hash: number): boolean {
    return this.#staging.remove(this.#table, 0, key, start, end, hash);
  }

  /** As `put`, of a committed row and without undo: for the restore. */
  restorePut(
    key: Buffer,
    keyStart: number,
    keyEnd: number,
    hash: number,
    value: Buffer,
    valueStart: number,
    valueEnd: number,
    timestamp: number,
  ): void {
    this.#table.put(key, keyStart, keyEnd, hash, value, valueStart, valueEnd, timestamp, 0);
  }

  restoreRemove(key: Buffer, start: number, end: number, hash: number): boolean {
    return this.#table.remove(key, start, end, hash);
  }

  /** Throws unless every row is committed: a restore cannot be undone. */
  assertRestorable(): void {
    invariant(this.#staging.isClean, 'a store with staged writes is restored');
  }

  /** Copies of the rows in the order of their keys' bytes. Consume before the next write. */
  entries(view: View): Generator<Row, void, undefined> {
    return view === 'staged'
      ? stagedRows(this.#table)
      : committedRows(this.#table, this.#staging, 0);
  }

  /** Shows every staged value in place, in no order and without copies. */
  visitValues(visit: (buffer: Buffer, start: number, end: number) => void): void {
    const table = this.#table;
    for (const ref of table.refs()) {
      table.read(ref);
      visit(table.valueBuffer, table.valueStart, table.valueEnd);
    }
  }

  begin(slot: number): void {
    this.#staging.begin(slot);
  }

  release(slot: number): void {
    this.#staging.release(slot);
  }

  rollback(afterSlot: number): void {
    this.#staging.rollback(afterSlot);
  }

  seal(slot: number): void {
    this.#staging.seal(slot);
  }

  committed(): void {
    this.#staging.committed();
  }

  aborted(): void {
    this.#staging.aborted();
  }
}
