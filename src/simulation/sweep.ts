/**
 * The exhaustive sweep: every request that an undisturbed run sends, with everything that can become
 * of it, one at a time.
 *
 * A run is the same up to the moment at which something is struck, so a request of the undisturbed
 * run, named by its process, its API and its number, is met again in every other one.
 */
import { NO_FAULTS } from './faults.ts';
import type { Passage, Strike } from './network.ts';
import { apiName, refusalsOf } from './refusals.ts';
import { type SimulationResult, simulate } from './simulation.ts';
import { errorName } from './strike-words.ts';
import type { Workload } from './workload.ts';

export interface SweepOptions {
  readonly workload: Workload;
  /** Default 1. */
  readonly seed?: number;
  /** Input records; default 6. */
  readonly records?: number;
  /** Processes; default 1. */
  readonly instances?: number;
  /** Of the broker; default 2. */
  readonly transactionVersion?: 1 | 2;
}

/** A request of the undisturbed run. */
export interface SweptRequest {
  readonly process: string;
  readonly apiKey: number;
  /** Of its process and API, from 1. */
  readonly ordinal: number;
}

export interface SweepCase {
  readonly request: SweptRequest;
  readonly strike: Strike;
}

export interface SweepVerdict {
  /** For people, and to find it again. */
  readonly title: string;
  readonly violations: readonly string[];
  readonly hash: string;
}

const FAULTS_MS = 1_500;
/** Longer than the transaction timeout and the session of simulated processes. */
const LATE_MS = 4_000;

const STRIKES: readonly Strike[] = [
  { kind: 'crash', when: 'before' },
  { kind: 'crash', when: 'applied' },
  { kind: 'crash', when: 'answered' },
  { kind: 'lost-request', loss: 'reset' },
  { kind: 'lost-request', loss: 'silence' },
  { kind: 'lost-answer', loss: 'reset' },
  { kind: 'lost-answer', loss: 'silence' },
  { kind: 'late-request', delayMs: LATE_MS },
  { kind: 'late-answer', delayMs: LATE_MS },
  { kind: 'duplicate' },
  { kind: 'close' },
];

/** Every case of the sweep, in the order of the requests. Rejects when the undisturbed run fails. */
export async function sweepCases(options: SweepOptions): Promise<SweepCase[]> {
  const requests: SweptRequest[] = [];
  const { violations } = await run(options, ({ process, request, ordinal }) => {
    requests.push({ process: process.name, apiKey: request.apiKey, ordinal });
    return null;
  });
  if (violations.length > 0) {
    throw new Error(`${options.workload.name} fails undisturbed: ${violations.join('; ')}`);
  }
  return requests.flatMap((request) => {
    const refusals = refusalsOf(request.apiKey).map(
      (refusal): Strike => ({ kind: 'refuse', ...refusal }),
    );
    return [...STRIKES, ...refusals].map((strike) => ({ request, strike }));
  });
}

export async function runSweepCase(options: SweepOptions, swept: SweepCase): Promise<SweepVerdict> {
  let struck = 0;
  const { violations, hash } = await run(options, ({ process, request, ordinal }) => {
    const meant = swept.request;
    const isMeant =
      process.name === meant.process &&
      request.apiKey === meant.apiKey &&
      ordinal === meant.ordinal;
    if (!isMeant) return null;
    struck += 1;
    return swept.strike;
  });
  const missed = struck === 1 ? [] : [`the request was met ${struck} times`];
  return { title: titleOf(swept), violations: [...missed, ...violations], hash };
}

function run(
  { workload, seed = 1, records = 6, instances = 1, transactionVersion = 2 }: SweepOptions,
  strike: (passage: Passage) => Strike | null,
): Promise<SimulationResult> {
  const scenario = { seed, records, instances, nodes: 1, transactionVersion, faultsMs: FAULTS_MS };
  // One fault ends nothing: whatever is lost or refused is asked for again.
  return simulate({ workload, ...scenario, faults: NO_FAULTS, strike, mayFailToStart: false });
}

export function titleOf({ request, strike }: SweepCase): string {
  const { process, apiKey, ordinal } = request;
  const given = Object.values(strike).slice(1);
  const details =
    strike.kind === 'refuse' ? `${strike.when} ${errorName(strike.errorCode)}` : given.join(' ');
  return `${process} ${apiName(apiKey)} ${ordinal}: ${strike.kind} ${details}`.trimEnd();
}
