/**
 * The sweep over a user's own topology: every request that it sends, with everything that can become
 * of it, must leave what an undisturbed run leaves. Then random faults from seeds.
 *
 * What is compared: the committed records of each topic that the topology writes, whatever their
 * order across keys, and the last value per key of each changelog. A topology whose results depend
 * on the order in which its partitions are read needs expectations of its own (`check`).
 */
import { EscapementError } from '../errors.ts';
import { murmur2, partitionOf } from '../kafka/records/murmur2.ts';
import type { StartInstanceOptions } from '../runtime/start-instance.ts';
import { NO_FAULTS } from './faults.ts';
import type { CommittedRecord } from './oracle/committed-log.ts';
import type { Input, Outcome } from './oracle/evidence.ts';
import { simulate } from './simulation.ts';
import { runSweepCase, type SweepOptions, sweepCases } from './sweep.ts';
import type { Workload } from './workload.ts';

type Topology = StartInstanceOptions['topology'];

/** An input record in bytes; `partition`: by default the one of its key, 0 without a key. */
export interface CrashTestInput {
  readonly topic: string;
  readonly key: string | Buffer | null;
  readonly value: string | Buffer | null;
  /** Event time in epoch milliseconds; default: 1,000 and one more for each record. */
  readonly timestampMs?: number;
  readonly partition?: number;
}

export interface CrashTestOptions {
  /** Called for every simulated process: processes share no objects. */
  readonly topology: () => Topology | { build(): Topology };
  /** Partitions by topic: inputs, outputs and dead-letter topics. */
  readonly topics: Readonly<Record<string, number>>;
  /** Some ten records that make every operator do something. */
  readonly inputs: readonly CrashTestInput[];
  /** What is wrong with the committed records of a run; default: nothing but what differs. */
  readonly check?: (outcome: Outcome) => readonly string[];
  /** Processes that share the tasks; default 1. */
  readonly instances?: number;
  /** Whose transaction rules the broker has; default: both, one after the other. */
  readonly transactionVersions?: readonly (1 | 2)[];
  /** Runs one case of so many, spread evenly over all; default 1: every one. */
  readonly every?: number;
  /** Runs with random faults after the sweep; default 100. */
  readonly seeds?: number;
  /** Told after each run: how many are done, of how many. */
  readonly progress?: (done: number, total: number) => void;
}

export interface CrashTestReport {
  /** Requests that an undisturbed run sends, with each of the transaction versions. */
  readonly requests: number;
  readonly cases: number;
  readonly seeds: number;
  /** For people: one line for each failure, and one that sums up. */
  readonly text: string;
}

interface Failure {
  readonly title: string;
  readonly violations: readonly string[];
}

const SHOWN_MOST = 20;

/**
 * Runs the sweep and the seeds. Rejects with `CRASH_TEST_FAILED`, whose message names the step, the
 * fault and what differed; with `TOPOLOGY_INVALID` or another error when it cannot run undisturbed.
 */
export async function crashTest(options: CrashTestOptions): Promise<CrashTestReport> {
  const { instances = 1, transactionVersions = [1, 2], every = 1, seeds = 100 } = options;
  const workload = await workloadOf(options);
  const failures: Failure[] = [];
  const plans = await Promise.all(
    transactionVersions.map(async (transactionVersion) => {
      const sweep: SweepOptions = {
        workload,
        instances,
        transactionVersion,
        records: options.inputs.length,
      };
      const cases = await sweepCases(sweep);
      const requests = new Set(cases.map(({ request }) => request)).size;
      return { sweep, requests, cases: cases.filter((_, at) => at % every === 0) };
    }),
  );
  const sum = (count: (plan: (typeof plans)[number]) => number): number =>
    plans.reduce((total, plan) => total + count(plan), 0);
  const cases = sum((plan) => plan.cases.length);
  const requests = sum((plan) => plan.requests);
  let done = 0;
  const ran = (title: string, violations: readonly string[]): void => {
    if (violations.length > 0) failures.push({ title, violations });
    done += 1;
    options.progress?.(done, cases + seeds);
  };
  for (const { sweep, cases: swept } of plans) {
    for (const each of swept) {
      const { title, violations } = await runSweepCase(sweep, each);
      ran(`${title} (transactions v${sweep.transactionVersion})`, violations);
    }
  }
  for (let seed = 1; seed <= seeds; seed++) {
    const { violations } = await simulate({ workload, seed, records: options.inputs.length });
    ran(`random faults of seed ${seed}`, violations);
  }
  const text = textOf({ requests, cases, seeds, failures });
  if (failures.length > 0) throw new EscapementError('CRASH_TEST_FAILED', text);
  return { requests, cases, seeds, text };
}

