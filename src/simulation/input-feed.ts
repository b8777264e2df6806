/** Writes the input of a run at moments of its own choice, in the order of its list. */
import type { Input } from './oracle/evidence.ts';
import type { Outsider } from './outsider.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { VirtualTime } from './virtual-time.ts';

/** After a leader has refused a record. */
const WRITE_AGAIN_MS = 50;

export class InputFeed {
  readonly #time: VirtualTime;
  readonly #random: SeededRandom;
  readonly #outsider: Outsider;
  /** Records that were given and are not in the log yet. */
  unwritten = 0;

  constructor(time: VirtualTime, random: SeededRandom, outsider: Outsider) {
    this.#time = time;
    this.#random = random;
    this.#outsider = outsider;
  }

  writeWithin(inputs: readonly Input[], durationMs: number): void {
    this.unwritten += inputs.length;
    const moments = inputs.map(() => this.#random.fraction() * durationMs);
    moments.sort((one, other) => one - other);
    // One after the other: the order of the input is that of its list.
    const waiting = [...inputs];
    const write = (): void => {
      if (this.#outsider.write(waiting[0]!) === 'refused') {
        this.#time.after(WRITE_AGAIN_MS, write);
        return;
      }
      waiting.shift();
      this.unwritten -= 1;
    };
    for (const moment of moments) this.#time.after(moment, write);
  }
}
