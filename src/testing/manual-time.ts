/** A clock that moves only when it is told to, with timers that fire on the way. */
import { type Ports, systemPorts, type Timer } from '../ports.ts';
import { SeededRandom } from '../simulation/seeded-random.ts';

interface Due {
  readonly at: number;
  readonly run: () => void;
}

export class ManualTime {
  #now: number;
  readonly #timers = new Set<Due>();

  /** `now`: epoch milliseconds. */
  constructor(now: number) {
    this.#now = now;
  }

  get now(): number {
    return this.#now;
  }

  /** Fires what is due until then, in the order of time. */
  advance(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const [next] = [...this.#timers].sort((one, other) => one.at - other.at);
      if (next === undefined || next.at > until) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
    this.#now = until;
  }

  ports(seed: number): Ports {
    const after = (delayMs: number, run: () => void): Timer => {
      const due: Due = { at: this.#now + delayMs, run };
      this.#timers.add(due);
      return { cancel: () => void this.#timers.delete(due) };
    };
    return {
      clock: { now: () => this.#now, monotonic: () => this.#now },
      timers: {
        after,
        sleep: (delayMs) => new Promise((resolve) => void after(delayMs, resolve)),
        turn: () => systemPorts.timers.turn(),
      },
      random: new SeededRandom(seed),
    };
  }
}
