/** The named test of a rule, run in a process of its own, with or without the rule broken. */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Mutant } from './mutant.ts';

interface Outcome {
  readonly title: string;
  readonly status: string;
}

interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly title: string; readonly status: string }[];
  }[];
}

export interface TestRun {
  /** Names its report. */
  readonly name: string;
  readonly files: readonly string[];
  readonly titles: readonly string[];
  readonly mutant: string | null;
}

/** What the tests came to; those that did not run are left out. Runs at the root of the repository. */
export async function runTests(
  run: TestRun,
): Promise<{ outcomes: readonly Outcome[]; output: string }> {
  const root = process.cwd();
  const reports = join(root, '.cache', 'mutants');
  mkdirSync(reports, { recursive: true });
  const report = join(reports, `${process.pid}-${run.name}.json`);
  const title = pattern(run.titles);
  const args = ['run', '--project', 'unit', '--bail', '1', ...run.files, '-t', title];
  const reporters = ['--reporter=dot', '--reporter=json', `--outputFile.json=${report}`];
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const own = Object.entries(process.env).filter(([key]) => !key.startsWith('VITEST'));
  const env = { ...Object.fromEntries(own), ...(run.mutant && { ESCAPEMENT_MUTANT: run.mutant }) };
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

/** How the test of the rule fails when the rule is broken; null: it does not. */
export async function killsByTest({ name, tests, kills }: Mutant): Promise<string | null> {
  const { outcomes } = await runTests({ name, files: [tests], titles: [kills], mutant: name });
  const failed = outcomes.find(({ status }) => status === 'failed');
  return failed?.title.includes(kills) ? `test '${failed.title}' (${tests})` : null;
}

function pattern(titles: readonly string[]): string {
  const escaped = titles.map((title) => title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return [...new Set(escaped)].join('|');
}
