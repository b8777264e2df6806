/**
 * `npm run mutants`: breaks each rule of the core alone and lets the simulator look for it, seed after
 * seed; what no seed notices, the named test of the rule must. Then breaks the evidence that the
 * oracle reads, in every way that should show. A mutant that lives means that the proof cannot fail.
 */
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import type { Hunted } from './hunt.ts';
import { killsByTest } from './named-test.ts';
import { judgeOracleMutants } from './oracle-mutants.ts';
import { MUTANTS, type Mutant } from './table.ts';

interface Options {
  readonly mutant?: string;
  readonly seeds: number;
  readonly jobs: number;
  readonly json: boolean;
}

interface Verdict {
  readonly name: string;
  /** Null: it lives. */
  readonly killedBy: string | null;
}

/** A seed takes a tenth of a second; one that takes this long goes round in a circle. */
const SEED_MS_MOST = 60_000;

const say = (text: string): void => void process.stderr.write(`${text}\n`);

function parse(): Options {
  const whole = (text: string): number => {
    if (Number.isSafeInteger(Number(text)) && Number(text) >= 1) return Number(text);
    throw new InvalidArgumentError('a whole number from 1 is needed');
  };
  const known = (name: string): string => {
    if (MUTANTS.some((each) => each.name === name)) return name;
    throw new InvalidArgumentError(`known: ${MUTANTS.map((each) => each.name).join(', ')}`);
  };
  return new Command('npm run mutants --')
    .description('Breaks each rule of the core, and the evidence of the oracle, and sees it found.')
    .option('--mutant <name>', 'only this one', known)
    .option('--seeds <n>', 'seeds to try before the named test of the rule', whole, 500)
    .option('--jobs <n>', 'processes', whole, availableParallelism())
    .option('--json', 'print one last line of JSON', false)
    .parse()
    .opts<Options>();
}

async function main(): Promise<number> {
  const { mutant, seeds, jobs, json } = parse();
  const waiting = MUTANTS.filter(({ name }) => (mutant ?? name) === name);
  const core: Verdict[] = [];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const verdict = await verdictOn(next, seeds);
      core.push(verdict);
      say(`${verdict.name}: ${verdict.killedBy ?? 'LIVES'}`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  const oracle = mutant === undefined ? await judgeOracleMutants() : [];
  for (const { name, killedBy } of oracle) say(`oracle, ${name}: ${killedBy ?? 'LIVES'}`);
  const count = (verdicts: readonly Verdict[]) => ({
    mutants: verdicts.length,
    killed: verdicts.filter(({ killedBy }) => killedBy !== null).length,
  });
  const summary = { core: count(core), oracle: count(oracle) };
  say(
    `core: ${summary.core.killed} of ${summary.core.mutants} killed, ` +
      `oracle: ${summary.oracle.killed} of ${summary.oracle.mutants}`,
  );
  if (json) process.stdout.write(`${JSON.stringify(summary)}\n`);
  const lives = [...core, ...oracle].filter(({ killedBy }) => killedBy === null);
  return lives.length === 0 ? 0 : 1;
}

async function verdictOn(mutant: Mutant, seeds: number): Promise<Verdict> {
  const { killedBy, violation } = await huntIn(mutant, seeds);
  if (killedBy !== null) return { name: mutant.name, killedBy: `${killedBy}: ${violation}` };
  return { name: mutant.name, killedBy: await killsByTest(mutant) };
}

/** In a process of its own, which may hang or die of what it does: that is noticed, too. */
function huntIn(mutant: Mutant, seeds: number): Promise<Hunted> {
  const script = fileURLToPath(new URL('./hunt-one.js', import.meta.url));
  const child = fork(script, [mutant.name, String(seeds)], { silent: true });
  let seed = 0;
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (piece: Buffer) => {
      output = (output + piece.toString()).slice(-1_000);
    });
  }
  return new Promise((resolve) => {
    const settle = (hunted: Hunted): void => {
      clearTimeout(watchdog);
      child.kill('SIGKILL');
      resolve(hunted);
    };
    const noticed = (violation: string): void =>
      settle({ killedBy: seed === 0 ? null : `seed ${seed}`, violation, seeds: seed });
    let watchdog = setTimeout(() => {}, 0);
    const watch = (): void => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => noticed('the run does not end'), SEED_MS_MOST);
    };
    watch();
    child.on('message', (message: { seed?: number; hunted?: Hunted }) => {
      if (message.seed !== undefined) {
        seed = message.seed;
        watch();
      }
      if (message.hunted !== undefined) settle(message.hunted);
    });
    child.on('exit', () => noticed(`the process died: ${output.trim().split('\n').at(-1)}`));
  });
}

process.exitCode = await main();
