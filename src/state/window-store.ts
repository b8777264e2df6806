/**
 * A window store in memory: one table per window start, all under one undo.
 *
 * Owned by a task; operators read and write it synchronously, the task stages it (`Staged`).
 * Windows are named by their start; the size is the operator's business.
 *
 * I1. A table is dropped whole when its window expires, and only if it has no uncommitted row.
 * I2. Expiry cannot be undone: `expire` is given a bound that follows from committed stream time.
 * I3. Row fields are valid until the next call of this store.
 */
import { invariant } from '../errors.ts';
import { FlatTable } from './flat-table.ts';
import { committedRows, stagedRows } from './rows.ts';
import type { Restoring, Staged, View, WindowRow } from './staged.ts';
import { Staging } from './staging.ts';
import { ABSENT, BLOCK } from './undo-log.ts';

const NO_BYTES = Buffer.alloc(0);
const TARGET_MAX = 0x7fffffff;

interface Segment {
  readonly start: number;
  /** Its number in the undo log. */
  readonly target: number;
  readonly table: FlatTable;
}

export class WindowStore implements Staged {
  /** The row that was found last. */
  valueBuffer: Buffer = NO_BYTES;
  valueStart = 0;
  valueEnd = 0;
  timestamp = 0;
  /** The restore under way. */
  restoring: Restoring | null = null;

  readonly #segments = new Map<number, Segment>();
  readonly #byTarget = new Map<number, Segment>();
  /** Starts of all segments, ascending. */
  readonly #starts: number[] = [];
  /** The segment used last: most records of a step fall into one window. */
  #latest: Segment | null = null;
  #nextTarget = 0;
  readonly #staging: Staging;

