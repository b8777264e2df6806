/** What an application can be told while it runs. What a callback throws is logged, and no more. */
import type { EscapementError } from '../errors.ts';
import type { Log } from '../telemetry/log.ts';

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
  /**
   * `running`: the group assigned tasks to this instance and each of them processes records.
   * `rebalancing`: one of them is being assigned or restored, or its last step failed and is being
   * undone, which the counter `transactions.aborted` tells from a rebalance of the group.
   */
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
  /**
   * An input went on elsewhere, by the policy of its source (`onOffsetOutOfRange`), because its
   * position `from` is not in the log. Records between `from` and `to` were not processed.
   */
  readonly offsetReset?: (event: {
    readonly topic: string;
    readonly partition: number;
    readonly from: number;
    readonly to: number;
    readonly policy: 'earliest' | 'latest';
  }) => void;
  readonly taskStarted?: (task: string) => void;
  readonly taskClosed?: (task: string, reason: 'revoked' | 'lost' | 'stopped') => void;
  readonly failed?: (error: EscapementError) => void;
}

/** The same listener, which never throws: a task must not fail because somebody watched it. */
export function guarded(listener: RuntimeListener, log: Log): Required<RuntimeListener> {
  const tell = (callback: keyof RuntimeListener, call: () => void): void => {
    try {
      call();
    } catch (cause) {
      log.error({ callback, reason: String(cause) }, 'a listener failed');
    }
  };
  return {
    stateChanged: (state) => tell('stateChanged', () => listener.stateChanged?.(state)),
    restoreStarted: (event) => tell('restoreStarted', () => listener.restoreStarted?.(event)),
    restoreEnded: (event) => tell('restoreEnded', () => listener.restoreEnded?.(event)),
    offsetReset: (event) => tell('offsetReset', () => listener.offsetReset?.(event)),
    taskStarted: (task) => tell('taskStarted', () => listener.taskStarted?.(task)),
    taskClosed: (task, reason) => tell('taskClosed', () => listener.taskClosed?.(task, reason)),
    failed: (error) => tell('failed', () => listener.failed?.(error)),
  };
}
