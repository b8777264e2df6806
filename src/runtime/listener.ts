/** What an application can be told while it runs. Every callback is optional and must not throw. */
import type { EscapementError } from '../errors.ts';

/**
 * created -> starting -> rebalancing <-> running -> stopping -> stopped, or failed from anywhere.
 */
export type InstanceState =
  | 'starting'
  | 'rebalancing'
  | 'running'
  | 'stopping'
  | 'stopped'
  | 'failed';

export interface RuntimeListener {
  /** `running`: the group assigned tasks to this instance and each of them processes records. */
  readonly stateChanged?: (state: InstanceState) => void;
  readonly restoreStarted?: (event: {
    readonly task: string;
    readonly topic: string;
    readonly partition: number;
    readonly from: number;
    readonly to: number;
  }) => void;
  readonly restoreEnded?: (event: {
    readonly task: string;
    readonly topic: string;
    readonly partition: number;
    readonly restored: number;
  }) => void;
  readonly taskStarted?: (task: string) => void;
  readonly taskClosed?: (task: string, reason: 'revoked' | 'lost' | 'stopped') => void;
  readonly failed?: (error: EscapementError) => void;
}
