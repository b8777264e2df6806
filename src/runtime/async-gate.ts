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
  /** Looked at before it begins: then it never does. */
  readonly cancelled: boolean;
}

export class AsyncGate {
  readonly #concurrency: number;
  readonly #waiting: GateJob[] = [];
  readonly #busyLanes = new Set<string>();
  #running = 0;
  #pumping: 'no' | 'once' | 'again' = 'no';

  constructor(concurrency: number) {
    this.#concurrency = concurrency;
  }

  submit(job: GateJob): void {
    this.#waiting.push(job);
    // A busy lane is looked at again when its job is done.
    if (job.lane === null || !this.#busyLanes.has(job.lane)) this.#pump();
  }

  /** A job that ends before `begin` returns comes back here: it is this loop that goes on, not one more. */
  #pump(): void {
    if (this.#pumping !== 'no') {
      this.#pumping = 'again';
      return;
    }
    do {
      this.#pumping = 'once';
      this.#beginAll();
    } while ((this.#pumping as 'once' | 'again') === 'again');
    this.#pumping = 'no';
  }

  #beginAll(): void {
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
