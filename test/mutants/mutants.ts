/**
 * `npm run mutants`: breaks each rule alone and sees it noticed. The core's rules must be noticed by the
 * simulation, in a named case or in one of the first 500 seeds; what no simulation can see, by the named
 * test of the rule. Then breaks the evidence that the oracle reads, in every way that should show. A
 * mutant that lives means that the proof cannot fail.
 *
 * What noticed a mutant is kept in `killers.json` by `--update` and tried first from then on; when it
 * does not notice any more, the hunt begins anew.
 */
import { fork } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import type { Hunted } from './hunt.ts';
import type { Mutant } from './mutant.ts';
import { killsByTest } from './named-test.ts';
import { judgeOracleMutants } from './oracle-mutants.ts';
import { MUTANTS } from './table.ts';

interface Options {
  readonly mutant?: string;
  readonly seeds: number;
  readonly jobs: number;
  readonly core: boolean;
  readonly update: boolean;
  readonly json: boolean;
}

interface Verdict {
  readonly name: string;
  /** Null: it lives. */
  readonly killedBy: string | null;
}

type Killers = Record<string, string>;

const KILLERS = join('test', 'mutants', 'killers.json');
/** A seed takes a tenth of a second; one that takes this long goes round in a circle. */
const RUN_MS_MOST = 60_000;

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
    .option('--seeds <n>', 'seeds to try', whole, 500)
    .option('--jobs <n>', 'processes', whole, availableParallelism())
    .option('--core', 'leave out those that only named tests can notice', false)
    .option('--update', 'keep what noticed each in killers.json', false)
    .option('--json', 'print one last line of JSON', false)
    .parse()
    .opts<Options>();
}

async function main(): Promise<number> {
  const { mutant, seeds, jobs, core: coreAlone, update, json } = parse();
  const killers = JSON.parse(readFileSync(KILLERS, 'utf8')) as Killers;
  const asked = MUTANTS.filter(({ name }) => (mutant ?? name) === name);
  const core: Verdict[] = [];
  const named: Verdict[] = [];
  const waiting = asked.filter(({ unseen }) => !coreAlone || unseen === undefined);
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { name, unseen } = next;
      const killedBy =
        unseen === undefined ? await simulated(next, { seeds, killers }) : await killsByTest(next);
      (unseen === undefined ? core : named).push({ name, killedBy });
      say(`${name}: ${killedBy ?? 'LIVES'}`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  if (update) writeFileSync(KILLERS, `${JSON.stringify(sorted(killers), null, 2)}\n`);
  const oracle = mutant === undefined ? await judgeOracleMutants() : [];
  for (const { name, killedBy } of oracle) say(`oracle, ${name}: ${killedBy ?? 'LIVES'}`);
  return told({ core, named, oracle }, json);
}

function told(
  verdicts: Record<'core' | 'named' | 'oracle', readonly Verdict[]>,
  json: boolean,
): number {
  const count = (of: readonly Verdict[]) => ({
    mutants: of.length,
    killed: of.filter(({ killedBy }) => killedBy !== null).length,
  });
  const [core, named, oracle] = [
    count(verdicts.core),
    count(verdicts.named),
    count(verdicts.oracle),
  ];
  say(
    `core: ${core.killed} of ${core.mutants} killed by the simulation, ` +
      `${named.killed} of ${named.mutants} others by named tests, ` +
      `oracle: ${oracle.killed} of ${oracle.mutants}`,
  );
  if (json) process.stdout.write(`${JSON.stringify({ core, oracle })}\n`);
  const live = [core, named, oracle].some(({ mutants, killed }) => killed < mutants);
  return live ? 1 : 0;
}

/** What noticed it, and how it showed. Keeps the killer in `killers`. */
async function simulated(
  mutant: Mutant,
  { seeds, killers }: { seeds: number; killers: Killers },
): Promise<string | null> {
  const { name } = mutant;
  const { killedBy, violation } = await huntIn(mutant, seeds, killers[name] ?? null);
  if (killedBy === null) delete killers[name];
  else killers[name] = killedBy;
  return killedBy === null ? null : `${killedBy}: ${violation}`;
}

function sorted(killers: Killers): Killers {
  const known = Object.entries(killers).filter(([name]) =>
    MUTANTS.some((mutant) => mutant.name === name && mutant.unseen === undefined),
  );
  return Object.fromEntries(known.sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** In a process of its own, which may hang or die of what it does: that is noticed, too. */
function huntIn(mutant: Mutant, seeds: number, first: string | null): Promise<Hunted> {
  const script = fileURLToPath(new URL('./hunt-one.js', import.meta.url));
  const args = [mutant.name, String(seeds), ...(first === null ? [] : [first])];
  const child = fork(script, args, { silent: true });
  let run: string | null = null;
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
    const noticed = (violation: string): void => settle({ killedBy: run, violation });
    let watchdog = setTimeout(() => {}, 0);
    const watch = (): void => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => noticed('the run does not end'), RUN_MS_MOST);
    };
    watch();
    child.on('message', (message: { run?: string; hunted?: Hunted }) => {
      if (message.run !== undefined) {
        run = message.run;
        watch();
      }
      if (message.hunted !== undefined) settle(message.hunted);
    });
    // Not `exit`: what it found is heard before.
    child.on('close', () => noticed(`the process died: ${output.trim().split('\n').at(-1)}`));
  });
}

process.exitCode = await main();
