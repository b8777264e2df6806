/**
 * How long partitions stand still when their owner goes: from the signal to the first committed
 * output that another process has written there.
 */
export interface TakeOverTimes {
  readonly samples: number;
  readonly medianMs: number | null;
  readonly maxMs: number | null;
}

interface Watch {
  readonly writer: string;
  readonly fromMs: number;
  readonly waiting: Set<number>;
  readonly done: () => void;
}

export class TakeOver {
  readonly #now: () => number;
  readonly #times: number[] = [];
  #watch: Watch | null = null;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** From now on; resolves when every partition has an output of a successor. */
  watch(writer: string, partitions: readonly number[]): Promise<void> {
    return new Promise((resolve) => {
      const waiting = new Set(partitions);
      this.#watch = { writer, fromMs: this.#now(), waiting, done: resolve };
    });
  }

  /** A committed output was seen. */
  output(partition: number, writer: string): void {
    const watch = this.#watch;
    if (watch === null || writer === watch.writer || !watch.waiting.delete(partition)) return;
    this.#times.push(this.#now() - watch.fromMs);
    if (watch.waiting.size > 0) return;
    this.#watch = null;
    watch.done();
  }

  /** Something else has come between: what was not seen yet is no sample. */
  forget(): void {
    this.#watch = null;
  }

  times(): TakeOverTimes {
    const sorted = [...this.#times].sort((one, other) => one - other);
    const at = (index: number): number | null =>
      sorted[index] === undefined ? null : Math.round(sorted[index]);
    return {
      samples: sorted.length,
      medianMs: at(sorted.length >> 1),
      maxMs: at(sorted.length - 1),
    };
  }
}
