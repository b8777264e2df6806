/**
 * Time as the records tell it: the highest event time read from each partition of a task, and of
 * all of them. Committed with the offsets, so that it is the same after any crash.
 */
import { TIME_UNKNOWN } from '../transaction/step-id.ts';

export class StreamTime {
  readonly #partitions: number[];
  #latest = TIME_UNKNOWN;

  constructor(partitionTimes: readonly number[]) {
    this.#partitions = [...partitionTimes];
    for (const time of partitionTimes) if (time > this.#latest) this.#latest = time;
  }

  /** Highest event time of the task, or -1. */
  get latest(): number {
    return this.#latest;
  }

  ofPartition(index: number): number {
    return this.#partitions[index]!;
  }

  advance(index: number, timestamp: number): void {
    if (timestamp > this.#partitions[index]!) this.#partitions[index] = timestamp;
    if (timestamp > this.#latest) this.#latest = timestamp;
  }
}
