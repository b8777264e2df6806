/**
 * How long a driver waits for asynchronous work: in the time that passes while the process runs.
 *
 * A turn of the event loop counts as `TURN_MS_MOST` at most. A machine that is busy or stands still
 * keeps the work from its turns as well: work that was not let near the processor is not stuck.
 */
import { EscapementError } from '../errors.ts';
import { type Clock, systemPorts } from '../ports.ts';

/** After which work that is under way counts as stuck. */
const IDLE_LIMIT_MS = 5_000;
const TURN_MS_MOST = 5;

export class Patience {
  readonly #clock: Clock;
  #lookedAt: number;
  #waitedMs = 0;

  constructor(clock: Clock = systemPorts.clock) {
    this.#clock = clock;
    this.#lookedAt = clock.monotonic();
  }

  /**
   * Once in every turn of the loop: how long was waited for, up to now. Throws `TEST_DRIVER_BUSY`
   * when it was so long that nothing will come.
   */
  waitedMs(): number {
    const now = this.#clock.monotonic();
    this.#waitedMs += Math.min(now - this.#lookedAt, TURN_MS_MOST);
    this.#lookedAt = now;
    if (this.#waitedMs > IDLE_LIMIT_MS) throw stuck();
    return this.#waitedMs;
  }
}

export function stuck(): EscapementError {
  return new EscapementError(
    'TEST_DRIVER_BUSY',
    'Asynchronous work of the topology is under way: await driver.idle() before reading. If that is ' +
      'what failed, the work waits for something that does not come; `advance` lets time limits expire.',
  );
}
