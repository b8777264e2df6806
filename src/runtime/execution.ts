/**
 * Running records: the contract between a task and its two executions.
 *
 * `SerialExecution` runs a sub-topology without asynchronous operators: a slot begins and ends in
 * one call. `StagedExecution` keeps a window of slots whose asynchronous work is under way. Both
 * release slots in dispatch order and give the same results (rxjs invariant I1: the serial
 * evaluation of the whole pipeline, record by record).
 */
import type { EscapementError } from '../errors.ts';
import type { Staged } from '../state/staged.ts';
import type { StepScope } from '../transaction/scope.ts';
import type { TaskContext } from './context.ts';
import type { Graph } from './graph.ts';
import type { Input } from './input.ts';
import type { Progress } from './progress.ts';
import type { RecordPolicies } from './record-policy.ts';
import type { StreamTime } from './stream-time.ts';

export interface Execution {
  /** False while the window of unreleased slots is full. */
  readonly hasRoom: boolean;
  /** Slots that began and are not released. */
  readonly unreleased: number;
  /** The last released slot: where a step is cut. */
  readonly releasedSlot: number;
  /** A record to run again before any other, or null. */
  takeRedo(): Input | null;
  /** Runs one record, or begins to. Throws what stops the task. */
  run(input: Input): void;
  /** Set when work that finished later stops the task. */
  readonly failure: EscapementError | null;
  /** Drops every unreleased slot: its work is cancelled and leaves no trace. */
  cancel(): void;
}

export interface ExecutionParts {
  readonly task: string;
  readonly graph: Graph;
  readonly context: TaskContext;
  readonly scope: StepScope;
  readonly stores: readonly Staged[];
  readonly time: StreamTime;
  readonly progress: Progress;
  readonly policies: RecordPolicies;
}
