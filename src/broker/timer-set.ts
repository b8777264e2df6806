/** Timers that end with their owner. */
import type { Timer, Timers } from '../ports.ts';

export class TimerSet {
  readonly #timers: Timers;
  readonly #running = new Set<Timer>();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  after(delayMs: number, callback: () => void): Timer {
    const timer = this.#timers.after(delayMs, () => {
      this.#running.delete(timer);
      callback();
    });
    this.#running.add(timer);
    return timer;
  }

  cancel(timer: Timer): void {
    timer.cancel();
    this.#running.delete(timer);
  }

  close(): void {
    for (const timer of this.#running) timer.cancel();
    this.#running.clear();
  }
}
