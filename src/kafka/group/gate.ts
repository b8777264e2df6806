/** A place to wait at: open for all, or shut until it opens or all who wait are turned away. */

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class Gate {
  #state: 'open' | 'shut' = 'shut';
  #refusal: Error | null = null;
  #waiters: Waiter[] = [];

  wait(): Promise<void> {
    if (this.#refusal !== null) return Promise.reject(this.#refusal);
    if (this.#state === 'open') return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
    });
  }

  open(): void {
    this.#state = 'open';
    for (const { resolve } of this.#take()) resolve();
  }

  shut(): void {
    this.#state = 'shut';
  }

  /** Shuts, and rejects those who wait now. */
  turnAway(error: Error): void {
    this.#state = 'shut';
    for (const { reject } of this.#take()) reject(error);
  }

  /** As `turnAway`, for whoever comes later as well. */
  close(error: Error): void {
    this.#refusal = error;
    this.turnAway(error);
  }

  #take(): Waiter[] {
    const waiters = this.#waiters;
    this.#waiters = [];
    return waiters;
  }
}
