/** Numbers that look random and follow from a seed alone. */
export interface Random {
  /** Uniform in [0, 1), in steps of 2^-32. */
  fraction(): number;
  /** A whole number from 0 up to `bound`, which is not included. */
  below(bound: number): number;
}

/** mulberry32: the same numbers for the same seed, on every machine. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return { fraction, below: (bound) => Math.floor(fraction() * bound) };
}
