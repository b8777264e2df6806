/**
 * Off-heap memory of one table: blocks within byte slabs, named by a 32-bit reference.
 *
 * Owned by a `FlatTable`. A reference counts units of 8 bytes over all slabs, so 32 bits reach
 * 32 GiB; the high bits name the slab, the low bits the unit in it.
 *
 * I1. Reference 0 is no block. A block begins at a multiple of 8 bytes and never spans two slabs.
 * I2. A block is rounded up to its size class; a freed one is handed out again within its class.
 *     Its first word then holds the next free block, so a freed block must not be read.
 * I3. The first slab begins small and grows by copying, since many tables stay small (a window
 *     store has one per window); references do not change by that.
 * I4. A block of more than an eighth of a slab gets memory of its own, which is given back at once.
 */
import { EscapementError } from '../errors.ts';

/** A slab holds 2^17 units: 1 MiB. */
export const SLAB_SHIFT = 17;
export const SLAB_MASK = (1 << SLAB_SHIFT) - 1;
const SLAB_UNITS = 1 << SLAB_SHIFT;
const SLABS_MAX = 2 ** (32 - SLAB_SHIFT);
const UNIT_BYTES = 8;
const FIRST_SLAB_UNITS = 128;
const FIRST_SLAB_GROWTH = 4;
const OWN_SLAB_UNITS = SLAB_UNITS >> 3;

/** Up to this many units each size is a class of its own; above, a doubling has eight classes. */
const EXACT_UNITS = 32;
const EXACT_LOG2 = 5;
const CLASSES = EXACT_UNITS + 8 * 27;

/** Three views of the same memory. */
export class Slab {
  readonly bytes: Buffer;
  readonly ints: Int32Array;
  readonly floats: Float64Array;

  constructor(units: number) {
    this.bytes = Buffer.allocUnsafeSlow(units * UNIT_BYTES);
    const { buffer, byteOffset } = this.bytes;
    this.ints = new Int32Array(buffer, byteOffset, units * 2);
    this.floats = new Float64Array(buffer, byteOffset, units);
  }
}

/** Units of a block that holds `units`: its size class. */
export function roundUnits(units: number): number {
  if (units <= EXACT_UNITS) return units;
  const step = 1 << (28 - Math.clz32(units - 1));
  return Math.ceil(units / step) * step;
}

/** The class of rounded units. */
function classOf(units: number): number {
  if (units <= EXACT_UNITS) return units;
  const log2 = 31 - Math.clz32(units - 1);
  return EXACT_UNITS + (log2 - EXACT_LOG2) * 8 + ((units - (1 << log2)) >> (log2 - 3));
}

export class Slabs {
  /** By the high bits of a reference. */
  readonly slabs: Slab[] = [];
  readonly #free = new Int32Array(CLASSES);
  /** Numbers of given-back slabs of their own, by how many slab numbers they take. */
  readonly #freeSpans = new Map<number, number[]>();
  /** The slab that new blocks are cut from, and its next free unit. */
  #current = -1;
  #next = 0;
  #end = 0;
  #bytes = 0;

  /** Bytes of memory held. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A block of `units`, which must be rounded. Its content is undefined. */
  allocate(units: number): number {
    const list = classOf(units);
    const reused = this.#free[list]!;
    if (reused !== 0) {
      const slab = this.slabs[reused >>> SLAB_SHIFT]!;
      this.#free[list] = slab.ints[(reused & SLAB_MASK) * 2]!;
      return reused;
    }
    if (units > OWN_SLAB_UNITS) return this.#allocateOwn(units);
    if (this.#next + units > this.#end) this.#extend(units);
    const ref = (this.#current << SLAB_SHIFT) | this.#next;
    this.#next += units;
    return ref;
  }

  /** Gives a block back. */
  release(ref: number, units: number): void {
    if (units > OWN_SLAB_UNITS) {
      this.#releaseOwn(ref >>> SLAB_SHIFT, units);
      return;
    }
    const list = classOf(units);
    this.slabs[ref >>> SLAB_SHIFT]!.ints[(ref & SLAB_MASK) * 2] = this.#free[list]!;
    this.#free[list] = ref;
  }

  #extend(units: number): void {
    if (this.#current === 0 && this.#end < SLAB_UNITS) {
      while (this.#next + units > this.#end && this.#end < SLAB_UNITS) {
        this.#end = Math.min(SLAB_UNITS, this.#end * FIRST_SLAB_GROWTH);
      }
      const grown = new Slab(this.#end);
      const { bytes } = this.slabs[0]!;
      bytes.copy(grown.bytes, 0, 0, this.#next * UNIT_BYTES);
      this.#bytes += grown.bytes.length - bytes.length;
      this.slabs[0] = grown;
      if (this.#next + units <= this.#end) return;
    }
    const first = this.slabs.length === 0;
    let size = SLAB_UNITS;
    if (first) {
      size = FIRST_SLAB_UNITS;
      while (size < units + 1) size = Math.min(SLAB_UNITS, size * FIRST_SLAB_GROWTH);
    }
    this.#current = this.#number(1);
    this.slabs[this.#current] = this.#counted(new Slab(size));
    this.#next = this.#current === 0 ? 1 : 0;
    this.#end = size;
  }

  #allocateOwn(units: number): number {
    // Number 0 stays with the slab that begins small, and reference 0 stays no block (I1, I3).
    if (this.slabs.length === 0) this.#extend(1);
    const span = Math.ceil(units / SLAB_UNITS);
    const number = this.#freeSpans.get(span)?.pop() ?? this.#number(span);
    this.slabs[number] = this.#counted(new Slab(units));
    return number << SLAB_SHIFT;
  }

  #releaseOwn(number: number, units: number): void {
    const span = Math.ceil(units / SLAB_UNITS);
    this.#bytes -= this.slabs[number]!.bytes.length;
    this.slabs[number] = NO_SLAB;
    const numbers = this.#freeSpans.get(span);
    if (numbers === undefined) this.#freeSpans.set(span, [number]);
    else numbers.push(number);
  }

  /** The first of `span` slab numbers in a row that were never used. */
  #number(span: number): number {
    const number = this.slabs.length;
    if (number + span > SLABS_MAX) {
      throw new EscapementError(
        'STORE_TOO_LARGE',
        `A store partition holds ${this.#bytes} bytes and cannot address more than 32 GiB: use ` +
          'more partitions for its input, or expire rows.',
      );
    }
    for (let i = 0; i < span; i += 1) this.slabs.push(NO_SLAB);
    return number;
  }

  #counted(slab: Slab): Slab {
    this.#bytes += slab.bytes.length;
    return slab;
  }
}

const NO_SLAB = new Slab(0);
