/**
 * The rhythm of a group member: a heartbeat per interval, fresh ones on request, and the session's end.
 *
 * Owned by `member.ts`. Runs on timers of its own and never waits for the processing of records.
 *
 * I1. At most one heartbeat is in flight, and at most one more is waiting to follow it.
 * I2. A fresh heartbeat was sent after it was asked for: an answer on its way proves nothing about
 *     what happened since.
 * I3. The session is over when the last contact is older than the session timeout, counted from its
 *     sending: by then the broker may have given our tasks away.
 * I4. A membership is proven by a contact younger than the session less a margin. After a stall it is
 *     not, whatever the answers say that waited for us.
 */
import type { Ports, Timer } from '../../ports.ts';

export interface HeartbeatsOptions {
  readonly ports: Ports;
  readonly intervalMs: number;
  readonly sessionTimeoutMs: number;
  /** Sends one and settles when the membership is proven or gone. */
  readonly beat: () => Promise<void>;
  readonly sessionOver: () => void;
}

/** Of the session; what is begun on a proof of this age still ends within the session. */
const PROOF_MARGIN = 1 / 5;

export class Heartbeats {
  readonly #options: HeartbeatsOptions;
  #state: 'resting' | 'beating' = 'resting';
  #lastContact = 0;
  #interval: Timer | null = null;
  #session: Timer | null = null;
  #current: Promise<void> = Promise.resolve();
  #following: Promise<void> | null = null;

  constructor(options: HeartbeatsOptions) {
    this.#options = options;
  }

  /** The broker knew us at `sentAt` (monotonic ms). */
  contact(sentAt: number): void {
    if (sentAt > this.#lastContact) this.#lastContact = sentAt;
  }

  get isSessionOver(): boolean {
    const { ports, sessionTimeoutMs } = this.#options;
    return ports.clock.monotonic() - this.#lastContact >= sessionTimeoutMs;
  }

  /** I4. */
  get isProven(): boolean {
    const { ports, sessionTimeoutMs } = this.#options;
    const ageMs = ports.clock.monotonic() - this.#lastContact;
    return ageMs < sessionTimeoutMs * (1 - PROOF_MARGIN);
  }

  begin(): void {
    if (this.#state === 'beating') return;
    this.#state = 'beating';
    this.#scheduleInterval();
    this.#watchSession();
  }

  /** While the broker holds a JoinGroup it does not count the session, and neither do we. */
  rest(): void {
    this.#state = 'resting';
    this.#interval?.cancel();
    this.#session?.cancel();
  }

  /** I2. Those who ask before it is sent share it. */
  fresh(): Promise<void> {
    this.#following ??= this.#afterCurrent();
    return this.#following;
  }

  async #afterCurrent(): Promise<void> {
    await this.#current.catch(() => {});
    this.#following = null;
    this.#current = this.#options.beat();
    return this.#current;
  }

  #scheduleInterval(): void {
    const { ports, intervalMs } = this.#options;
    this.#interval = ports.timers.after(intervalMs, () => {
      // What a failure means was dealt with where it happened.
      const done = this.fresh().catch(() => {});
      void done.then(() => {
        if (this.#state === 'beating') {
          this.#interval?.cancel();
          this.#scheduleInterval();
        }
      });
    });
  }

  #watchSession(): void {
    const { ports, sessionTimeoutMs } = this.#options;
    const leftMs = this.#lastContact + sessionTimeoutMs - ports.clock.monotonic();
    this.#session?.cancel();
    this.#session = ports.timers.after(Math.max(1, leftMs), () => {
      if (this.#state !== 'beating') return;
      if (this.isSessionOver) this.#options.sessionOver();
      else this.#watchSession();
    });
  }
}
