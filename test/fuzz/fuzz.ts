/**
 * Runs targets over mutated bytes and judges what they do: a result or a typed error, within 100 ms
 * of CPU, without piling up memory.
 *
 * I1. A seed and a number of cases say everything: a run is the same everywhere.
 * I2. A slow case counts only when it is slow again, by its CPU time, in each of several runs of it
 *     alone: a busy machine, or a collection of garbage, is no failure.
 *     One that does not end at all is seen by `watchdog.ts`.
 * I3. A failure names target and bytes, and the command that runs it again.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { EscapementError } from '../../src/errors.ts';
import { mutate } from './mutate.ts';
import { Random } from './random.ts';
import { Watchdog } from './watchdog.ts';

export interface Target {
  readonly name: string;
  /** Valid bytes, which are run as they are before any mutant is. */
  readonly corpus: readonly Buffer[];
  /** Codes that may be thrown. */
  readonly codes: readonly string[];
  /** Decodes, and throws anything but an `EscapementError` when the answer is wrong. */
  readonly run: (bytes: Buffer, random: Random) => void;
  /** Makes a mutant pass the outer checks, so that the inner ones are met. */
  readonly mend?: (bytes: Buffer, random: Random) => Buffer;
}

export interface FuzzOptions {
  readonly targets: readonly Target[];
  readonly cases: number;
  readonly seed: number;
}

export interface FuzzReport {
  readonly cases: number;
  readonly results: number;
  readonly errors: number;
  readonly heapPeakMb: number;
}

const SUSPICIOUS_MS = 25;
const CPU_MS_MAX = 100;
const RERUNS = 5;
const SAMPLE_CASES = 4_096;
/** Heap and buffers together above what was there before; a target holds nothing between cases. */
const GROWTH_BYTES_MAX = 256 * 1024 * 1024;

type Outcome = 'result' | 'error';

export class FuzzFailure extends Error {
  constructor(target: Target, bytes: Buffer, what: string, cause?: unknown) {
    const hex = bytes.toString('hex');
    super(
      `${target.name}: ${what}\n  bytes: ${hex}\n` +
        `  again: npm run fuzz -- --target '${target.name}' --replay ${hex}`,
      { cause },
    );
  }
}

/** Throws `FuzzFailure` at the first case that fails. */
export async function fuzz({ targets, cases, seed }: FuzzOptions): Promise<FuzzReport> {
  const stack = Error.stackTraceLimit;
  // A stack costs more than most of the decoders do.
  Error.stackTraceLimit = 0;
  const watchdog = new Watchdog(targets.map(({ name }) => name));
  try {
    return await fuzzAll(targets, cases, new Random(seed), watchdog);
  } finally {
    Error.stackTraceLimit = stack;
    await watchdog.stop();
  }
}

async function fuzzAll(
  targets: readonly Target[],
  cases: number,
  random: Random,
  watchdog: Watchdog,
): Promise<FuzzReport> {
  for (const target of targets) for (const bytes of target.corpus) checkValid(target, bytes);
  const before = heldBytes();
  const counts = { result: 0, error: 0 };
  let peak = before;
  for (let done = 0; done < cases; done++) {
    const target = targets[done % targets.length]!;
    const bytes = mutantOf(target, targets, random);
    watchdog.begin(done % targets.length, bytes);
    counts[runOnce(target, bytes, random.uint32())] += 1;
    if (done % SAMPLE_CASES !== 0) continue;
    // zlib closes its handles when the loop turns, and holds their memory until then.
    await new Promise(setImmediate);
    let held = heldBytes();
    peak = Math.max(peak, held);
    if (held - before <= GROWTH_BYTES_MAX) continue;
    // The collector is in no hurry about buffers: only what outlives it counts.
    await collectGarbage();
    held = heldBytes();
    if (held - before > GROWTH_BYTES_MAX) {
      throw new FuzzFailure(target, bytes, `${Math.round((held - before) / 1e6)} MB are held`);
    }
  }
  return {
    cases,
    results: counts.result,
    errors: counts.error,
    heapPeakMb: Math.round(peak / 1e6),
  };
}

/** Runs one input of a target as the fuzzer does, for a replay. */
export function replay(target: Target, bytes: Buffer): Outcome {
  return runOnce(target, bytes, 1);
}

/** What is valid is read without an error, before anything is changed. */
function checkValid(target: Target, bytes: Buffer): void {
  try {
    target.run(bytes, new Random(1));
  } catch (cause) {
    throw new FuzzFailure(target, bytes, `valid bytes are refused: ${describe(cause)}`, cause);
  }
}

function mutantOf(target: Target, targets: readonly Target[], random: Random): Buffer {
  const other = random.oneIn(2) ? random.pick(targets) : target;
  const mutant = mutate(random.pick(target.corpus), random, random.pick(other.corpus));
  return target.mend === undefined ? mutant : target.mend(mutant, random);
}

/** What a case draws depends on its seed alone, so that a second run of it changes no other case. */
function runOnce(target: Target, bytes: Buffer, seed: number): Outcome {
  const begun = performance.now();
  const outcome = judge(target, bytes, seed);
  if (performance.now() - begun > SUSPICIOUS_MS) checkTime(target, bytes, seed);
  return outcome;
}

function judge(target: Target, bytes: Buffer, seed: number): Outcome {
  try {
    target.run(bytes, new Random(seed));
    return 'result';
  } catch (cause) {
    if (cause instanceof EscapementError && target.codes.includes(cause.code)) return 'error';
    throw new FuzzFailure(target, bytes, describe(cause), cause);
  }
}

/** I2. */
function checkTime(target: Target, bytes: Buffer, seed: number): void {
  let least = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RERUNS; run++) {
    const cpu = process.cpuUsage();
    judge(target, bytes, seed);
    const { user, system } = process.cpuUsage(cpu);
    least = Math.min(least, (user + system) / 1_000);
    if (least <= CPU_MS_MAX) return;
  }
  throw new FuzzFailure(target, bytes, `takes ${Math.round(least)} ms of CPU, each time`);
}

async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let round = 0; round < 3; round++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function heldBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function describe(cause: unknown): string {
  return cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
}
