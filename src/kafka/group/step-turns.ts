/**
 * Steps and JoinGroups take turns: what opens a transaction, and what ends the generation that its
 * offsets name.
 *
 * Owned by `member.ts`. A JoinGroup is sent when the steps under way have ended, for they are on
 * other connections: offsets that were sent before it could be handled after it, be refused for
 * their generation, and the step would be undone. Records are processed all the while.
 *
 * I1. From `drained` until `open` no step begins; those that want to wait.
 * I2. The wait for steps is bounded: one that hangs does not keep the group from its rebalance.
 */
import type { Timers } from '../../ports.ts';
import { Gate } from './gate.ts';

export class StepTurns {
  readonly #timers: Timers;
  readonly #gate = new Gate();
  readonly #idle = new Gate();
  #underWay = 0;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Runs a step in its turn. Rejects without running it when the membership ends meanwhile. */
  async run<T>(step: () => Promise<T>): Promise<T> {
    await this.#gate.wait();
    this.#underWay += 1;
    this.#idle.shut();
    try {
      return await step();
    } finally {
      this.#underWay -= 1;
      if (this.#underWay === 0) this.#idle.open();
    }
  }

  /** Lets no other step begin and waits for those under way, at most `boundMs` (I2). */
  async drained(boundMs: number): Promise<void> {
    this.#gate.shut();
    if (this.#underWay === 0) return;
    await new Promise<void>((resolve) => {
      const timer = this.#timers.after(boundMs, resolve);
      void this.#idle.wait().then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  open(): void {
    this.#gate.open();
  }

  turnAway(error: Error): void {
    this.#gate.turnAway(error);
  }

  close(error: Error): void {
    this.#gate.close(error);
  }
}