  constructor() {
    const segments = this.#byTarget;
    this.#staging = new Staging({
      table: (target) => segments.get(target)!.table,
      *tables() {
        for (const { table } of segments.values()) yield table;
      },
    });
  }

  /** Rows of all windows, staged ones included. */
  get size(): number {
    let size = 0;
    for (const { table } of this.#segments.values()) size += table.size;
    return size;
  }

  /** Windows that have a table. */
  get windows(): number {
    return this.#starts.length;
  }

  /** Bytes of memory held by rows and their indexes. */
  get bytes(): number {
    let bytes = 0;
    for (const { table } of this.#segments.values()) bytes += table.bytes;
    return bytes;
  }

  /** Old rows held so that they can be restored. */
  get undoEntries(): number {
    return this.#staging.entries;
  }

  /** Bytes of the undo log in use. */
  get undoBytes(): number {
    return this.#staging.undoBytes;
  }

  find(windowStart: number, key: Buffer, start: number, end: number, hash: number): boolean {
    const segment = this.#find(windowStart);
    if (segment === undefined) return false;
    const { table } = segment;
    if (!table.find(key, start, end, hash)) return false;
    this.#show(table);
    return true;
  }

  /** As `find`, without what is not committed. Walks the undo log: for queries, not for records. */
  findCommitted(
    windowStart: number,
    key: Buffer,
    start: number,
    end: number,
    hash: number,
  ): boolean {
    const segment = this.#find(windowStart);
    if (segment === undefined) return false;
    const entry = this.#staging.committedEntry(segment.target, key, start, end, hash);
    if (entry === null) return this.find(windowStart, key, start, end, hash);
    const { log, at } = entry;
    const state = log.stateAt(at);
    if (state === ABSENT) return false;
    if (state === BLOCK) {
      segment.table.read(log.blockAt(at));
      this.#show(segment.table);
      return true;
    }
    this.valueBuffer = log.bytes;
    this.valueStart = log.valueStartAt(at);
    this.valueEnd = this.valueStart + state;
    this.timestamp = log.timestampAt(at);
    return true;
  }

  put(
    windowStart: number,
    key: Buffer,
    keyStart: number,
    keyEnd: number,
    hash: number,
    value: Buffer,
    valueStart: number,
    valueEnd: number,
    timestamp: number,
  ): void {
    const segment = this.#find(windowStart) ?? this.#create(windowStart);
    this.#staging.put(
      segment.table,
      segment.target,
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
  remove(windowStart: number, key: Buffer, start: number, end: number, hash: number): boolean {
    const segment = this.#find(windowStart);
    if (segment === undefined) return false;
    return this.#staging.remove(segment.table, segment.target, key, start, end, hash);
  }

  /** As `put`, of a committed row and without undo: for the restore. */
  restorePut(
    windowStart: number,
    key: Buffer,
    keyStart: number,
    keyEnd: number,
    hash: number,
    value: Buffer,
    valueStart: number,
    valueEnd: number,
    timestamp: number,
  ): void {
    const { table } = this.#find(windowStart) ?? this.#create(windowStart);
    table.put(key, keyStart, keyEnd, hash, value, valueStart, valueEnd, timestamp, 0);
  }

  restoreRemove(
    windowStart: number,
    key: Buffer,
    start: number,
    end: number,
    hash: number,
  ): boolean {
    return this.#find(windowStart)?.table.remove(key, start, end, hash) ?? false;
  }

  /** Throws unless every row is committed: a restore cannot be undone. */
  assertRestorable(): void {
    invariant(this.#staging.isClean, 'a store with staged writes is restored');
  }

  /**
   * Copies of the staged rows of windows with a start in (`fromStart`, `toStart`], ordered by start,
   * then by the bytes of the key. The store must not be written until the last row is taken.
   */
  *closedWindows(fromStart: number, toStart: number): Generator<WindowRow, void, undefined> {
    for (let i = this.#placeAfter(fromStart); i < this.#starts.length; i += 1) {
      const windowStart = this.#starts[i]!;
      if (windowStart > toStart) return;
      const { table } = this.#segments.get(windowStart)!;
      for (const { key, value, timestamp } of stagedRows(table)) {
        yield { windowStart, key, value, timestamp };
      }
    }
  }

  /** Copies of all rows, ordered by start, then by the bytes of the key. Consume at once. */
  *entries(view: View): Generator<WindowRow, void, undefined> {
    for (const windowStart of [...this.#starts]) {
      const segment = this.#segments.get(windowStart);
      if (segment === undefined) continue;
      const { table, target } = segment;
      const rows =
        view === 'staged' ? stagedRows(table) : committedRows(table, this.#staging, target);
      for (const { key, value, timestamp } of rows) yield { windowStart, key, value, timestamp };
    }
  }

  /** Shows every staged value in place, in no order and without copies. */
  visitValues(visit: (buffer: Buffer, start: number, end: number) => void): void {
    for (const { table } of this.#segments.values()) {
      for (const ref of table.refs()) {
        table.read(ref);
        visit(table.valueBuffer, table.valueStart, table.valueEnd);
      }
    }
  }

  /**
   * Drops the windows with a start below `beforeStart`, which must follow from committed stream
   * time (I2). A window with an uncommitted row stays until a later call. Returns how many went.
   */
  expire(beforeStart: number): number {
    const starts = this.#starts;
    if (starts.length === 0 || starts[0]! >= beforeStart) return 0;
    const staged = this.#staging.targets();
    let kept = 0;
    let i = 0;
    for (; i < starts.length && starts[i]! < beforeStart; i += 1) {
      const segment = this.#segments.get(starts[i]!)!;
      if (staged.has(segment.target)) {
        starts[kept] = segment.start;
        kept += 1;
      } else {
        this.#segments.delete(segment.start);
        this.#byTarget.delete(segment.target);
      }
    }
    starts.splice(kept, i - kept);
    this.#latest = null;
    return i - kept;
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

  #show(table: FlatTable): void {
    this.valueBuffer = table.valueBuffer;
    this.valueStart = table.valueStart;
    this.valueEnd = table.valueEnd;
    this.timestamp = table.timestamp;
  }

  #find(windowStart: number): Segment | undefined {
    const latest = this.#latest;
    if (latest !== null && latest.start === windowStart) return latest;
    const segment = this.#segments.get(windowStart);
    if (segment !== undefined) this.#latest = segment;
    return segment;
  }

  #create(windowStart: number): Segment {
    invariant(Number.isSafeInteger(windowStart), 'a window start is no integer', { windowStart });
    do this.#nextTarget = this.#nextTarget === TARGET_MAX ? 0 : this.#nextTarget + 1;
    while (this.#byTarget.has(this.#nextTarget));
    const segment = { start: windowStart, target: this.#nextTarget, table: new FlatTable() };
    this.#segments.set(windowStart, segment);
    this.#byTarget.set(segment.target, segment);
    this.#starts.splice(this.#placeAfter(windowStart), 0, windowStart);
    this.#latest = segment;
    return segment;
  }

  /** The place of the first start above `windowStart`. */
  #placeAfter(windowStart: number): number {
    const starts = this.#starts;
    let low = 0;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (starts[middle]! <= windowStart) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
