/**
 * The staged writes of one store: an undo log of two generations over one table or many.
 *
 * Owned by a store, which names its tables by number. Writes go into the table at once and leave
 * the old row in the open log; the measured cost is a tenth of the table's own, where an overlay
 * doubles it.
 *
 * I1. Undoing the open log from its newest entry, then the sealed one, gives the committed rows.
 * I2. A row's tag is the generation that wrote it last. Equal to the open generation means that an
 *     older entry of the open log exists for the row, so the next one is not first.
 * I3. A committed row is the old row of the oldest entry for its key, sealed log first; without
 *     an entry it is the table's.
 */
import { invariant } from '../errors.ts';
import type { FlatTable } from './flat-table.ts';
import type { Staged } from './staged.ts';
import { ABSENT, BLOCK, UndoLog } from './undo-log.ts';

/** An old value up to this length is copied into the log; a longer one keeps its block instead. */
const COPY_BYTES_MAX = 512;
const GENERATION_MAX = 0x7fffffff;

export interface StagedTables {
  /** The table with this number. */
  table(target: number): FlatTable;
  /** Every table. */
  tables(): Iterable<FlatTable>;
}

/** An old row of an undo log that a committed read sees. */
export interface OldRow {
  readonly log: UndoLog;
  readonly at: number;
}

export class Staging implements Staged {
  readonly #tables: StagedTables;
  readonly #drop: (target: number, ref: number) => void;
  #open = new UndoLog();
  #sealed = new UndoLog();
  #hasSealed = false;
  #generation: number;
  #slot = 0;

  constructor(tables: StagedTables, firstGeneration = 1) {
    this.#tables = tables;
    this.#drop = (target, ref) => tables.table(target).release(ref);
    this.#generation = firstGeneration;
  }

  /** True when every row is committed. */
  get isClean(): boolean {
    return this.#open.isEmpty && !this.#hasSealed;
  }

  /** Undo entries held. */
  get entries(): number {
    return this.#open.count + this.#sealed.count;
  }

  /** Bytes of the undo logs in use, detached blocks not counted. */
  get undoBytes(): number {
    return this.#open.bytesUsed + this.#sealed.bytesUsed;
  }

  begin(slot: number): void {
    this.#slot = slot;
  }

