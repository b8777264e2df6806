/** Virtual time: nothing happens until a test advances the clock. */
import type { Ports, Timer } from '../../src/ports.ts';

const EPOCH_MS = 1_700_000_000_000;

interface Due {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

export class VirtualPorts implements Ports {
  #now = 0;
  #order = 0;
  #state: number;
  readonly #due = new Set<Due>();

  constructor(seed = 1) {
    this.#state = seed;
  }

  readonly clock = { now: () => EPOCH_MS + this.#now, monotonic: () => this.#now };

  readonly timers = {
    after: (delayMs: number, callback: () => void): Timer => {
      this.#order += 1;
      const due = { at: this.#now + delayMs, order: this.#order, callback };
      this.#due.add(due);
      return { cancel: () => this.#due.delete(due) };
    },
    sleep: (delayMs: number) =>
      new Promise<void>((resolve) => {
        this.timers.after(delayMs, resolve);
      }),
    turn: () => Promise.resolve(),
  };

  readonly random = {
    bytes: (count: number) =>
      Buffer.from(Array.from({ length: count }, () => Math.floor(this.#fraction() * 256))),
    fraction: () => this.#fraction(),
  };

  get pendingTimers(): number {
    return this.#due.size;
  }

  /** Runs what is due within `ms`, in order of time. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const next = this.#next();
      if (next === null || next.at > end) break;
      this.#run(next);
    }
    this.#now = end;
  }

  /** Goes on to the first timer there is, and runs it. */
  runNext(): void {
    const next = this.#next();
    if (next !== null) this.#run(next);
  }

  /** The process stands still: time passes, and whatever was due runs late. */
  stall(ms: number): void {
    this.skip(ms);
    this.advance(0);
  }

  /** Time passes, and whatever is due waits to be run. */
  skip(ms: number): void {
    this.#now += ms;
  }

  #next(): Due | null {
    let next: Due | null = null;
    for (const due of this.#due) {
      const isLater =
        next !== null && (due.at > next.at || (due.at === next.at && due.order > next.order));
      if (!isLater) next = due;
    }
    return next;
  }

  #run(due: Due): void {
    this.#due.delete(due);
    this.#now = Math.max(this.#now, due.at);
    due.callback();
  }

  #fraction(): number {
    // Mulberry32.
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }
}
