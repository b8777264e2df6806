/**
 * A hash table outside the JavaScript heap: byte keys to byte values with a timestamp and a tag.
 *
 * Owned by a store, which adds the undo (`staging.ts`). One row is one block of a slab, so a hit
 * costs one miss of the cache for the index and one for the row; the garbage collector sees neither.
 *
 *   index  [hash, ref] [hash, ref] …        open addressing, linear probing, at most 5/8 full
 *   block  keyLength valueLength units tag | timestamp | key … | value … | spare
 *
 * I1. Keys are equal when their bytes are; the hash is given by the caller, the same for the same
 *     key, and collisions are legal at any number.
 * I2. Nothing is allocated on the heap by `locate`, `find` and a write that fits.
 * I3. A value is written in place while it fits its block; `replace` and `detach` leave the old
 *     block as it was, for the undo log, until somebody releases it.
 * I4. Row fields and the located row are valid until the next write.
 * I5. The index doubles without a stop: each new row moves a few places over, and a row that is
 *     looked up moves at once, so a located row is always in the new index.
 */
import { invariant } from '../errors.ts';
import { roundUnits, SLAB_MASK, SLAB_SHIFT, type Slab, Slabs } from './slabs.ts';

const INDEX_FIRST = 16;
/** Places of the old index emptied per new row: done long before the next doubling. */
const MIGRATED_AT_ONCE = 8;
/** 2^32 divided by the golden ratio: all keys of a partition share the low bits of their hash. */
const GOLDEN = 0x9e3779b1 | 0;

const HEADER_BYTES = 24;
const KEY_LENGTH = 0;
const VALUE_LENGTH = 1;
const UNITS = 2;
const TAG = 3;
/** In 64-bit words. */
const TIMESTAMP = 2;

/** A table below this size stays in the cache by itself. */
const WARM_BYTES_MIN = 256 * 1024;
const WARM_WORDS = 10;
const WARM_REFS = new Int32Array(256);

/** Below this length a loop is faster than a call into native code. */
const LOOP_BYTES = 48;
const NO_BYTES = Buffer.alloc(0);

/** Copies bytes; source and target may be the same place. */
export function copyBytes(
  target: Buffer,
  at: number,
  source: Buffer,
  start: number,
  end: number,
): void {
  if (end - start > LOOP_BYTES) {
    source.copy(target, at, start, end);
    return;
  }
  for (let i = start; i < end; i += 1, at += 1) target[at] = source[i]!;
}

export class FlatTable {
  /** The row of the last successful `find`, `locate` or `read`. */
  valueBuffer: Buffer = NO_BYTES;
  valueStart = 0;
  valueEnd = 0;
  timestamp = 0;
  tag = 0;
  /** Bytes that the located row's value may have without moving. */
  valueBytesMax = 0;

  readonly #memory = new Slabs();
  readonly #slabs: readonly Slab[] = this.#memory.slabs;
  #index = new Int32Array(INDEX_FIRST * 2);
  #mask = INDEX_FIRST - 1;
  #shift = 32 - Math.log2(INDEX_FIRST);
  #grows = (INDEX_FIRST * 5) >> 3;
  /** The index before the last doubling while rows are left in it; places below are empty. */
  #old: Int32Array | null = null;
  #emptied = 0;
  #size = 0;
  /** Where the index holds the located row, or where a row with its key belongs. */
  #at = 0;
  #ref = 0;
  #writes = 0;

  get size(): number {
    return this.#size;
  }

  /** Changes with every write: an iteration that sees another number must not go on. */
  get writes(): number {
    return this.#writes;
  }

  /** Bytes of memory held, index included. */
  get bytes(): number {
    return this.#memory.bytes + this.#index.byteLength + (this.#old?.byteLength ?? 0);
  }

  find(key: Buffer, start: number, end: number, hash: number): boolean {
    return this.locate(key, start, end, hash);
  }

