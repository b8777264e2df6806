/**
 * Notices that the process stood still: paused, swapped out, or held by a long synchronous call.
 *
 * Owned by `member.ts`. A timer that fires late is all there is to see of it from inside.
 *
 * I1. Whatever the process has not handled yet came after `awakeAt`, or in the turn of the event loop
 *     in which the last tick was: an answer without a time of its own proves no more than that.
 */
import type { Ports, Timer } from '../../ports.ts';

export interface StallWatchOptions {
  readonly ports: Ports;
  readonly tickMs: number;
  /** A tick that comes so late is a stall. */
  readonly stallMs: number;
  readonly stalled: (durationMs: number) => void;
}

export class StallWatch {
  readonly #options: StallWatchOptions;
  #timer: Timer | null = null;
  #lastTick: number;

  constructor(options: StallWatchOptions) {
    this.#options = options;
    this.#lastTick = options.ports.clock.monotonic();
  }

  /** Monotonic ms of the last tick. */
  get awakeAt(): number {
    return this.#lastTick;
  }

  begin(): void {
    this.#lastTick = this.#options.ports.clock.monotonic();
    this.#schedule();
  }

  end(): void {
    this.#timer?.cancel();
  }

  #schedule(): void {
    const { ports, tickMs, stallMs, stalled } = this.#options;
    this.#timer = ports.timers.after(tickMs, () => {
      const now = ports.clock.monotonic();
      const lateMs = now - this.#lastTick - tickMs;
      this.#lastTick = now;
      this.#schedule();
      if (lateMs >= stallMs) stalled(lateMs);
    });
  }
}
