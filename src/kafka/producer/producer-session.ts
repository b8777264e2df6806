/** What a task needs of a producer session, transactional or not. */
import type { SessionState } from './session-state.ts';
import type { SessionStep } from './step.ts';

export interface ProducerSession {
  readonly state: SessionState;
  /** Begins, or begins anew after a failure; allowed in every state of rest. */
  init(): Promise<void>;
  /** Writes the outputs of a step and the offsets it has reached. */
  commit(step: SessionStep): Promise<void>;
  /** After a definite failure: back to `ready`. */
  abort(): Promise<void>;
}
