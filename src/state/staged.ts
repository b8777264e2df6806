/**
 * The staging contract that every store keeps: a write can be undone until its transaction commits.
 *
 * Called by `src/runtime` alone. Slots are increasing integers given by the task, and a store's
 * writes come in slot order.
 *
 *            begin(7)    begin(8)        seal(7)                committed()
 *   open:    [7]         [7 8]           [8]          [8 9]     [8 9]
 *   sealed:                              [7]          [7]
 *
 * I1. At most two generations: the sealed one, whose transaction is under way, and the open one.
 * I2. A generation is cut at the last released slot, never at the moment of commit: what later
 *     slots wrote stays in the open generation.
 */
export interface Staged {
  /** Writes from here on belong to this slot. Not lower than the slot of any write in store. */
  begin(slot: number): void;
  /**
   * Slots up to this one will not be rolled back by themselves any more, only with their
   * generation. Optional to call: it keeps one undo entry per row instead of one per write.
   */
  release(slot: number): void;
  /** Undoes the writes of slots > `afterSlot`, newest first. Released slots must not be among them. */
  rollback(afterSlot: number): void;
  /** The writes of slots <= `slot` become the sealed generation. There must be none yet. */
  seal(slot: number): void;
  /** The sealed generation is committed for good. */
  committed(): void;
  /** Undoes the open and the sealed generation, newest first. */
  aborted(): void;
}

/** How far the restore of a store has come in its changelog partition. */
export interface Restoring {
  readonly topic: string;
  readonly partition: number;
  /** Next offset to apply. */
  position: number;
  /** The changelog's end. */
  readonly to: number;
}

/** What a read shows: everything written, or only what is committed. */
export type View = 'staged' | 'committed';

/** A copy of one row. */
export interface Row {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly timestamp: number;
}

/** A copy of one row of one window. */
export interface WindowRow extends Row {
  readonly windowStart: number;
}
