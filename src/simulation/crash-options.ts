/** What a crash test is asked to do. */
import {
  type Known,
  refuseMissing,
  refuseOther,
  refuseUnknown,
  shown,
} from '../config/known-options.ts';
import { EscapementError } from '../errors.ts';
import type { Topology } from '../topology/node.ts';
import type { Outcome } from './oracle/evidence.ts';

/** An input record; `partition`: by default the one of its key, 0 without a key. */
export interface CrashTestInput {
  readonly topic: string;
  /** Text and bytes as they are; anything else is written by the serde of the topic's stream. */
  readonly key: unknown;
  /** As `key`. */
  readonly value: unknown;
  /** Event time in epoch milliseconds; default: 1,000 and one more for each record. */
  readonly timestampMs?: number;
  readonly partition?: number;
}

/**
 * What an output topic must hold. A `Map`: the last value of every key. An array: every record, in
 * any order. Keys and values as the serdes of its `to()` write them.
 */
export type ExpectedRecords =
  | ReadonlyMap<unknown, unknown>
  | readonly (readonly [key: unknown, value: unknown])[];

export interface CrashTestOptions {
  /** Called for every simulated process: processes share no objects. */
  readonly topology: () => Topology | { build(): Topology };
  /** Partitions by topic: inputs, outputs and dead-letter topics. */
  readonly topics: Readonly<Record<string, number>>;
  /** Some ten records that make every operator do something. */
  readonly inputs: readonly CrashTestInput[];
  /** What output topics must hold in every run, by topic; default: what the undisturbed run leaves. */
  readonly expected?: Readonly<Record<string, ExpectedRecords>>;
  /**
   * `everything` (default): with the undisturbed run, too. `expected`: what `expected` and `check` say
   * is all that counts, for results that depend on the order in which partitions are read.
   */
  readonly compare?: 'everything' | 'expected';
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
  /** Runs these cases alone, by the names that a report gives them. */
  readonly only?: readonly string[];
  /** Told after each run: how many are done, of how many. */
  readonly progress?: (done: number, total: number) => void;
}

const WHERE = 'crashTest';

const KNOWN: Known<CrashTestOptions> = {
  topology: true,
  topics: true,
  inputs: true,
  expected: true,
  compare: true,
  check: true,
  instances: true,
  transactionVersions: true,
  every: true,
  seeds: true,
  only: true,
  progress: true,
};

const INPUT: Known<CrashTestInput> = {
  topic: true,
  key: true,
  value: true,
  timestampMs: true,
  partition: true,
};

/** Throws `OPTION_INVALID` for what a crash test does not take. */
export function checkCrashTest(options: CrashTestOptions): void {
  refuseUnknown(WHERE, options, KNOWN);
  refuseMissing(WHERE, options, ['topology', 'topics', 'inputs']);
  refuseOther(WHERE, 'compare', options.compare, 'everything', 'expected');
  for (const [name, least] of [
    ['every', 1],
    ['seeds', 0],
    ['instances', 1],
  ] as const) {
    const value = options[name] ?? least;
    if (Number.isSafeInteger(value) && value >= least) continue;
    const text = `${WHERE}: ${name} must be a whole number from ${least}, not ${shown(value)}.`;
    throw new EscapementError('OPTION_INVALID', text);
  }
  for (const [topic, partitions] of Object.entries(options.topics)) {
    if (Number.isSafeInteger(partitions) && partitions >= 1) continue;
    const text = `${WHERE}: topics gives '${topic}' ${shown(partitions)} partitions, 1 is the least.`;
    throw new EscapementError('OPTION_INVALID', text, { at: { topic } });
  }
  if (!Array.isArray(options.inputs)) {
    throw new EscapementError('OPTION_INVALID', `${WHERE}: inputs is not an array.`);
  }
  for (const input of options.inputs) refuseUnknown(`${WHERE}: an input`, input, INPUT);
}
