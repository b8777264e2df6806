/**
 * `npm run sweep`: every request of small runs with everything that can become of it, one at a time.
 * Prints how much of the grid was run: all of it, or the run has failed.
 */
import { availableParallelism } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';
import { type SweepVerdict, sweepCases } from '../../src/simulation/sweep.ts';
import { runPool } from './pool.ts';
import { nameOf, SWEEP_SETTINGS, type SweepSetting, sweepOptionsOf } from './sweep-settings.ts';

interface Options {
  readonly workload?: string;
  readonly jobs: number;
  readonly json: boolean;
}

interface Row {
  readonly setting: string;
  readonly grid: number;
  readonly run: number;
  readonly failed: number;
}

const say = (text: string): void => void process.stderr.write(`${text}\n`);

function parse(): Options {
  const jobs = (text: string): number => {
    if (Number.isSafeInteger(Number(text)) && Number(text) >= 1) return Number(text);
    throw new InvalidArgumentError('a whole number from 1 is needed');
  };
  const names = new Set(SWEEP_SETTINGS.map(({ workload }) => workload));
  const known = (name: string): string => {
    if (names.has(name)) return name;
    throw new InvalidArgumentError(`known: ${[...names].join(', ')}`);
  };
  return new Command('npm run sweep --')
    .description(
      'Runs small applications once for every request that they send and everything that can ' +
        'become of it: a crash before, during or after it, a lost, late or doubled message, every ' +
        'error code that a broker may answer. Checks every committed byte against a model.',
    )
    .option('--workload <name>', 'only this one', known)
    .option('--jobs <n>', 'threads', jobs, availableParallelism())
    .option('--json', 'print one last line of JSON', false)
    .parse()
    .opts<Options>();
}

async function main(): Promise<number> {
  const { workload, jobs, json } = parse();
  const settings = SWEEP_SETTINGS.filter((each) => (workload ?? each.workload) === each.workload);
  const rows: Row[] = [];
  for (const setting of settings) rows.push(await sweep(setting, jobs));
  for (const { setting, grid, run, failed } of rows) {
    say(
      `${setting}: ${run} of ${grid} cases (${Math.floor((100 * run) / grid)} %), ${failed} failed`,
    );
  }
  const sum = (count: (row: Row) => number) => rows.reduce((total, row) => total + count(row), 0);
  const total = {
    grid: sum(({ grid }) => grid),
    run: sum(({ run }) => run),
    violations: sum(({ failed }) => failed),
  };
  if (json) process.stdout.write(`${JSON.stringify(total)}\n`);
  return total.run === total.grid && total.violations === 0 ? 0 : 1;
}

async function sweep(setting: SweepSetting, threads: number): Promise<Row> {
  const name = nameOf(setting);
  const cases = await sweepCases(sweepOptionsOf(setting));
  say(`${name}: ${cases.length} cases`);
  const verdicts = await runPool<SweepVerdict>({
    jobs: cases.map((swept) => ({ kind: 'case', setting, swept })),
    threads,
    total: cases.length,
    isFailed: (verdict) => (verdict as SweepVerdict).violations.length > 0,
    say,
  });
  const failed = verdicts.filter(({ violations }) => violations.length > 0);
  for (const { title, violations } of failed)
    say(`${name}: ${title}\n  ${violations.join('\n  ')}`);
  return { setting: name, grid: cases.length, run: verdicts.length, failed: failed.length };
}

process.exitCode = await main();
