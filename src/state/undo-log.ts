/**
 * What one generation overwrote: the old state of a row for each write, oldest first.
 *
 * Owned by `Staging`. An entry holds the whole old row, or names its detached block, so it can be
 * undone whatever happened to the row's place since.
 *
 *   size hash target keyLength | state tag first block | timestamp | slot | key … | value … | size
 *
 * I1. Entries lie in slot order. Undone from the newest to the oldest, they restore the past.
 * I2. `first` is 0 only if an older entry of this generation exists for the same row. A released
 *     slot is never rolled back by itself, so `fold` may drop its entries that are not first.
 * I3. The log is two runs: entries kept by `fold`, then those of unreleased slots.
 */
import { invariant } from '../errors.ts';
import { copyBytes, type FlatTable } from './flat-table.ts';

/** `state` of an entry that is not the length of an old value. */
export const ABSENT = -1;
export const BLOCK = -2;

const SIZE = 0;
const HASH = 1;
const TARGET = 2;
const KEY_LENGTH = 3;
const STATE = 4;
const TAG = 5;
const FIRST = 6;
const REF = 7;
/** In 64-bit words. */
const TIMESTAMP = 4;
const SLOT = 5;
const HEADER = 12;

const WORDS_FIRST = 1 << 12;
/** A log that grew beyond this is given back when its generation is over. */
const WORDS_KEPT = 1 << 22;

/** Positions are counted in words of 4 bytes. */
export class UndoLog {
  bytes!: Buffer;
  ints!: Int32Array;
  #floats!: Float64Array;
  /** End of the entries kept by `fold`; begin and end of the others. */
  #kept = 0;
  #pending = 0;
  #end = 0;
  #count = 0;
  #blocks = 0;

  constructor() {
    this.#allocate(WORDS_FIRST);
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Entries in the log. */
  get count(): number {
    return this.#count;
  }

  /** Bytes from the first entry to the end of the last. */
  get bytesUsed(): number {
    return this.#end * 4;
  }

  /** Entries that name a detached block. */
  get blocks(): number {
    return this.#blocks;
  }

  /** Adds an entry for a row that is not there. */
  addAbsent(
    slot: number,
    target: number,
    key: Buffer,
    start: number,
    end: number,
    hash: number,
  ): void {
    const at = this.#begin(slot, target, hash, end - start, ABSENT, 0);
    copyBytes(this.bytes, (at + HEADER) * 4, key, start, end);
  }

  /** Adds an entry with a copy of the table's located row. */
  addCopy(slot: number, target: number, table: FlatTable, hash: number, first: number): void {
    const start = table.keyStart;
    const { valueStart, valueEnd } = table;
    const at = this.#begin(slot, target, hash, valueStart - start, valueEnd - valueStart, 0);
    this.ints[at + TAG] = table.tag;
    this.ints[at + FIRST] = first;
    this.#floats[(at >> 1) + TIMESTAMP] = table.timestamp;
    copyBytes(this.bytes, (at + HEADER) * 4, table.valueBuffer, start, valueEnd);
  }

  /** Adds an entry for a detached block, which holds key, value, timestamp and tag. */
  addBlock(slot: number, target: number, ref: number, hash: number, first: number): void {
    const at = this.#begin(slot, target, hash, 0, BLOCK, 0);
    this.ints[at + FIRST] = first;
    this.ints[at + REF] = ref;
    this.#blocks += 1;
  }

  #begin(
    slot: number,
    target: number,
    hash: number,
    keyLength: number,
    state: number,
    tag: number,
  ): number {
    const payload = keyLength + (state > 0 ? state : 0);
    // One word for the size at the end, then rounded to whole 64-bit words.
    const size = (HEADER + ((payload + 3) >>> 2) + 2) & ~1;
    const at = this.#end;
    if (at + size > this.ints.length) this.#growTo(at + size);
    const { ints } = this;
    ints[at + SIZE] = size;
    ints[at + HASH] = hash;
    ints[at + TARGET] = target;
    ints[at + KEY_LENGTH] = keyLength;
    ints[at + STATE] = state;
    ints[at + TAG] = tag;
    ints[at + FIRST] = 1;
    ints[at + REF] = 0;
    this.#floats[(at >> 1) + SLOT] = slot;
    ints[at + size - 1] = size;
    this.#end = at + size;
    this.#count += 1;
    return at;
  }

