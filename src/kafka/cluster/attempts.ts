/**
 * Repeats an idempotent lookup until it succeeds, meets an error that repeating cannot mend, or has
 * used up its time. Only for requests that change nothing: metadata, coordinators, versions.
 */
import { EscapementError } from '../../errors.ts';
import type { Ports } from '../../ports.ts';

const PAUSE_FIRST_MS = 20;
const PAUSE_MAX_MS = 500;

export interface Attempts {
  readonly ports: Ports;
  /**
   * From the first attempt; the last error is thrown when no pause fits in any more. Not that of the
   * only one: while the process stood still all of the time may have passed, and nothing was tried.
   */
  readonly timeoutMs: number;
  /**
   * Deadline of the requests of an attempt. It begins short, so that what was lost without a word is
   * missed soon, and doubles with each attempt that used it up, so that a slow broker is waited for.
   */
  readonly attemptMs: readonly [first: number, most: number];
  readonly onFailure?: (error: EscapementError, attempt: number) => void;
}

/** `lookup` gets the deadline for each of its requests. */
export async function repeat<T>(
  attempts: Attempts,
  lookup: (timeoutMs: number) => Promise<T>,
): Promise<T> {
  const { clock, timers } = attempts.ports;
  const deadline = clock.monotonic() + attempts.timeoutMs;
  const [first, most] = attempts.attemptMs;
  let attemptMs = Math.min(first, most);
  let pause = PAUSE_FIRST_MS;
  for (let attempt = 1; ; attempt++) {
    const began = clock.monotonic();
    try {
      return await lookup(attemptMs);
    } catch (error) {
      if (!isPassing(error)) throw error;
      if (attempt > 1 && clock.monotonic() + pause > deadline) throw error;
      attempts.onFailure?.(error, attempt);
    }
    if (clock.monotonic() - began >= attemptMs) attemptMs = Math.min(attemptMs * 2, most);
    await timers.sleep(pause);
    pause = Math.min(pause * 2, PAUSE_MAX_MS);
  }
}

/** `indefinite` too: the fate of a request that changes nothing does not matter. */
export function isPassing(error: unknown): error is EscapementError {
  return (
    error instanceof EscapementError &&
    (error.decision === 'retry' || error.decision === 'indefinite')
  );
}
