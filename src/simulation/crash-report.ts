/** The report of a crash test: what was run of the grid, and each case that left something else. */
import { apiName } from './refusals.ts';
import { strikeWords } from './strike-words.ts';
import type { SweepCase } from './sweep.ts';

/** What was run with one of the transaction versions. */
export interface CrashTestGrid {
  readonly transactionVersion: 1 | 2;
  /** Requests that the undisturbed run sends. */
  readonly requests: number;
  /** Requests times what can become of each. */
  readonly cases: number;
  /** Of these, how many were run. */
  readonly run: number;
}

export interface CrashFailure {
  /** To run it alone: `only`. */
  readonly id: string;
  /** The step and the fault in words. */
  readonly what: string;
  readonly differences: readonly string[];
}

export interface CrashRun {
  readonly grids: readonly CrashTestGrid[];
  /** How often each outcome was run, by its kind. */
  readonly outcomes: ReadonlyMap<string, number>;
  readonly seeds: number;
  readonly failures: readonly CrashFailure[];
}

const SHOWN_MOST = 10;

const HINT =
  'What a run leaves must follow from its input and its stores: look for variables, clocks and what ' +
  'other systems answer. (p0.1 is the first life of process p0; q0 starts in its place at the end.)';

/** The step and the fault. */
export function wordsOf({ request, strike }: SweepCase): string {
  const { process, apiKey, ordinal } = request;
  return `${nth(ordinal)} ${apiName(apiKey)} of process ${process}: ${strikeWords(strike)}`;
}

function nth(ordinal: number): string {
  const teen = ordinal % 100 > 10 && ordinal % 100 < 14;
  return `${ordinal}${(teen ? null : ['th', 'st', 'nd', 'rd'][ordinal % 10]) ?? 'th'}`;
}

export function reportText({ grids, outcomes, seeds, failures }: CrashRun): string {
  const run = grids.reduce((sum, grid) => sum + grid.run, 0);
  const head =
    failures.length === 0
      ? `All ${run + seeds} runs left what the undisturbed run left.`
      : `${failures.length} of ${run + seeds} runs left something else than the undisturbed run.`;
  const shown = failures.slice(0, SHOWN_MOST).map(failureText);
  const more = failures.length - shown.length;
  if (more > 0) shown.push(`and ${more} more: ${first(failures.slice(SHOWN_MOST))}`);
  const [one] = failures;
  const again = one === undefined ? [] : [`Again: crashTest({ …, only: ['${one.id}'] })`, HINT];
  const counts = [...outcomes].map(([kind, count]) => `${kind} ${count}`);
  const grid = grids.map(gridText);
  if (counts.length > 0) grid.push(`What became of a request: ${counts.join(', ')}`);
  return [head, ...shown, ...again, ...grid, `Random faults: ${seeds} seeds`].join('\n');
}

function failureText({ id, what, differences }: CrashFailure): string {
  const lines = differences.map((each) => `\n    ${each.replaceAll('\n', '\n    ')}`);
  return `${id}\n    ${what}${lines.join('')}`;
}

function first(failures: readonly CrashFailure[]): string {
  const ids = failures.slice(0, 3).map(({ id }) => id);
  return ids.join('; ') + (failures.length > ids.length ? '; …' : '');
}

function gridText({ transactionVersion, requests, cases, run }: CrashTestGrid): string {
  const share = cases === 0 ? 100 : Math.floor((1_000 * run) / cases) / 10;
  return (
    `Transactions v${transactionVersion}: ${requests} requests and what can become of each, ` +
    `${run} of ${cases} cases (${share} %)`
  );
}
