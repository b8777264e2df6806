/** Breaks one rule while the sources are loaded: no file changes, and nothing is left behind. */
import { join } from 'node:path';
import type { Mutant } from './mutant.ts';
import { MUTANTS } from './table.ts';

export function mutantNamed(name: string): Mutant {
  const mutant = MUTANTS.find((each) => each.name === name);
  if (mutant === undefined) throw new Error(`there is no mutant '${name}'`);
  return mutant;
}

/** The mutated text; throws unless what is to be replaced stands exactly once. */
export function mutate({ name, file, find, replace }: Mutant, text: string): string {
  const parts = text.split(find);
  if (parts.length !== 2) {
    throw new Error(`mutant '${name}': its text stands ${parts.length - 1} times in ${file}`);
  }
  return parts.join(replace);
}

/** A vite plugin that replaces the text of the mutant's file, a path from the repository's root. */
export function mutantPlugin(name: string, root = process.cwd()) {
  const mutant = mutantNamed(name);
  const path = join(root, mutant.file);
  return {
    name: `mutant-${name}`,
    enforce: 'pre' as const,
    transform(code: string, id: string): string | null {
      return id === path ? mutate(mutant, code) : null;
    },
  };
}
