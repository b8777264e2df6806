/**
 * The sweep over a user's own topology: every request that it sends, with everything that can become
 * of it, must leave what an undisturbed run leaves. Then random faults from seeds.
 *
 * What is compared: the committed records of each topic that the topology writes, by partition and
 * key, whatever their order, and the last value per key of each changelog. A topology whose results
 * depend on the order in which its partitions are read is held to expectations of its own alone
 * (`compare`).
 */
import { EscapementError } from '../errors.ts';
import { murmur2, partitionOf } from '../kafka/records/murmur2.ts';
import { startSerdes, topicsOfUser } from '../runtime/application-plan.ts';
import { encodedBytes } from '../serde/encode-buffer.ts';
import type { Serde } from '../serde/serde.ts';
import { madeTopology } from '../topology/given-topology.ts';
import type { SinkNode, SourceNode, Topology } from '../topology/node.ts';
import type { GaveUp } from './cast.ts';
import { type Reader, type Rows, readerOf, rowDifferences, rowsOf } from './committed-rows.ts';
import { type CrashTestInput, type CrashTestOptions, checkCrashTest } from './crash-options.ts';
import { type CrashFailure, type CrashTestGrid, reportText, wordsOf } from './crash-report.ts';
import { NO_FAULTS } from './faults.ts';
import type { CommittedRecord } from './oracle/committed-log.ts';
import type { Input, Outcome } from './oracle/evidence.ts';
import { simulate } from './simulation.ts';
import { runSweepCase, type SweepOptions, sweepCases, titleOf } from './sweep.ts';
import type { Workload } from './workload.ts';

export interface CrashTestReport {
  /** What was run of the grid of requests and outcomes, for each of the transaction versions. */
  readonly grids: readonly CrashTestGrid[];
  readonly seeds: number;
  /** For people. */
  readonly text: string;
}

interface Case {
  /** As `only` names it. */
  readonly id: string;
  readonly what: string;
  readonly outcome: string;
  readonly run: () => Promise<readonly string[]>;
}

/**
 * Runs the sweep and the seeds. Rejects with `CRASH_TEST_FAILED`, whose message names for each case
 * that failed the step, the fault, what differed and how to run it again; with `OPTION_INVALID`,
 * `TOPOLOGY_INVALID` or another error when it cannot run undisturbed.
 */
export async function crashTest(options: CrashTestOptions): Promise<CrashTestReport> {
  checkCrashTest(options);
  const { transactionVersions = [1, 2], every = 1, only } = options;
  const workload = await workloadOf(options);
  const plans = await Promise.all(
    transactionVersions.map((version) => sweepOf(options, workload, version)),
  );
  const swept = plans.flatMap(({ all }) =>
    only === undefined ? all.filter((_, at) => at % every === 0) : named(all, only),
  );
  const random = seedsOf(options, workload);
  const cases = [...swept, ...(only === undefined ? random : named(random, only))];
  const ids = new Set(cases.map(({ id }) => id));
  const unknown = only?.find((id) => !ids.has(id));
  if (unknown !== undefined) {
    throw new EscapementError('OPTION_INVALID', `only: there is no case '${unknown}'.`);
  }
  const failures: CrashFailure[] = [];
  const outcomes = new Map<string, number>();
  for (const [at, { id, what, outcome, run }] of cases.entries()) {
    const differences = await run();
    if (differences.length > 0) failures.push({ id, what, differences });
    if (at < swept.length) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    options.progress?.(at + 1, cases.length);
  }
  const grids = plans.map(({ grid, all }) => {
    const run = all.filter(({ id }) => ids.has(id)).length;
    return { ...grid, run };
  });
  const seeds = cases.length - swept.length;
  const text = reportText({ grids, outcomes, seeds, failures });
  if (failures.length > 0) throw new EscapementError('CRASH_TEST_FAILED', text);
  return { grids, seeds, text };
}

function named(cases: readonly Case[], only: readonly string[]): readonly Case[] {
  return cases.filter(({ id }) => only.includes(id));
}