  /**
   * Reads the places of some hashes and the rows there, so that both are in the processor's cache
   * when they are looked up; changes nothing. Two loops, for waits of one loop overlap.
   */
  warm(hashes: Uint32Array, count: number): number {
    if (this.#size === 0 || this.bytes < WARM_BYTES_MIN) return 0;
    const index = this.#index;
    const shift = this.#shift;
    const refs = WARM_REFS;
    for (let i = 0; i < count; i += 1) {
      refs[i] = index[(Math.imul(hashes[i]!, GOLDEN) >>> shift) * 2 + 1]!;
    }
    let sum = 0;
    for (let i = 0; i < count; i += 1) {
      const ref = refs[i]!;
      const { ints } = this.#slabs[ref >>> SLAB_SHIFT]!;
      const at = (ref & SLAB_MASK) * 2;
      sum = (sum + ints[at]!) | 0;
      // A row of usual size has its end in the next line of the cache as often as not.
      if (at + WARM_WORDS < ints.length) sum = (sum + ints[at + WARM_WORDS]!) | 0;
    }
    return sum;
  }

  /** As `find`; a following `overwrite`, `replace`, `insert` or `detach` acts on this key. */
  locate(key: Buffer, start: number, end: number, hash: number): boolean {
    const index = this.#index;
    const mask = this.#mask;
    const wanted = hash | 0;
    let at = Math.imul(wanted, GOLDEN) >>> this.#shift;
    for (;;) {
      const ref = index[at * 2 + 1]!;
      if (ref === 0) {
        this.#at = at;
        return this.#old !== null && this.#locateOld(this.#old, key, start, end, wanted);
      }
      if (index[at * 2] === wanted && this.#isKey(ref, key, start, end)) {
        this.#at = at;
        this.read(ref);
        return true;
      }
      at = (at + 1) & mask;
    }
  }

  /** Moves a row that is found in the index before the last into the place just located. */
  #locateOld(old: Int32Array, key: Buffer, start: number, end: number, hash: number): boolean {
    const mask = (old.length >> 1) - 1;
    let at = Math.imul(hash, GOLDEN) >>> (this.#shift + 1);
    for (;;) {
      const ref = old[at * 2 + 1]!;
      if (ref === 0) return false;
      if (old[at * 2] === hash && this.#isKey(ref, key, start, end)) {
        closeGap(old, at, this.#shift + 1);
        this.#index[this.#at * 2] = hash;
        this.#index[this.#at * 2 + 1] = ref;
        this.read(ref);
        return true;
      }
      at = (at + 1) & mask;
    }
  }

  #isKey(ref: number, key: Buffer, start: number, end: number): boolean {
    const slab = this.#slabs[ref >>> SLAB_SHIFT]!;
    const unit = ref & SLAB_MASK;
    const length = end - start;
    if (slab.ints[unit * 2 + KEY_LENGTH] !== length) return false;
    const { bytes } = slab;
    const at = unit * 8 + HEADER_BYTES;
    if (length > LOOP_BYTES) return key.compare(bytes, at, at + length, start, end) === 0;
    for (let i = 0; i < length; i += 1) if (bytes[at + i] !== key[start + i]) return false;
    return true;
  }

  /** Reads the row of a block, detached ones included. */
  read(ref: number): void {
    const slab = this.#slabs[ref >>> SLAB_SHIFT]!;
    const unit = ref & SLAB_MASK;
    const { ints } = slab;
    const valueStart = unit * 8 + HEADER_BYTES + ints[unit * 2 + KEY_LENGTH]!;
    this.#ref = ref;
    this.valueBuffer = slab.bytes;
    this.valueStart = valueStart;
    this.valueEnd = valueStart + ints[unit * 2 + VALUE_LENGTH]!;
    this.valueBytesMax = (unit + ints[unit * 2 + UNITS]!) * 8 - valueStart;
    this.timestamp = slab.floats[unit + TIMESTAMP]!;
    this.tag = ints[unit * 2 + TAG]!;
  }

  /** The key of the row read last lies in `valueBuffer`, from here to `valueStart`. */
  get keyStart(): number {
    return (this.#ref & SLAB_MASK) * 8 + HEADER_BYTES;
  }

  /** Writes the located row's value in place; it must fit `valueBytesMax`. */
  overwrite(
    value: Buffer,
    valueStart: number,
    valueEnd: number,
    timestamp: number,
    tag: number,
  ): void {
    const slab = this.#slabs[this.#ref >>> SLAB_SHIFT]!;
    const unit = this.#ref & SLAB_MASK;
    slab.ints[unit * 2 + VALUE_LENGTH] = valueEnd - valueStart;
    slab.ints[unit * 2 + TAG] = tag;
    slab.floats[unit + TIMESTAMP] = timestamp;
    copyBytes(slab.bytes, this.valueStart, value, valueStart, valueEnd);
    this.#writes += 1;
  }

  /** Gives the located row a new block and returns the old one, which is not released. */
  replace(
    value: Buffer,
    valueStart: number,
    valueEnd: number,
    timestamp: number,
    tag: number,
  ): number {
    const old = this.#ref;
    const keyStart = this.keyStart;
    const keyBuffer = this.valueBuffer;
    const keyEnd = this.valueStart;
    const length = valueEnd - valueStart;
    // A growing value gets room for half as much again, so that it moves ever more rarely.
    const room = length > this.valueEnd - this.valueStart ? length >> 1 : 0;
    const ref = this.#newBlock(keyEnd - keyStart, length, room, timestamp, tag);
    this.#fill(ref, keyBuffer, keyStart, keyEnd, value, valueStart, valueEnd);
    this.#index[this.#at * 2 + 1] = ref;
    this.#writes += 1;
    return old;
  }

  /** Adds a row for a key that `locate` did not find. */
  insert(
    key: Buffer,
    start: number,
    end: number,
    hash: number,
    value: Buffer,
    valueStart: number,
    valueEnd: number,
    timestamp: number,
    tag: number,
  ): void {
    const ref = this.#newBlock(end - start, valueEnd - valueStart, 0, timestamp, tag);
    this.#fill(ref, key, start, end, value, valueStart, valueEnd);
    this.#link(ref, hash | 0);
  }

  /** Takes the located row out of the table and returns its block, which is not released. */
  detach(): number {
    const ref = this.#index[this.#at * 2 + 1]!;
    this.#unlink(this.#at);
    this.#writes += 1;
    return ref;
  }

  /** Puts a detached block back, in place of the row that has its key now, if any. */
  attach(ref: number, hash: number): void {
    this.read(ref);
    const keyStart = this.keyStart;
    if (this.locate(this.valueBuffer, keyStart, this.valueStart, hash)) {
      const now = this.#ref;
      this.#index[this.#at * 2 + 1] = ref;
      this.release(now);
      this.#writes += 1;
    } else {
      this.#link(ref, hash | 0);
    }
  }

  /** Gives a detached block back. */
  release(ref: number): void {
    const units = this.#slabs[ref >>> SLAB_SHIFT]!.ints[(ref & SLAB_MASK) * 2 + UNITS]!;
    this.#memory.release(ref, units);
  }

  /** Writes a row for good, without any undo: for restores, and for the undo itself. */
  put(
    key: Buffer,
    start: number,
    end: number,
    hash: number,
    value: Buffer,
    valueStart: number,
    valueEnd: number,
    timestamp: number,
    tag: number,
  ): void {
    if (!this.locate(key, start, end, hash)) {
      this.insert(key, start, end, hash, value, valueStart, valueEnd, timestamp, tag);
    } else if (valueEnd - valueStart <= this.valueBytesMax) {
      this.overwrite(value, valueStart, valueEnd, timestamp, tag);
    } else {
      this.release(this.replace(value, valueStart, valueEnd, timestamp, tag));
    }
  }

  /** Removes a row for good, without any undo. */
  remove(key: Buffer, start: number, end: number, hash: number): boolean {
    if (!this.locate(key, start, end, hash)) return false;
    this.release(this.detach());
    return true;
  }

  /** Sets every row's tag to 0. */
  clearTags(): void {
    for (const ref of this.refs()) this.clearTag(ref);
  }

  /** Sets the tag of one block to 0, detached ones included. */
  clearTag(ref: number): void {
    this.#slabs[ref >>> SLAB_SHIFT]!.ints[(ref & SLAB_MASK) * 2 + TAG] = 0;
  }

  /** The blocks of all rows, in no order. */
  refs(): number[] {
    const refs: number[] = [];
    for (const index of [this.#index, this.#old]) {
      if (index === null) continue;
      for (let i = 1; i < index.length; i += 2) if (index[i] !== 0) refs.push(index[i]!);
    }
    return refs;
  }

  /** Blocks of all rows in the order of their keys' bytes. */
  sortedRefs(): number[] {
    return this.refs().sort((a, b) => this.#compare(a, b));
  }

  #compare(a: number, b: number): number {
    const left = this.#slabs[a >>> SLAB_SHIFT]!;
    const right = this.#slabs[b >>> SLAB_SHIFT]!;
    const unitA = a & SLAB_MASK;
    const unitB = b & SLAB_MASK;
    const lengthA = left.ints[unitA * 2 + KEY_LENGTH]!;
    const lengthB = right.ints[unitB * 2 + KEY_LENGTH]!;
    const atA = unitA * 8 + HEADER_BYTES;
    const atB = unitB * 8 + HEADER_BYTES;
    const shared = lengthA < lengthB ? lengthA : lengthB;
    for (let i = 0; i < shared; i += 1) {
      const difference = left.bytes[atA + i]! - right.bytes[atB + i]!;
      if (difference !== 0) return difference;
    }
    return lengthA - lengthB;
  }

  #newBlock(
    keyLength: number,
    valueLength: number,
    room: number,
    timestamp: number,
    tag: number,
  ): number {
    const units = roundUnits(Math.ceil((HEADER_BYTES + keyLength + valueLength + room) / 8));
    const ref = this.#memory.allocate(units);
    const slab = this.#slabs[ref >>> SLAB_SHIFT]!;
    const unit = ref & SLAB_MASK;
    const { ints } = slab;
    ints[unit * 2 + KEY_LENGTH] = keyLength;
    ints[unit * 2 + VALUE_LENGTH] = valueLength;
    ints[unit * 2 + UNITS] = units;
    ints[unit * 2 + TAG] = tag;
    slab.floats[unit + TIMESTAMP] = timestamp;
    return ref;
  }

  #fill(
    ref: number,
    key: Buffer,
    start: number,
    end: number,
    value: Buffer,
    valueStart: number,
    valueEnd: number,
  ): void {
    const { bytes } = this.#slabs[ref >>> SLAB_SHIFT]!;
    const at = (ref & SLAB_MASK) * 8 + HEADER_BYTES;
    copyBytes(bytes, at, key, start, end);
    copyBytes(bytes, at + (end - start), value, valueStart, valueEnd);
  }

  /** Enters a block whose key is not in the index; the located place must be the key's. */
  #link(ref: number, hash: number): void {
    if (this.#size >= this.#grows) this.#grow();
    if (this.#old !== null) {
      this.#migrate(this.#old);
      this.#at = this.#placeOf(hash);
    }
    this.#index[this.#at * 2] = hash;
    this.#index[this.#at * 2 + 1] = ref;
    this.#size += 1;
    this.#writes += 1;
  }

  /** The first empty place for a hash. */
  #placeOf(hash: number): number {
    const index = this.#index;
    let at = Math.imul(hash, GOLDEN) >>> this.#shift;
    while (index[at * 2 + 1] !== 0) at = (at + 1) & this.#mask;
    return at;
  }

