/**
 * One exchange of a session with the brokers: a commit, an abort or an initialisation.
 *
 * Every request of the exchange goes through `ask` or checks `assertOpen` itself.
 *
 * I1. After the first failure of any branch nothing more is sent (`halt`): an indefinite answer may
 *     be followed by init() alone, and after a definite one the rest would be for nothing.
 * I2. A request is repeated only after a definite answer that asks for it, or when it was never
 *     sent. A request of unknown fate is never repeated.
 * I3. Repetition ends at the bound; what was not settled by then is indefinite.
 */
import { asEscapementError, type Coordinates, EscapementError } from '../../errors.ts';
import type { Ports, Timer } from '../../ports.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Metric } from '../../telemetry/metrics.ts';
import { KafkaErrorCode } from '../protocol/error-codes.ts';
import { gravest } from './refusal.ts';

export interface ExchangeOptions {
  readonly ports: Ports;
  readonly log: Log;
  /** From the first request; repetition ends there. */
  readonly boundMs: number;
  /** Codes that are normal at the beginning of a transaction and pass in milliseconds. */
  readonly quick: ReadonlySet<number>;
  /** First and longest pause after one of these codes. */
  readonly quickPauseMs: readonly [first: number, most: number];
  /** Counts what is sent again, by API. */
  readonly repeated?: Metric;
}

/** Nothing was sent because a sibling had failed already; the sibling's error is the one to show. */
export class Halted extends EscapementError {
  constructor() {
    super('CLOSED', 'not sent: another request of the step had failed', { decision: 'abort' });
  }
}

/** A lookup took until the bound: nothing is in flight for it, yet the step cannot go on. */
export class Late extends EscapementError {
  constructor(what: string, boundMs: number, at: Coordinates = {}) {
    super('REQUEST_FATE_UNKNOWN', `${what} could not be sent within ${boundMs} ms`, { at });
  }
}

const PAUSE_FIRST_MS = 10;
const PAUSE_MOST_MS = 160;
/** After these a code that can be meant in earnest is taken so: replicas may be missing. */
const QUICK_ATTEMPTS = 5;

export class Exchange {
  readonly #options: ExchangeOptions;
  readonly #deadline: number;
  #halted: 'open' | 'halted' = 'open';
  #repeats = 0;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.#deadline = options.ports.clock.monotonic() + options.boundMs;
  }

  /** Requests that were sent again. */
  get repeats(): number {
    return this.#repeats;
  }

  /** I1. */
  halt(): void {
    this.#halted = 'halted';
  }

  assertOpen(): void {
    if (this.#halted === 'halted') throw new Halted();
  }

  /**
   * Waits before the next attempt (`attempt` counts from 1) of a request of that API, which `what`
   * describes; throws when the bound is passed, I3.
   */
  async pause(api: string, what: string, cause: EscapementError, attempt: number): Promise<void> {
    this.assertOpen();
    const { ports, log, repeated } = this.#options;
    const pauseMs = this.#pauseMs(cause, attempt);
    if (ports.clock.monotonic() + pauseMs > this.#deadline) throw this.#exhausted(what, cause);
    log.debug({ what, attempt, pauseMs, reason: cause.message }, 'request repeated');
    await ports.timers.sleep(pauseMs);
    this.assertOpen();
    this.#repeats += 1;
    repeated?.of(api).add();
  }

  /** The result of a lookup, unless the bound comes first; `what` waits for it. */
  async within<T>(lookup: Promise<T>, what: string, at?: Coordinates): Promise<T> {
    const { clock, timers } = this.#options.ports;
    let timer: Timer | undefined;
    const bound = new Promise<never>((_, reject) => {
      const restMs = Math.max(0, this.#deadline - clock.monotonic());
      timer = timers.after(restMs, () => reject(new Late(what, this.#options.boundMs, at)));
    });
    try {
      return await Promise.race([lookup, bound]);
    } finally {
      timer?.cancel();
    }
  }

  #pauseMs(cause: EscapementError, attempt: number): number {
    const { ports, quick, quickPauseMs } = this.#options;
    const code = (cause as { readonly kafkaCode?: number }).kafkaCode;
    const isConcurrent = code === KafkaErrorCode.CONCURRENT_TRANSACTIONS;
    if (code !== undefined && quick.has(code) && (isConcurrent || attempt <= QUICK_ATTEMPTS)) {
      // Mostly what is in the way is gone after a millisecond or two.
      const [first, most] = quickPauseMs;
      const pauseMs = Math.min(most, first * 2 ** Math.min(attempt - 1, 8));
      return pauseMs * (0.75 + 0.25 * ports.random.fraction());
    }
    const most = Math.min(PAUSE_MOST_MS, PAUSE_FIRST_MS * 2 ** Math.min(attempt, 8));
    return most * (0.5 + 0.5 * ports.random.fraction());
  }

  #exhausted(what: string, cause: EscapementError): EscapementError {
    return new EscapementError(
      'REQUEST_FATE_UNKNOWN',
      `${what} did not succeed within ${this.#options.boundMs} ms; last: ${cause.message}`,
      { cause, at: cause.at },
    );
  }
}

/**
 * Awaits all branches, halting the exchange at the first failure. Throws the gravest error; a branch
 * that merely halted has nothing to say beside the one that failed.
 */
export async function allOf(exchange: Exchange, branches: Promise<void>[]): Promise<void> {
  const ends = await Promise.allSettled(
    branches.map((branch) =>
      branch.catch((cause: unknown) => {
        exchange.halt();
        throw cause;
      }),
    ),
  );
  const errors: EscapementError[] = [];
  for (const end of ends) if (end.status === 'rejected') errors.push(asEscapementError(end.reason));
  const failure = gravest(errors.filter((error) => !(error instanceof Halted))) ?? errors[0];
  if (failure !== undefined) throw failure;
}
