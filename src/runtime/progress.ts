/**
 * How far a task has come: the next offset and the time of each input, as of the last released
 * slot. This, and never a fetch position, is what a step commits.
 */
import type { TopicPartition } from '../kafka/topic-partition.ts';

export class Progress {
  readonly inputs: readonly TopicPartition[];
  readonly offsets: number[];
  readonly times: number[];
  /** True when something moved since the last seal. */
  moved = false;

  constructor(
    inputs: readonly TopicPartition[],
    offsets: readonly number[],
    times: readonly number[],
  ) {
    this.inputs = inputs;
    this.offsets = [...offsets];
    this.times = [...times];
  }

  /** A slot was released. */
  release(index: number, nextOffset: number, timestamp: number): void {
    this.offsets[index] = nextOffset;
    if (timestamp > this.times[index]!) this.times[index] = timestamp;
    this.moved = true;
  }

  /** Control batches, aborted or compacted records were passed: only the offset moves. */
  skipTo(index: number, nextOffset: number): void {
    if (nextOffset <= this.offsets[index]!) return;
    this.offsets[index] = nextOffset;
    this.moved = true;
  }
}
