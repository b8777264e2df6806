/** The proof can fail: each rule of exactly-once, broken alone, turns the test of that rule red. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { killsByTest, runTests } from './named-test.ts';
import { mutate } from './plugin.ts';
import { MUTANTS } from './table.ts';

describe('mutants', () => {
  test('each has a name of its own and a text that stands once in its file', () => {
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
    for (const mutant of MUTANTS) {
      const text = readFileSync(mutant.file, 'utf8');
      expect(mutate(mutant, text), mutant.name).not.toBe(text);
    }
  });

  test('without a mutant every one of the tests passes', async () => {
    const files = [...new Set(MUTANTS.map(({ tests }) => tests))];
    const titles = [...new Set(MUTANTS.map(({ kills }) => kills))];
    const { outcomes, output } = await runTests({ name: 'control', files, titles, mutant: null });
    expect(
      outcomes.filter(({ status }) => status !== 'passed'),
      output,
    ).toEqual([]);
    for (const title of titles) {
      expect(
        outcomes.some((each) => each.title.includes(title)),
        title,
      ).toBe(true);
    }
  });

  describe.concurrent('each is noticed', () => {
    test.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))('%s', async (_, mutant) => {
      expect(await killsByTest(mutant)).toContain(mutant.kills);
    });
  });
});
