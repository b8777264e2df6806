/** The proof can fail: what is broken on purpose is found by a seed or a named case. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { MUTANTS } from '../mutants/table.ts';
import { runProgram } from './program.ts';

interface Count {
  readonly mutants: number;
  readonly killed: number;
}

test('the simulation finds every mutant of the core and of the evidence', async () => {
  const { core, oracle } = await runProgram<{ core: Count; oracle: Count }>(
    'test/mutants/mutants.js',
    // The others, which only their named tests can notice, are those of the project `mutants`.
    ['--core'],
  );
  expect(core.killed).toBe(core.mutants);
  expect(core.mutants).toBeGreaterThanOrEqual(30);
  expect(oracle.killed).toBe(oracle.mutants);
  expect(oracle.mutants).toBeGreaterThanOrEqual(20);
});

test('what found a mutant the last time is known for each of the core, and for nobody else', () => {
  const killers = JSON.parse(readFileSync('test/mutants/killers.json', 'utf8'));
  const core = MUTANTS.filter(({ unseen }) => unseen === undefined).map(({ name }) => name);
  const mend = 'npm run mutants -- --core --update';
  expect(Object.keys(killers).sort(), mend).toEqual(core.sort());
});
