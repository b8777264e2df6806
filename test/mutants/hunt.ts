/**
 * Simulated cases and seeds against a broken rule, until one of them notices. Loaded through vite with
 * the mutant's plugin (`hunt-one.ts`), so what runs is the broken source.
 */
import { CASES } from '../simulation/cases.ts';
import { runSeed } from '../simulation/seed-run.ts';
import { workloadOfSeed } from '../simulation/workloads.ts';

export interface Hunted {
  /** `seed 17 of transfer` or `case '…'`; null: nothing noticed. */
  readonly killedBy: string | null;
  readonly violation: string;
}

export interface HuntOptions {
  /** What noticed it the last time, tried first; null: not known. */
  readonly first: string | null;
  readonly seedsMost: number;
  /** Hears of each run before it begins, so that one that never ends is known. */
  readonly beforeRun: (name: string) => void;
}

/** Keys and values may be long and no text. */
const shown = (violation: string): string => violation.slice(0, 300).replace(/[^\x20-\x7e]/g, '.');

/** First what is known to notice, then the named cases, then seeds from 1 on. */
export async function hunt({ first, seedsMost, beforeRun }: HuntOptions): Promise<Hunted> {
  for (const name of candidates(first, seedsMost)) {
    beforeRun(name);
    const [violation] = await violationsOf(name);
    if (violation === undefined) continue;
    return { killedBy: name, violation: shown(violation) };
  }
  return { killedBy: null, violation: '' };
}

function* candidates(first: string | null, seedsMost: number): Generator<string> {
  if (first !== null) yield first;
  for (const { name } of CASES) yield `case '${name}'`;
  for (let seed = 1; seed <= seedsMost; seed++)
    yield `seed ${seed} of ${workloadOfSeed(seed).name}`;
}

async function violationsOf(name: string): Promise<readonly string[]> {
  const [, seed, workload] = /^seed (\d+) of (.+)$/.exec(name) ?? [];
  if (seed !== undefined) return (await runSeed({ seed: Number(seed), workload })).violations;
  const found = CASES.find((each) => name === `case '${each.name}'`);
  // A case that is no more kills nothing; the others are tried.
  return found === undefined ? [] : found.run();
}