async function sweepOf(options: CrashTestOptions, workload: Workload, version: 1 | 2) {
  const { instances = 1 } = options;
  const records = options.inputs.length;
  const sweep: SweepOptions = { workload, instances, transactionVersion: version, records };
  const cases = await sweepCases(sweep);
  const all = cases.map(
    (swept): Case => ({
      id: `v${version} ${titleOf(swept)}`,
      what: wordsOf(swept),
      outcome: swept.strike.kind,
      run: async () => differencesOf((await runSweepCase(sweep, swept)).violations),
    }),
  );
  const requests = new Set(cases.map(({ request }) => request)).size;
  return { all, grid: { transactionVersion: version, requests, cases: cases.length } };
}

/** A seed that `only` names is run, however many are asked for. */
function seedsOf({ seeds = 100, only, inputs }: CrashTestOptions, workload: Workload): Case[] {
  const asked = Array.from({ length: seeds }, (_, at) => at + 1);
  const given = (only ?? []).flatMap((id) => /^seed (\d+)$/.exec(id)?.[1] ?? []).map(Number);
  return [...(only === undefined ? asked : given)].map((seed) => ({
    id: `seed ${seed}`,
    what: 'random faults, drawn from the seed',
    outcome: 'seed',
    run: async () => {
      const { violations } = await simulate({ workload, seed, records: inputs.length });
      return differencesOf(violations);
    },
  }));
}

/** What the model says needs no other name here. */
function differencesOf(violations: readonly string[]): readonly string[] {
  return violations.map((violation) => violation.replace(/^model: /, ''));
}

/** Knows what an undisturbed run commits. */
async function workloadOf(options: CrashTestOptions): Promise<Workload> {
  const { compare = 'everything', check, expected: given } = options;
  if (compare === 'expected' && check === undefined && given === undefined) {
    const text = "compare: 'expected' compares with nothing: give 'expected' or 'check'.";
    throw new EscapementError('OPTION_INVALID', text);
  }
  const topology = (): Topology => madeTopology('crashTest', options.topology);
  const planned = topology();
  await startSerdes(planned);
  const inputs = await Promise.all(
    options.inputs.map((input, n) => placed(input, n, options.topics, planned)),
  );
  requireTopics(options, planned);
  const expected = expectedOf(options, planned);
  const read = readerOf(planned);
  let undisturbed: Rows | null = null;
  const workload: Workload = {
    name: 'crash test',
    topics: options.topics,
    topology,
    inputs: () => inputs,
    source: () => null,
    check: (outcome) => {
      const rows = rowsOfRun(outcome, options.topics, read);
      const wrong = expected.flatMap(({ topic, kept, rows: wanted }) => {
        const records = outcome.topic(topic).flatMap((view) => view.committed.map(anywhere));
        return rowDifferences(wanted(read), rowsOf({ records, kept, read }));
      });
      undisturbed ??= rows;
      const differing = compare === 'expected' ? [] : rowDifferences(undisturbed, rows);
      // What was expected says more than what the undisturbed run left.
      return [...(check?.(outcome) ?? []), ...(wrong.length > 0 ? wrong : differing)];
    },
  };
  const { violations, gaveUp } = await simulate({
    workload,
    seed: 1,
    records: inputs.length,
    instances: options.instances ?? 1,
    faults: NO_FAULTS,
  });
  if (violations.length === 0) return workload;
  throw undisturbedError(violations, gaveUp[0]);
}

function requireTopics({ topics }: CrashTestOptions, topology: Topology): void {
  const lacking = [...topicsOfUser(topology)].filter((topic) => !Object.hasOwn(topics, topic));
  if (lacking.length === 0) return;
  const text = `crashTest: 'topics' lacks: ${lacking.join(', ')}. Give each its partitions.`;
  throw new EscapementError('OPTION_INVALID', text);
}

/**
 * A process that stops without any fault is started again and stops again, for the same reason, which
 * is then all there is to say.
 */
