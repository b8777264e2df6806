/** What one step asks the producer session to commit: written records and consumed offsets. */

import type { PendingBatch } from '../records/batch-writer.ts';
import type { TopicPartition } from '../topic-partition.ts';

/** Who we are in the consumer group: the second fence, checked by the group coordinator (KIP-447). */
export interface Membership {
  readonly generation: number;
  readonly memberId: string;
  readonly instanceId: string | null;
}

export interface StepOutput extends TopicPartition {
  /** At least one, in the order in which they are to be written. */
  readonly batches: readonly PendingBatch[];
}

export interface StepOffset extends TopicPartition {
  /** Of the next record to read. */
  readonly offset: number;
  readonly metadata: string;
}

export interface StepOffsets {
  readonly groupId: string;
  /** Asked right before the offsets are sent; waits out a JoinGroup that is under way. */
  readonly membership: () => Promise<Membership>;
  /**
   * Asked right before EndTxn(commit): resolves when the group has proven of late that we are a
   * member, after a fresh heartbeat where that is needed; rejects with `lost` when we are not. A
   * process that stood still past its session commits nothing.
   */
  readonly proof: () => Promise<void>;
  readonly partitions: readonly StepOffset[];
}

export interface SessionStep {
  /** Each partition at most once. */
  readonly outputs: readonly StepOutput[];
  readonly offsets: StepOffsets;
}
