/** What a task needs of the group member. */
import type { Membership } from '../kafka/producer/step.ts';

export interface GroupPort {
  /** A fresh heartbeat; rejects when the membership is gone. */
  heartbeat(): Promise<void>;
  /** Runs what opens a transaction when no JoinGroup is under way; one that is due waits for it. */
  step<T>(run: () => Promise<T>): Promise<T>;
  /** Generation and ids for TxnOffsetCommit; waits while a JoinGroup is in flight. */
  membership(): Promise<Membership>;
  /** Resolves when the membership was proven of late, by a fresh heartbeat where that is needed. */
  proof(): Promise<void>;
  /** Whether every generation since gave us the task without a gap. */
  ownedSince(taskId: string, generation: number): boolean;
  /** -1 while not a member. */
  readonly generation: number;
}