function undisturbedError(
  violations: readonly string[],
  first: GaveUp | undefined,
): EscapementError {
  if (first !== undefined) {
    const { code, message } = first.error;
    const text = `The undisturbed run: process ${first.process} stopped. ${message}`;
    return new EscapementError(code, text);
  }
  const found = differencesOf(violations).map((each) => `\n  ${each}`);
  const text = `The undisturbed run already left something else than expected:${found.join('')}`;
  return new EscapementError('CRASH_TEST_FAILED', text);
}

/** Keys of what is expected are given without their partition. */
function anywhere(record: CommittedRecord): CommittedRecord {
  return { ...record, partition: 0 };
}

function expectedOf({ expected = {} }: CrashTestOptions, { nodes }: Topology) {
  return Object.entries(expected).map(([topic, records]) => {
    const sink = nodes.find(
      (node): node is SinkNode => node.kind === 'sink' && node.topic === topic,
    );
    if (sink === undefined) {
      const text = `'expected' names the topic '${topic}', which no to() of the topology writes.`;
      throw new EscapementError('OPTION_INVALID', text, { at: { topic } });
    }
    const rows = [...(records as Iterable<readonly [unknown, unknown]>)].map(([key, value]) => ({
      key: bytesOf(sink.key as Serde<unknown>, key),
      value: bytesOf(sink.value as Serde<unknown>, value),
    }));
    const kept = records instanceof Map ? ('latest' as const) : ('all' as const);
    const all = rows.map((row) => ({ ...row, topic, partition: 0 }) as CommittedRecord);
    return { topic, kept, rows: (read: Reader) => rowsOf({ records: all, kept, read }) };
  });
}

async function placed(
  { topic, key, value, timestampMs, partition }: CrashTestInput,
  n: number,
  topics: CrashTestOptions['topics'],
  topology: Topology,
): Promise<Input> {
  const partitions = topics[topic];
  if (partitions === undefined) {
    const text = `An input goes to topic '${topic}', which 'topics' does not name.`;
    throw new EscapementError('OPTION_INVALID', text, { at: { topic } });
  }
  const source = topology.nodes.find(
    (node): node is SourceNode => node.kind === 'source' && node.topic === topic,
  );
  const serdes = [source?.key, source?.value] as (Serde<unknown> | undefined)[];
  const [bytes, valueBytes] = await Promise.all(
    [key, value].map((part, at) => inputBytes(serdes[at], part)),
  );
  const own = bytes === null ? 0 : partitionOf(murmur2(bytes!, 0, bytes!.length), partitions);
  return {
    topic,
    key: bytes!,
    value: valueBytes!,
    partition: partition ?? own,
    timestampMs: timestampMs ?? 1_000 + n,
  };
}

async function inputBytes(
  serde: Serde<unknown> | undefined,
  part: unknown,
): Promise<Buffer | null> {
  if (part === null || part === undefined) return null;
  if (Buffer.isBuffer(part)) return part;
  if (typeof part === 'string') return Buffer.from(part);
  if (serde === undefined) {
    const text =
      'An input is neither text nor bytes, and no stream of the topology reads its topic.';
    throw new EscapementError('OPTION_INVALID', text);
  }
  await serde.schemas?.start();
  return bytesOf(serde, part);
}

function bytesOf(serde: Serde<unknown>, value: unknown): Buffer | null {
  return value === null ? null : encodedBytes(serde, value);
}

/** Of every output and every changelog. */
function rowsOfRun(outcome: Outcome, topics: CrashTestOptions['topics'], read: Reader): Rows {
  const written = new Set(outcome.written.map(({ topic }) => topic));
  const outputs = Object.keys(topics).filter((name) => !written.has(name));
  const recordsOf = (names: readonly string[]): readonly CommittedRecord[] =>
    names.flatMap((name) => outcome.topic(name).flatMap(({ committed }) => committed));
  return new Map([
    ...rowsOf({ records: recordsOf(outputs), kept: 'all', read }),
    ...rowsOf({ records: recordsOf(outcome.changelogs), kept: 'latest', read }),
  ]);
}
