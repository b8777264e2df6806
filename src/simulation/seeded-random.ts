/**
 * Randomness from a seed: the same seed gives the same numbers, for ever and on every machine.
 *
 * The generator is sfc32 (Chris Doty-Humphrey's PractRand), seeded through splitmix32. `fork` gives
 * an independent generator named after its purpose, so that one part of a simulation that draws a
 * number more does not change what another part draws.
 */
import type { Randomness } from '../ports.ts';

export class SeededRandom implements Randomness {
  readonly #seed: number;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** `seed`: any whole number; its low 32 bits count. */
  constructor(seed: number) {
    this.#seed = seed | 0;
    let state = this.#seed;
    const next = (): number => {
      state = (state + 0x9e3779b9) | 0;
      let mixed = state ^ (state >>> 16);
      mixed = Math.imul(mixed, 0x21f0aaad);
      mixed ^= mixed >>> 15;
      mixed = Math.imul(mixed, 0x735a2d97);
      return (mixed ^ (mixed >>> 15)) | 0;
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    for (let round = 0; round < 12; round++) this.#next();
  }

  /** An independent generator; the same name gives the same one. */
  fork(name: string): SeededRandom {
    let hash = this.#seed ^ 0x811c9dc5;
    for (let at = 0; at < name.length; at++) {
      hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
    }
    return new SeededRandom(hash);
  }

  /** Uniform in [0, 1). */
  fraction(): number {
    return this.#next() / 4_294_967_296;
  }

  bytes(count: number): Buffer {
    const bytes = Buffer.allocUnsafe(count);
    for (let at = 0; at < count; at++) bytes[at] = this.#next() & 0xff;
    return bytes;
  }

  /** Uniform whole number in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.fraction() * bound);
  }

  /** Uniform in [from, to). */
  between(from: number, to: number): number {
    return from + this.fraction() * (to - from);
  }

  /** True with the given probability; draws one number whatever the probability is. */
  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** One of the items; `items` must not be empty. */
  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item;
  }

  #next(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }
}
