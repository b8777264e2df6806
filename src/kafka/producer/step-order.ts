/**
 * How the requests of a step on transactions v2 follow each other.
 *
 * There each Produce and TxnOffsetCommit adds what it writes to the transaction by itself, with a
 * write of the coordinator. A request that finds the coordinator busy with another one, or with the
 * end of the transaction before, is put off: TxnOffsetCommit is answered at once and sent again after
 * 2 ms, but Produce is held by its leader for 20 ms and more
 * (`add.partitions.to.txn.retry.backoff.ms`). So Produce must not be the one that finds it busy.
 * Measured in docs/decisions/0011.
 *
 *   beside         both at once: the leader is the group's coordinator, too, and takes the requests of
 *                  one connection in turn anyway. Two serial round trips.
 *   announced      all partitions are added by one AddPartitionsToTxn, as on v1, which is refused at
 *                  once while the coordinator is busy. Then Produce 11, which adds nothing, beside
 *                  TxnOffsetCommit 5, which adds the group. Three serial round trips.
 *   after          the offsets when Produce is acknowledged; for measurements.
 *   offsets-first  Produce when the offsets are in; for measurements.
 *
 * I1. Whatever the order, EndTxn is sent when every answer is in.
 */

export type StepOrder = 'beside' | 'announced' | 'after' | 'offsets-first';

/** Node ids as of the last step; -1: not known yet. `null`: no offsets. */
export interface StepPlaces {
  readonly leaders: ReadonlySet<number>;
  readonly groupNode: number | null;
}

/** A Produce that took longer was held: a leader that appends at once takes a few milliseconds. */
const HELD_MS = 15;
/** Steps that are announced after one that was held or put off. */
const CAUTIOUS_STEPS = 32;

export class StepOrders {
  readonly #fixed: StepOrder | null;
  #cautious = 0;

  constructor(fixed: StepOrder | null) {
    this.#fixed = fixed;
  }

  next({ leaders, groupNode }: StepPlaces): StepOrder {
    if (this.#fixed !== null) return this.#fixed;
    const isShared = groupNode === null || (groupNode >= 0 && leaders.has(groupNode));
    const isOneNode = leaders.size === 1 && isShared;
    return isOneNode && this.#cautious === 0 ? 'beside' : 'announced';
  }

  /** How the step went until EndTxn: time, and requests that were sent again. */
  went(order: StepOrder, elapsedMs: number, repeated: number): void {
    const wasHeld = order === 'beside' ? elapsedMs > HELD_MS : repeated > 0;
    if (wasHeld) this.#cautious = CAUTIOUS_STEPS;
    else if (this.#cautious > 0) this.#cautious -= 1;
  }
}
