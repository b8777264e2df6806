/** What a task's last committed step left: the point to which an abort goes back. */
import type { TopicPartition } from '../kafka/topic-partition.ts';
import { decodeMetadata } from '../transaction/step-id.ts';

export interface Committed {
  /** Id of the step; empty when the offsets were written by somebody else. */
  readonly stepId: string;
  /** Next offset of each input, in the order of the task's inputs. */
  readonly offsets: readonly number[];
  /** Partition time of each input, -1 when unknown. */
  readonly times: readonly number[];
}

export interface FetchedOffset extends TopicPartition {
  readonly offset: number;
  readonly metadata: string | null;
}

/** Puts fetched offsets into the order of the inputs; an input without one has offset -1. */
export function committedFrom(
  inputs: readonly TopicPartition[],
  fetched: readonly FetchedOffset[],
): Committed {
  const offsets: number[] = [];
  const times: number[] = [];
  const ids = new Set<string>();
  for (const input of inputs) {
    const found = fetched.find(
      ({ topic, partition }) => topic === input.topic && partition === input.partition,
    );
    const metadata = decodeMetadata(found?.metadata ?? null);
    offsets.push(found?.offset ?? -1);
    times.push(metadata.partitionTime);
    ids.add(metadata.stepId);
  }
  // Every step commits every input, so differing ids mean that somebody wrote offsets by hand.
  const [stepId] = ids;
  return { stepId: ids.size === 1 ? (stepId ?? '') : '', offsets, times };
}

export function sameCommitted(a: Committed, b: Committed): boolean {
  return a.stepId === b.stepId && a.offsets.every((offset, i) => offset === b.offsets[i]);
}
