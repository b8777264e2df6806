/**
 * `npm run sim`: random faults from seeds, on as many cores as there are.
 *
 * Seeds are numbered; the same number gives the same run. A seed that fails is shrunk and kept in
 * `test/simulation/regressions`, and the line printed with it runs it again.
 */
import { availableParallelism } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';
import { EFFECT_KINDS, FAULT_KINDS } from '../../src/simulation/faults.ts';
import { shrink } from '../../src/simulation/shrink.ts';
import { simulate } from '../../src/simulation/simulation.ts';
import { runPool } from './pool.ts';
import { keepRegression } from './regression-files.ts';
import type { SeedVerdict } from './seed-run.ts';
import { WORKLOADS, workloadOf, workloadOfSeed } from './workloads.ts';

interface SimOptions {
  readonly seeds: number;
  readonly seed: number;
  readonly workload?: string;
  readonly jobs: number;
  readonly fresh: boolean;
  readonly trace: boolean;
  readonly json: boolean;
}

interface Summary {
  seeds: number;
  faults: number;
  violations: number;
  events: number;
  hash: string;
  elapsedMs: number;
  /** The seeds that failed: how to run each again, and what was wrong. */
  failed: readonly string[];
  /** By kind, effects included, which `faults` leaves out. */
  kinds: Readonly<Record<string, number>>;
}

const SEED_MAX = 2 ** 31 - 1;

const say = (text: string): void => void process.stderr.write(`${text}\n`);

function parse(): SimOptions {
  const whole = (least: number) => (text: string) => {
    const value = Number(text);
    if (Number.isSafeInteger(value) && value >= least && value <= SEED_MAX) return value;
    throw new InvalidArgumentError(`a whole number from ${least} to ${SEED_MAX} is needed`);
  };
  const known = (name: string): string => {
    if (WORKLOADS.some((each) => each.name === name)) return name;
    throw new InvalidArgumentError(`known: ${WORKLOADS.map((each) => each.name).join(', ')}`);
  };
  return new Command('npm run sim --')
    .description(
      'Runs applications over the embedded broker in virtual time while processes, connections and ' +
        'user code fail at random, and checks every committed byte against a model.',
    )
    .option('--seeds <n>', 'seeds to run', whole(1), 200)
    .option('--seed <n>', 'the first one', whole(0), 1)
    .option('--workload <name>', 'only this one; default: all in turn', known)
    .option('--jobs <n>', 'threads', whole(1), availableParallelism())
    .option('--fresh', 'begin at a random seed, which is printed', false)
    .option('--trace', 'print everything that happens; for one seed', false)
    .option('--json', 'print one last line of JSON', false)
    .parse()
    .opts<SimOptions>();
}

async function main(): Promise<number> {
  const options = parse();
  const first = options.fresh ? Math.floor(Math.random() * (SEED_MAX / 2)) : options.seed;
  if (options.trace) return traceOf(first, options.workload);
  if (options.fresh) say(`seeds from ${first}`);
  const began = performance.now();
  const verdicts = await runAll(first, options);
  const failed = verdicts.filter(({ violations }) => violations.length > 0);
  for (const verdict of failed) await report(verdict);
  const kinds = kindsOf(verdicts);
  const summary: Summary = {
    seeds: verdicts.length,
    faults: FAULT_KINDS.reduce((sum, kind) => sum + kinds[kind]!, 0),
    violations: failed.length,
    events: verdicts.reduce((sum, { events }) => sum + events, 0),
    hash: combined(verdicts),
    elapsedMs: Math.round(performance.now() - began),
    failed: failed.map((verdict) => `${again(verdict)}: ${verdict.violations.join('; ')}`),
    kinds,
  };
  say(shown(summary, verdicts));
  if (options.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
  return failed.length === 0 && verdicts.length === options.seeds ? 0 : 1;
}

/** Every seed's verdict, in the order of the seeds; those of an interrupted run as far as it came. */
async function runAll(first: number, options: SimOptions): Promise<SeedVerdict[]> {
  const { seeds, workload, jobs } = options;
  const verdicts = await runPool<SeedVerdict>({
    jobs: Array.from({ length: seeds }, (_, at) => ({
      kind: 'seed',
      run: { seed: first + at, workload },
    })),
    threads: jobs,
    total: seeds,
    isFailed: (verdict) => (verdict as SeedVerdict).violations.length > 0,
    came: (verdict) => tell(verdict as SeedVerdict),
    say,
  });
  return verdicts.sort((one, other) => one.scenario.seed - other.scenario.seed);
}

function tell(verdict: SeedVerdict): void {
  const { workload, scenario, violations, hash } = verdict;
  if (violations.length === 0) return;
  say(`seed ${scenario.seed} (${workload}, hash ${hash}) failed:`);
  for (const violation of violations) say(`  ${violation}`);
  say(`  again: ${again(verdict)}`);
}

function again({ workload, scenario }: SeedVerdict): string {
  return `npm run sim -- --seeds 1 --seed ${scenario.seed} --workload ${workload}`;
}

async function report({ workload, scenario, violations }: SeedVerdict): Promise<void> {
  const smallest = await shrink(scenario, {
    run: (candidate) => simulate({ workload: workloadOf(workload), ...candidate }),
  });
  const file = keepRegression('.', { workload, violations, scenario: smallest });
  const { records, instances, faultsMs } = smallest;
  say(
    `seed ${scenario.seed}: shrunk to ${records} records, ${instances} processes, ${faultsMs} ms: ${file}`,
  );
}

async function traceOf(seed: number, name?: string): Promise<number> {
  const workload = name === undefined ? workloadOfSeed(seed) : workloadOf(name);
  const { lines, violations } = await simulate({ workload, seed, history: 'kept' });
  process.stdout.write(`${[...lines, ...violations].join('\n')}\n`);
  return violations.length === 0 ? 0 : 1;
}

function shown(summary: Summary, verdicts: readonly SeedVerdict[]): string {
  const { seeds, faults, violations, events, hash, elapsedMs, kinds } = summary;
  const listed = (names: readonly string[]) =>
    names.map((kind) => `${kind} ${kinds[kind]}`).join(', ');
  const twice = verdicts.filter(({ runs }) => runs === 2).length;
  return (
    `${seeds} seeds (${twice} of them run twice), ${faults} faults (${listed(FAULT_KINDS)}), ` +
    `which led to ${listed(EFFECT_KINDS)}; ${events} events, hash ${hash}, ` +
    `${Math.round(elapsedMs / 1000)} s: ${violations} seeds failed`
  );
}

/** Zeroes included. */
function kindsOf(verdicts: readonly SeedVerdict[]): Record<string, number> {
  const kinds: Record<string, number> = {};
  for (const kind of [...FAULT_KINDS, ...EFFECT_KINDS]) kinds[kind] = 0;
  for (const { faults } of verdicts) {
    for (const [kind, count] of Object.entries(faults)) kinds[kind] = (kinds[kind] ?? 0) + count;
  }
  return kinds;
}

/** One hash over those of all seeds, in their order. */
function combined(verdicts: readonly SeedVerdict[]): string {
  let hash = 0x811c9dc5;
  for (const character of verdicts.map((each) => each.hash).join('')) {
    hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
  }
  return (hash >>> 0).toString(16).padStart(8, '0');
}

process.exitCode = await main();