  /** Position of the oldest entry, or -1; `after` goes on from there. */
  get oldest(): number {
    if (this.#kept > 0) return 0;
    return this.#pending < this.#end ? this.#pending : -1;
  }

  after(at: number): number {
    let next = at + this.ints[at + SIZE]!;
    if (next === this.#kept) next = this.#pending;
    return next < this.#end ? next : -1;
  }

  /** Position of the newest entry, or -1. */
  get newest(): number {
    const end = this.#end > this.#pending ? this.#end : this.#kept;
    return end === 0 ? -1 : end - this.ints[end - 1]!;
  }

  slotAt(at: number): number {
    return this.#floats[(at >> 1) + SLOT]!;
  }

  hashAt(at: number): number {
    return this.ints[at + HASH]!;
  }

  targetAt(at: number): number {
    return this.ints[at + TARGET]!;
  }

  /** `ABSENT`, `BLOCK`, or the length of the old value. */
  stateAt(at: number): number {
    return this.ints[at + STATE]!;
  }

  tagAt(at: number): number {
    return this.ints[at + TAG]!;
  }

  blockAt(at: number): number {
    return this.ints[at + REF]!;
  }

  timestampAt(at: number): number {
    return this.#floats[(at >> 1) + TIMESTAMP]!;
  }

  /** Where key and old value lie in `bytes`; not for a `BLOCK`. */
  keyStartAt(at: number): number {
    return (at + HEADER) * 4;
  }

  valueStartAt(at: number): number {
    return (at + HEADER) * 4 + this.ints[at + KEY_LENGTH]!;
  }

  /** Takes the newest entry out; its content stays readable until the next entry is added. */
  pop(): void {
    invariant(this.#end > this.#pending, 'a released slot is rolled back by itself');
    this.#popAny();
  }

  /** As `pop`, for a whole generation: released slots go as well. */
  popAny(): void {
    if (this.#end === this.#pending) {
      this.#end = this.#kept;
      this.#pending = 0;
      this.#kept = 0;
    }
    this.#popAny();
  }

  #popAny(): void {
    const size = this.ints[this.#end - 1]!;
    this.#end -= size;
    this.#count -= 1;
    if (this.ints[this.#end + STATE] === BLOCK) this.#blocks -= 1;
    if (this.#end === this.#pending) {
      this.#end = this.#kept;
      this.#pending = this.#kept;
    }
  }

  /**
   * Slots up to `slot` are released: keeps their first entries alone. `drop` gives back the
   * detached block of an entry that goes.
   */
  fold(slot: number, drop: (target: number, ref: number) => void): void {
    let at = this.#pending;
    const { ints } = this;
    while (at < this.#end && this.#floats[(at >> 1) + SLOT]! <= slot) {
      const size = ints[at + SIZE]!;
      if (ints[at + FIRST] === 1) {
        if (at !== this.#kept) ints.copyWithin(this.#kept, at, at + size);
        this.#kept += size;
      } else {
        this.#count -= 1;
        if (ints[at + STATE] === BLOCK) {
          this.#blocks -= 1;
          drop(ints[at + TARGET]!, ints[at + REF]!);
        }
      }
      at += size;
    }
    if (at === this.#end) {
      this.#end = this.#kept;
      at = this.#kept;
    }
    this.#pending = at;
    this.#closeGap();
  }

  /** Keeps the gap between the runs small beside what is pending, at a constant cost per entry. */
  #closeGap(): void {
    const gap = this.#pending - this.#kept;
    const pending = this.#end - this.#pending;
    if (gap === 0 || gap < pending || gap < WORDS_FIRST) return;
    this.ints.copyWithin(this.#kept, this.#pending, this.#end);
    this.#pending = this.#kept;
    this.#end = this.#kept + pending;
  }

  /**
   * Moves the entries of slots > `slot` into the empty `later`, where they count as first: its
   * generation may be undone alone.
   */
  cut(slot: number, later: UndoLog): void {
    let from = this.#end;
    let moved = 0;
    let blocks = 0;
    while (from > this.#pending) {
      const at = from - this.ints[from - 1]!;
      if (this.slotAt(at) <= slot) break;
      this.ints[at + FIRST] = 1;
      if (this.ints[at + STATE] === BLOCK) blocks += 1;
      moved += 1;
      from = at;
    }
    const words = this.#end - from;
    if (moved > 0) {
      if (words > later.ints.length) later.#growTo(words);
      later.ints.set(this.ints.subarray(from, this.#end), 0);
      later.#end = words;
      later.#count = moved;
      later.#blocks = blocks;
      this.#end = from;
      this.#count -= moved;
      this.#blocks -= blocks;
      if (this.#end === this.#pending) {
        this.#end = this.#kept;
        this.#pending = this.#kept;
      }
    }
    const last = this.newest;
    invariant(last < 0 || this.slotAt(last) <= slot, 'a generation is cut before a released slot', {
      slot,
      released: last < 0 ? 'none' : this.slotAt(last),
    });
  }

  /** Forgets every tag: rows count as not yet saved. */
  clearTags(): void {
    for (let at = this.oldest; at >= 0; at = this.after(at)) {
      this.ints[at + TAG] = 0;
      this.ints[at + FIRST] = 1;
    }
  }

  clear(): void {
    this.#kept = 0;
    this.#pending = 0;
    this.#end = 0;
    this.#count = 0;
    this.#blocks = 0;
    if (this.ints.length > WORDS_KEPT) this.#allocate(WORDS_FIRST);
  }

  #growTo(words: number): void {
    const old = this.ints;
    let size = old.length;
    while (size < words) size *= 2;
    this.#allocate(size);
    this.ints.set(old.subarray(0, this.#end), 0);
  }

  #allocate(words: number): void {
    this.bytes = Buffer.allocUnsafeSlow(words * 4);
    const { buffer, byteOffset } = this.bytes;
    this.ints = new Int32Array(buffer, byteOffset, words);
    this.#floats = new Float64Array(buffer, byteOffset, words >> 1);
  }
}