  release(slot: number): void {
    if (!this.#open.isEmpty) this.#open.fold(slot, this.#drop);
  }

  put(
    table: FlatTable,
    target: number,
    key: Buffer,
    start: number,
    end: number,
    hash: number,
    value: Buffer,
    valueStart: number,
    valueEnd: number,
    timestamp: number,
  ): void {
    const generation = this.#generation;
    if (!table.locate(key, start, end, hash)) {
      this.#open.addAbsent(this.#slot, target, key, start, end, hash);
      table.insert(key, start, end, hash, value, valueStart, valueEnd, timestamp, generation);
      return;
    }
    const first = table.tag === generation ? 0 : 1;
    const oldLength = table.valueEnd - table.valueStart;
    if (valueEnd - valueStart <= table.valueBytesMax && oldLength <= COPY_BYTES_MAX) {
      this.#open.addCopy(this.#slot, target, table, hash, first);
      table.overwrite(value, valueStart, valueEnd, timestamp, generation);
      return;
    }
    const old = table.replace(value, valueStart, valueEnd, timestamp, generation);
    this.#open.addBlock(this.#slot, target, old, hash, first);
  }

  remove(
    table: FlatTable,
    target: number,
    key: Buffer,
    start: number,
    end: number,
    hash: number,
  ): boolean {
    if (!table.locate(key, start, end, hash)) return false;
    const first = table.tag === this.#generation ? 0 : 1;
    this.#open.addBlock(this.#slot, target, table.detach(), hash, first);
    return true;
  }

  rollback(afterSlot: number): void {
    const log = this.#open;
    for (let at = log.newest; at >= 0 && log.slotAt(at) > afterSlot; at = log.newest) {
      log.pop();
      this.#undo(log, at);
    }
  }

  seal(slot: number): void {
    invariant(!this.#hasSealed, 'a generation is sealed while another one is', { slot });
    const log = this.#open;
    log.cut(slot, this.#sealed);
    this.#open = this.#sealed;
    this.#sealed = log;
    this.#hasSealed = true;
    if (this.#generation === GENERATION_MAX) this.#restartGenerations();
    else this.#generation += 1;
  }

  committed(): void {
    invariant(this.#hasSealed, 'a generation is committed that was not sealed');
    this.#hasSealed = false;
    const log = this.#sealed;
    if (log.blocks > 0) {
      for (let at = log.oldest; at >= 0; at = log.after(at)) {
        if (log.stateAt(at) === BLOCK) this.#drop(log.targetAt(at), log.blockAt(at));
      }
    }
    log.clear();
  }

  aborted(): void {
    this.#undoAll(this.#open);
    this.#undoAll(this.#sealed);
    this.#hasSealed = false;
  }

  /** The tables that have a row which is not committed. */
  targets(): Set<number> {
    const targets = new Set<number>();
    for (const log of this.#logs()) {
      for (let at = log.oldest; at >= 0; at = log.after(at)) targets.add(log.targetAt(at));
    }
    return targets;
  }

  /** The entry with the committed state of a row, or null when the table has it (I3). */
  committedEntry(
    target: number,
    key: Buffer,
    start: number,
    end: number,
    hash: number,
  ): OldRow | null {
    for (const log of this.#logs()) {
      for (let at = log.oldest; at >= 0; at = log.after(at)) {
        if (log.hashAt(at) !== (hash | 0) || log.targetAt(at) !== target) continue;
        const old = this.keyOf(log, at);
        if (key.compare(old.bytes, old.start, old.end, start, end) === 0) return { log, at };
      }
    }
    return null;
  }

  /** The committed state of every row of a table that has an undo entry, by its key as latin1. */
  committedEntries(target: number): Map<string, OldRow> {
    const rows = new Map<string, OldRow>();
    for (const log of this.#logs()) {
      for (let at = log.oldest; at >= 0; at = log.after(at)) {
        if (log.targetAt(at) !== target) continue;
        const { bytes, start, end } = this.keyOf(log, at);
        const key = bytes.toString('latin1', start, end);
        if (!rows.has(key)) rows.set(key, { log, at });
      }
    }
    return rows;
  }

  /** Where the key of an entry lies. Reads the block of a detached row into its table's fields. */
  keyOf(log: UndoLog, at: number): { bytes: Buffer; start: number; end: number } {
    if (log.stateAt(at) !== BLOCK) {
      return { bytes: log.bytes, start: log.keyStartAt(at), end: log.valueStartAt(at) };
    }
    const table = this.#tables.table(log.targetAt(at));
    table.read(log.blockAt(at));
    return { bytes: table.valueBuffer, start: table.keyStart, end: table.valueStart };
  }

  #logs(): readonly UndoLog[] {
    return [this.#sealed, this.#open];
  }

  #undoAll(log: UndoLog): void {
    for (let at = log.newest; at >= 0; at = log.newest) {
      log.popAny();
      this.#undo(log, at);
    }
    log.clear();
  }

  /** Restores the old row of an entry that was just popped. */
  #undo(log: UndoLog, at: number): void {
    const table = this.#tables.table(log.targetAt(at));
    const hash = log.hashAt(at);
    const state = log.stateAt(at);
    if (state === BLOCK) {
      table.attach(log.blockAt(at), hash);
      return;
    }
    const { bytes } = log;
    const start = log.keyStartAt(at);
    const end = log.valueStartAt(at);
    if (state === ABSENT) table.remove(bytes, start, end, hash);
    else {
      const time = log.timestampAt(at);
      table.put(bytes, start, end, hash, bytes, end, end + state, time, log.tagAt(at));
    }
  }

  /** Tags are 32 bits wide: after 2^31 generations all are forgotten, which costs one walk. */
  #restartGenerations(): void {
    for (const table of this.#tables.tables()) table.clearTags();
    for (const log of this.#logs()) {
      log.clearTags();
      for (let at = log.oldest; at >= 0; at = log.after(at)) {
        if (log.stateAt(at) !== BLOCK) continue;
        this.#tables.table(log.targetAt(at)).clearTag(log.blockAt(at));
      }
    }
    this.#generation = 1;
  }
}