  #unlink(at: number): void {
    closeGap(this.#index, at, this.#shift);
    this.#size -= 1;
  }

  /** I5. */
  #grow(): void {
    const places = this.#index.length;
    invariant(places <= 2 ** 30, 'a table has too many rows', { size: this.#size });
    while (this.#old !== null) this.#migrate(this.#old);
    this.#old = this.#index;
    this.#emptied = 0;
    this.#index = new Int32Array(places * 2);
    this.#mask = places - 1;
    this.#shift -= 1;
    this.#grows = Math.floor((places / 8) * 5);
  }

  /**
   * Empties the next places of the old index. Places come from the high bits of the mixed hash, so a
   * run of the old index lands in the run of twice its place, and rows are not touched.
   */
  #migrate(old: Int32Array): void {
    const places = old.length >> 1;
    const to = Math.min(places, this.#emptied + MIGRATED_AT_ONCE);
    for (; this.#emptied < to; this.#emptied += 1) {
      const at = this.#emptied;
      // Closing the gap may bring the next row here.
      for (let ref = old[at * 2 + 1]!; ref !== 0; ref = old[at * 2 + 1]!) {
        const hash = old[at * 2]!;
        closeGap(old, at, this.#shift + 1);
        const place = this.#placeOf(hash);
        this.#index[place * 2] = hash;
        this.#index[place * 2 + 1] = ref;
      }
    }
    if (to === places) this.#old = null;
  }
}

/**
 * Takes a row out of an index and closes the gap, so that a probe may stop at the first empty place:
 * no tombstones pile up.
 */
function closeGap(index: Int32Array, gap: number, shift: number): void {
  const mask = (index.length >> 1) - 1;
  for (let at = (gap + 1) & mask; index[at * 2 + 1] !== 0; at = (at + 1) & mask) {
    const home = Math.imul(index[at * 2]!, GOLDEN) >>> shift;
    // A row may move to the gap if the gap lies between its home and its place.
    if (((at - home) & mask) < ((at - gap) & mask)) continue;
    index[gap * 2] = index[at * 2]!;
    index[gap * 2 + 1] = index[at * 2 + 1]!;
    gap = at;
  }
  index[gap * 2 + 1] = 0;
}