/** Knows what an undisturbed run commits. */
async function workloadOf(options: CrashTestOptions): Promise<Workload> {
  const inputs = options.inputs.map((input, n) => placed(input, n, options.topics));
  let undisturbed: readonly string[] | null = null;
  const workload: Workload = {
    name: 'crash test',
    topics: options.topics,
    topology: () => {
      const made = options.topology();
      return 'build' in made ? made.build() : made;
    },
    inputs: () => inputs,
    source: () => null,
    check: (outcome) => {
      const lines = linesOf(outcome, options.topics);
      undisturbed ??= lines;
      return [...(options.check?.(outcome) ?? []), ...differences(undisturbed, lines)];
    },
  };
  const { violations } = await simulate({
    workload,
    seed: 1,
    records: inputs.length,
    instances: options.instances ?? 1,
    faults: NO_FAULTS,
  });
  if (violations.length === 0) return workload;
  const text = `The topology is not exact even undisturbed: ${violations.join('; ')}`;
  throw new EscapementError('CRASH_TEST_FAILED', text);
}

function placed(
  { topic, key, value, timestampMs, partition }: CrashTestInput,
  n: number,
  topics: CrashTestOptions['topics'],
): Input {
  const bytes = typeof key === 'string' ? Buffer.from(key) : key;
  const partitions = topics[topic];
  if (partitions === undefined) {
    const text = `An input goes to topic '${topic}', which 'topics' does not name.`;
    throw new EscapementError('OPTION_INVALID', text, { at: { topic } });
  }
  const own = bytes === null ? 0 : partitionOf(murmur2(bytes, 0, bytes.length), partitions);
  return {
    topic,
    key: bytes,
    value,
    partition: partition ?? own,
    timestampMs: timestampMs ?? 1_000 + n,
  };
}

/** Every committed record of an output as `topic: key=value`, every changelog row as it is at last. */
function linesOf(outcome: Outcome, topics: CrashTestOptions['topics']): string[] {
  const written = new Set(outcome.written.map(({ topic }) => topic));
  const outputs = Object.keys(topics).filter((name) => !written.has(name));
  const lines = outputs.flatMap((name) =>
    outcome
      .topic(name)
      .flatMap((view) => view.committed.map((record) => `${name}: ${shown(record)}`)),
  );
  for (const name of outcome.changelogs) {
    const rows = new Map<string, string>();
    for (const record of outcome.topic(name).flatMap((view) => view.committed)) {
      rows.set(record.key?.toString('hex') ?? 'null', `${name}: ${shown(record)}`);
    }
    lines.push(...rows.values());
  }
  return lines.sort();
}

function shown({ key, value }: CommittedRecord): string {
  return `${readable(key)}=${readable(value)}`;
}

/** As text where it is text. */
function readable(bytes: Buffer | null): string {
  if (bytes === null) return 'null';
  const text = bytes.toString('utf8');
  const isText = /^[\x20-\x7e]*$/.test(text);
  return isText ? `'${text}'` : `0x${bytes.toString('hex')}`;
}

function differences(expected: readonly string[], found: readonly string[]): string[] {
  const left = new Map<string, number>();
  for (const line of expected) left.set(line, (left.get(line) ?? 0) + 1);
  for (const line of found) left.set(line, (left.get(line) ?? 0) - 1);
  return [...left].flatMap(([line, count]) => {
    if (count === 0) return [];
    return [count > 0 ? `missing ${count} times: ${line}` : `${-count} times too many: ${line}`];
  });
}

function textOf(run: {
  readonly requests: number;
  readonly cases: number;
  readonly seeds: number;
  readonly failures: readonly Failure[];
}): string {
  const { requests, cases, seeds, failures } = run;
  const lines = failures
    .slice(0, SHOWN_MOST)
    .map(({ title, violations }) => `${title}\n    ${violations.join('\n    ')}`);
  const more = failures.length - lines.length;
  if (more > 0) lines.push(`and ${more} more`);
  lines.push(
    `${requests} requests, ${cases} cases, ${seeds} seeds with random faults: ` +
      `${failures.length} of ${cases + seeds} runs left something else than an undisturbed run`,
  );
  return lines.join('\n');
}
