/**
 * How much asynchronous work of one operator is under way: at most `concurrency` calls, and with
 * order `key` one call per key at a time, in dispatch order.
 *
 * Jobs that wait are bounded by the task's window of slots.
 */
export interface GateJob {
  /** Jobs of one lane never overlap; null: no lane. */
  readonly lane: string | null;
  /** Begins the work; calls `done` exactly once, unless cancelled before. */
  begin(done: () => void): void;
  cancelled: boolean;
}

export class AsyncGate {
  readonly #concurrency: number;
  readonly #waiting: GateJob[] = [];
  readonly #busyLanes = new Set<string>();
  #running = 0;

  constructor(concurrency: number) {
    this.#concurrency = concurrency;
  }

  submit(job: GateJob): void {
    this.#waiting.push(job);
    this.#pump();
  }

  #pump(): void {
    for (let i = 0; i < this.#waiting.length && this.#running < this.#concurrency; ) {
      const job = this.#waiting[i]!;
      if (job.cancelled) {
        this.#waiting.splice(i, 1);
        continue;
      }
      if (job.lane !== null && this.#busyLanes.has(job.lane)) {
        i += 1;
        continue;
      }
      this.#waiting.splice(i, 1);
      this.#begin(job);
    }
  }

  #begin(job: GateJob): void {
    this.#running += 1;
    if (job.lane !== null) this.#busyLanes.add(job.lane);
    let over = false;
    job.begin(() => {
      if (over) return;
      over = true;
      this.#running -= 1;
      if (job.lane !== null) this.#busyLanes.delete(job.lane);
      this.#pump();
    });
  }
}
