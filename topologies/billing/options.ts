/** The command line of the billing run, checked before anything starts. */
import { Command, InvalidArgumentError } from 'commander';
import { addressesOf } from './bootstrap.ts';

export interface BillingOptions {
  readonly events: number;
  readonly customers: number;
  readonly instances: number;
  readonly kills: number;
  readonly seed: number;
  /** `host:port`, or several separated by commas; null: the embedded one. */
  readonly broker: string | null;
  readonly registry: string | null;
  readonly input: string | null;
  readonly invoices: string | null;
  readonly json: boolean;
  readonly keep: boolean;
}

const DEFAULT_EVENTS = 100_000;
const DEFAULT_CUSTOMERS = 500;
const DEFAULT_SEED = 1;

/** Thrown for a command line that cannot be used; the text is for the user. */
export class UsageError extends Error {}

/** Parses; throws `UsageError`, or prints help and exits as commander does for `--help`. */
export function parseOptions(args: readonly string[]): BillingOptions {
  const command = new Command('npm start --')
    .description(
      'Bills usage events exactly once while the processes that do it are being killed, and checks ' +
        'every invoice against a plain fold of the input.',
    )
    .option(
      '--events <n>',
      `usage events to write (default ${DEFAULT_EVENTS})`,
      whole(1, 50_000_000),
    )
    .option('--customers <n>', `customers (default ${DEFAULT_CUSTOMERS})`, whole(1, 1_000_000))
    .option('--instances <n>', 'processes that bill', whole(1, 16), 2)
    .option('--kills <n>', 'times that a process is killed with SIGKILL', whole(0, 1_000), 3)
    .option(
      '--seed <n>',
      `seed of events and kills (default ${DEFAULT_SEED})`,
      whole(0, 2 ** 31 - 1),
    )
    .option(
      '--broker <host:port>',
      'a Kafka to use instead of the embedded broker; several of its brokers: host:port,host:port',
      addresses,
    )
    .option('--registry <url>', 'a Confluent-compatible registry instead of the own one', url)
    .option('--input <file>', 'bill the events of this file, one JSON object a line')
    .option('--invoices <file>', 'write the committed invoices, one JSON object a line')
    .option('--json', 'print one last line of JSON instead of the table', false)
    .option('--keep', 'keep topics and group; an embedded broker stays up until Ctrl-C', false)
    .allowExcessArguments(true)
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  try {
    command.parse(args, { from: 'user' });
  } catch (error) {
    throw asUsageError(error);
  }
  const [bare] = command.args;
  if (bare !== undefined) {
    throw new UsageError(
      `'${bare}' is not an option. Options follow --, for instance: npm start -- --events 1000`,
    );
  }
  return complete(command.opts());
}

type Given = Partial<BillingOptions>;

function complete(given: Given): BillingOptions {
  if (given.input !== undefined) {
    const clashing = (['events', 'customers', 'seed'] as const).filter(
      (name) => given[name] !== undefined,
    );
    if (clashing.length > 0) {
      const names = clashing.map((name) => `--${name}`).join(', ');
      throw new UsageError(`--input bills the events of a file: ${names} cannot be given with it.`);
    }
  }
  return {
    events: given.events ?? DEFAULT_EVENTS,
    customers: given.customers ?? DEFAULT_CUSTOMERS,
    instances: given.instances!,
    kills: given.kills!,
    seed: given.seed ?? DEFAULT_SEED,
    broker: given.broker ?? null,
    registry: given.registry ?? null,
    input: given.input ?? null,
    invoices: given.invoices ?? null,
    json: given.json ?? false,
    keep: given.keep ?? false,
  };
}

/** Help is not an error: it has been printed, and the run ends well. */
export class HelpShown extends Error {}

function asUsageError(error: unknown): Error {
  const { code, message } = error as { code?: string; message: string };
  if (code === 'commander.helpDisplayed' || code === 'commander.help') return new HelpShown();
  return new UsageError(`${message.replace(/^error: /, '')} (npm start -- --help lists all)`);
}

function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
    }
    return value;
  };
}

function addresses(text: string): string {
  for (const address of addressesOf(text)) {
    const port = Number(/^[^\s:]+:(\d{1,5})$/.exec(address)?.[1] ?? Number.NaN);
    if (!(port > 0 && port < 65_536)) {
      throw new InvalidArgumentError(
        'It must be host:port, for instance 127.0.0.1:9092, or several separated by commas.',
      );
    }
  }
  return text;
}

function url(text: string): string {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) {
    throw new InvalidArgumentError('It must be an http or https URL.');
  }
  return text;
}
