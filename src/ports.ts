/**
 * The outside contacts of the whole library besides the network: time, timers and randomness.
 *
 * Nothing else in `src` touches `Date`, `setTimeout`, `Math.random` or `node:crypto`'s random bytes,
 * so a run over injected ports is reproducible from a seed.
 */
import { randomBytes } from 'node:crypto';

export interface Clock {
  /** Wall clock, epoch milliseconds. */
  now(): number;
  /** Monotonic milliseconds from an arbitrary origin: for durations and deadlines. */
  monotonic(): number;
}

export interface Timer {
  /** Cancels; harmless after it fired. */
  cancel(): void;
}

export interface Timers {
  /** Runs `callback` once after `delayMs` (>= 0). A pending timer keeps the process alive. */
  after(delayMs: number, callback: () => void): Timer;
  /** Resolves after `delayMs`. */
  sleep(delayMs: number): Promise<void>;
  /** Resolves after input and output had their turn (`setImmediate`). */
  turn(): Promise<void>;
}

export interface Randomness {
  bytes(count: number): Buffer;
  /** Uniform in [0, 1). */
  fraction(): number;
}

export interface Ports {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Randomness;
}

export const systemPorts: Ports = {
  clock: { now: () => Date.now(), monotonic: () => performance.now() },
  timers: {
    after(delayMs, callback) {
      const handle = setTimeout(callback, delayMs);
      return { cancel: () => clearTimeout(handle) };
    },
    sleep: (delayMs) => new Promise((resolve) => setTimeout(resolve, delayMs)),
    turn: () => new Promise((resolve) => setImmediate(resolve)),
  },
  random: { bytes: (count) => randomBytes(count), fraction: () => Math.random() },
};
