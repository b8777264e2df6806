/** `npm run chaos`: exactly once on three real brokers while everything around it fails. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { KafkaVersion } from '../integration/real/kafka.ts';
import { BREAKS } from './broken-transport.ts';
import { tableOf } from './report.ts';
import { ChaosRun, Interrupted } from './run.ts';

const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;
const SEED_MAX = 2 ** 31 - 1;
const RECORDS_PER_MINUTE = 100_000;

interface Given {
  readonly minutes: number;
  readonly seed?: number;
  readonly kafka: KafkaVersion;
  readonly rate: number;
  readonly broken?: string;
  readonly everyFault: boolean;
  readonly keep: boolean;
  readonly json: boolean;
}

const say = (text: string): void => void process.stderr.write(`${text}\n`);

function number(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a number from ${least} to ${most}.`);
  };
}

function parse(args: readonly string[]): Given {
  const command = new Command('npm run chaos --')
    .description(
      'Runs an application of four processes on three real brokers, kills, pauses and restarts ' +
        'processes and brokers, loses requests and answers in between, and holds every emission ' +
        'against a model while it runs and all that is left afterwards.',
    )
    .option('--minutes <n>', 'how long faults are injected', number(0.1, 24 * 60), 10)
    .option('--seed <n>', 'of faults and input (default: a new one, printed)', number(0, SEED_MAX))
    .addOption(
      new Option('--kafka <version>', 'version of the brokers')
        .choices(['3.9.1', '4.3.1'])
        .default('4.3.1'),
    )
    .option('--rate <n>', 'records a minute', number(100, 10_000_000), RECORDS_PER_MINUTE)
    .addOption(
      new Option('--broken <rule>', 'break a rule on purpose: the run must fail').choices([
        ...BREAKS,
      ]),
    )
    .option(
      '--every-fault',
      'go on, for ten more minutes at most, until every kind of fault has struck',
      false,
    )
    .option('--keep', 'keep logs and data of an exact run, too', false)
    .option('--json', 'print one last line of JSON instead of the table', false)
    .allowExcessArguments(false)
    .exitOverride();
  return command.parse(args, { from: 'user' }).opts<Given>();
}

async function main(given: Given): Promise<number> {
  const run = new ChaosRun({
    minutes: given.minutes,
    seed: Math.floor(given.seed ?? Math.random() * SEED_MAX),
    kafka: given.kafka,
    recordsPerMinute: given.rate,
    broken: given.broken ?? null,
    everyFault: given.everyFault,
    keep: given.keep,
    say,
  });
  const interrupt = (): void => run.interrupt();
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  try {
    const report = await run.execute();
    if (!report.isExact) {
      for (const line of run.story()) say(line);
      for (const { kind, text } of run.violations()) say(`${kind.toUpperCase()}: ${text}`);
      for (const problem of report.problems) say(problem);
      const where = given.broken === undefined ? `; logs and data stay in ${run.folder}` : '';
      say(`not exact with seed ${report.seed}${where}`);
    }
    console.log(given.json ? JSON.stringify(report) : tableOf(report));
    return report.isExact ? 0 : 1;
  } catch (error) {
    if (error instanceof Interrupted) return EXIT_INTERRUPTED;
    for (const line of run.story()) say(line);
    say(`logs and data stay in ${run.folder}`);
    throw error;
  } finally {
    await run.close();
  }
}

try {
  process.exitCode = await main(parse(process.argv.slice(2)));
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
  else {
    console.error(error);
    process.exitCode = 1;
  }
}
// Requests to brokers that have gone would keep the process.
process.exit();
