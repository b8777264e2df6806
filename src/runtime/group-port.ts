/** What a task needs of the group member. */
import { EscapementError } from '../errors.ts';
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

/**
 * The group as one life of a task sees it: whatever it is told after that life has ended is refused.
 * A membership that was lost and had anew would else commit the step that was under way when it was
 * lost, and an assignment that was given up would fence the owner that came after it.
 */
export function groupOf(task: string, group: GroupPort, isOver: () => boolean): GroupPort {
  const unlessOver = <T>(told: T): T => {
    if (!isOver()) return told;
    const message = `Task ${task} was let go while it waited for the group.`;
    throw new EscapementError('TASK_LOST', message, { at: { task } });
  };
  return {
    heartbeat: () => group.heartbeat().then(unlessOver),
    step: (run) => group.step(async () => unlessOver(run)()),
    membership: () => group.membership().then(unlessOver),
    proof: () => group.proof().then(unlessOver),
    ownedSince: (id, generation) => !isOver() && group.ownedSince(id, generation),
    get generation() {
      return group.generation;
    },
  };
}
