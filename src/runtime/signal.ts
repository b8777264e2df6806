/** Lets one loop sleep until something happens. A wake between two sleeps is not lost. */
import type { Timers } from '../ports.ts';

export class Signal {
  readonly #timers: Timers;
  #raised = false;
  #waiting: (() => void) | null = null;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Ends the running or the next sleep. */
  readonly wake = (): void => {
    this.#raised = true;
    this.#waiting?.();
  };

  /** Sleeps until woken, at most `delayMs` (may be infinite). */
  async sleep(delayMs: number): Promise<void> {
    if (!this.#raised && delayMs > 0) {
      await new Promise<void>((resolve) => {
        const timer = Number.isFinite(delayMs) ? this.#timers.after(delayMs, resolve) : null;
        this.#waiting = () => {
          timer?.cancel();
          resolve();
        };
      });
      this.#waiting = null;
    }
    this.#raised = false;
  }
}
