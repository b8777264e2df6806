/**
 * Where the embedded broker is known to differ from the Kafka it is held to. The goal is none: an
 * exception that no longer differs fails the suite.
 */
import type { TargetName } from './target.ts';

export interface Exception {
  readonly target: TargetName;
  /** Title of the case. */
  readonly case: string;
  readonly reason: string;
}

export const EXCEPTIONS: readonly Exception[] = [];
