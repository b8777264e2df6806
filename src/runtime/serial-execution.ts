/**
 * One record at a time, to its end: the execution of a sub-topology without asynchronous operators.
 *
 * I1. A slot begins and ends within `run`; its effects go straight into the step's scope, and a
 *     failed record is undone by marks: the scope's, and the stores' undo logs.
 * I2. Nothing is allocated here per record, and nothing is awaited.
 */
import { EscapementError } from '../errors.ts';
import { calledBy } from '../topology/check.ts';
import type { AnyRec } from '../topology/node.ts';
import type { Execution, ExecutionParts } from './execution.ts';
import type { Input } from './input.ts';
import { userError } from './operator-error.ts';
import { isEventTime, recordError } from './record-policy.ts';

export class SerialExecution implements Execution {
  readonly hasRoom = true;
  readonly unreleased = 0;
  readonly failure: EscapementError | null = null;
  readonly #parts: ExecutionParts;
  #slot = 0;

  constructor(parts: ExecutionParts) {
    this.#parts = parts;
    parts.context.effects = parts.scope;
  }

  get releasedSlot(): number {
    return this.#slot;
  }

  takeRedo(): null {
    return null;
  }

  run(input: Input): void {
    for (let attempt = 1; ; attempt += 1) {
      const error = this.#attempt(input);
      if (error === null) return;
      const verdict = this.#parts.policies.decide(error, input.source, attempt);
      if (verdict === 'retry') continue;
      this.#settle(input, verdict === 'dead-letter' ? error : null);
      return;
    }
  }

  cancel(): void {}

  #attempt(input: Input): EscapementError | null {
    const { record } = input;
    const { context, scope, stores, time, progress, task } = this.#parts;
    this.#slot += 1;
    scope.mark();
    for (let i = 0; i < stores.length; i += 1) stores[i]!.begin(this.#slot);
    const before = time.latest;
    context.streamTimeBefore = before;
    context.streamTime = record.timestamp > before ? record.timestamp : before;
    try {
      checkTime(input);
      if (!isDroppedNull(input)) input.process(record);
      if (record.timestamp > before) this.#closeWindows(record);
    } catch (cause) {
      scope.rollback();
      for (const store of stores) store.rollback(this.#slot - 1);
      return recordError(cause, task, input);
    }
    time.advance(input.index, record.timestamp);
    progress.release(input.index, input.nextOffset, record.timestamp);
    return null;
  }

  #closeWindows(record: AnyRec): void {
    const closers = this.#parts.graph.closers[0]!;
    for (let i = 0; i < closers.length; i += 1) closers[i]!(record.meta);
  }

  /** Releases a slot for a failed record: its dead letter, or nothing but its offset. */
  #settle(input: Input, deadLetter: EscapementError | null): void {
    const { scope, progress, policies } = this.#parts;
    this.#slot += 1;
    scope.mark();
    if (deadLetter !== null) policies.bury(input.record, deadLetter, input.source, scope);
    progress.release(input.index, input.nextOffset, -1);
  }
}

/**
 * A negative event time is a record error, as in Kafka Streams (FailOnInvalidTimestamp); so is one
 * that a number cannot hold exactly, the stream time would be lost with it.
 */
export function checkTime({ record, source, extractorFailure }: Input): void {
  if (isEventTime(record.timestamp)) return;
  if (extractorFailure !== undefined) throw userError(source, extractorFailure, 'timestamp');
  throw new EscapementError(
    'TIMESTAMP_INVALID',
    `its event time is invalid (${record.timestamp}): give ${calledBy(source)} a ` +
      `timestamp extractor that returns epoch milliseconds.`,
  );
}

/** A null value under `nulls: 'drop'` advances stream time and closes windows, and no more. */
export function isDroppedNull(input: Input): boolean {
  return input.record.valueStart < 0 && input.source.nulls === 'drop';
}
