/** The proof can fail: each rule of exactly-once, broken alone, turns the test of that rule red. */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { mutate } from './plugin.ts';
import { MUTANTS, type Mutant } from './table.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const reports = join(root, '.cache', 'mutants');

interface Outcome {
  readonly title: string;
  readonly status: string;
}

interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly title: string; readonly status: string }[];
  }[];
}

/** Runs tests of some files in a process of their own; those that did not run are left out. */
async function run(
  name: string,
  files: readonly string[],
  title: string,
  mutant: string | null,
): Promise<{ outcomes: Outcome[]; output: string }> {
  const report = join(reports, `${process.pid}-${name}.json`);
  const args = ['run', '--project', 'unit', '--bail', '1', ...files, '-t', title];
  const reporters = ['--reporter=dot', '--reporter=json', `--outputFile.json=${report}`];
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const own = Object.entries(process.env).filter(([key]) => !key.startsWith('VITEST'));
  const env = { ...Object.fromEntries(own), ...(mutant && { ESCAPEMENT_MUTANT: mutant }) };
  const child = spawn(process.execPath, [vitest, ...args, ...reporters], { cwd: root, env });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as Report;
  rmSync(report);
  const outcomes = testResults.flatMap(({ assertionResults }) => assertionResults);
  return { outcomes: outcomes.filter(({ status }) => status !== 'skipped'), output };
}

function pattern(titles: readonly string[]): string {
  const escaped = titles.map((title) => title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return [...new Set(escaped)].join('|');
}

describe('mutants', () => {
  beforeAll(() => mkdirSync(reports, { recursive: true }));

  test('each has a name of its own and a text that stands once in its file', () => {
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
    for (const mutant of MUTANTS) {
      const text = readFileSync(join(root, mutant.file), 'utf8');
      expect(mutate(mutant, text), mutant.name).not.toBe(text);
    }
  });

  test('without a mutant every one of the tests passes', async () => {
    const files = [...new Set(MUTANTS.map(({ tests }) => tests))];
    const titles = [...new Set(MUTANTS.map(({ kills }) => kills))];
    const { outcomes, output } = await run('control', files, pattern(titles), null);
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
    test.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))('%s', (_, mutant) =>
      isNoticed(mutant),
    );
  });
});

async function isNoticed({ name, tests, kills }: Mutant): Promise<void> {
  const { outcomes, output } = await run(name, [tests], pattern([kills]), name);
  const failed = outcomes.filter(({ status }) => status === 'failed');
  if (failed.length === 0) throw new Error(`no test failed under the mutant '${name}':\n${output}`);
  expect(failed[0]!.title).toContain(kills);
}
