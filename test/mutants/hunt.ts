/**
 * Simulated seeds and sweep cases against a broken rule, until one of them notices. Loaded through
 * vite with the mutant's plugin (`hunt-one.ts`), so what runs is the broken source.
 */
import { runSeed } from '../simulation/seed-run.ts';

export interface Hunted {
  /** `seed 17 (windows)`; null: nothing noticed. */
  readonly killedBy: string | null;
  readonly violation: string;
  readonly seeds: number;
}

/** Seeds from 1 on. `beforeSeed` hears of each one, so that a seed that never ends is known. */
export async function hunt(seedsMost: number, beforeSeed: (seed: number) => void): Promise<Hunted> {
  for (let seed = 1; seed <= seedsMost; seed++) {
    beforeSeed(seed);
    const { workload, violations } = await runSeed({ seed });
    if (violations.length === 0) continue;
    return { killedBy: `seed ${seed} (${workload})`, violation: violations[0]!, seeds: seed };
  }
  return { killedBy: null, violation: '', seeds: seedsMost };
}
