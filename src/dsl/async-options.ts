/** How asynchronous work of an operator is bounded. */
import { type Known, refuseUnknown } from '../config/known-options.ts';

export interface AsyncOptions {
  /** Most calls under way in a task: 1 to 10,000, default 64. Never changes results. */
  readonly concurrency?: number;
  /**
   * `key` (default): one call per key at a time, in order. `partition`: calls of one key may
   * overlap. Results go on in the order of the records either way.
   */
  readonly order?: 'key' | 'partition';
  /**
   * How long the work of one record may take, 1 to 900,000 ms, default 5,000. No transaction is open
   * meanwhile, so `transactionTimeoutMs` is no bound of it; later records of the task wait for it
   * with their results, up to `asyncWindowMax` of them. A task that is revoked or stopped does not
   * wait: the work is cancelled, and done again wherever the task runs next.
   */
  readonly timeoutMs?: number;
}

export type AsyncBounds = Required<AsyncOptions>;

export const ASYNC_DEFAULTS: AsyncBounds = Object.freeze({
  concurrency: 64,
  order: 'key',
  timeoutMs: 5_000,
});

const KNOWN: Known<AsyncOptions & { readonly name?: string }> = {
  name: true,
  concurrency: true,
  order: true,
  timeoutMs: true,
};

/** Throws `OPTION_INVALID` for options that an asynchronous operator does not have. */
export function refuseUnknownAsync(where: string, given: unknown): void {
  refuseUnknown(where, given, KNOWN);
}

/** Fills in the defaults and adds what is wrong to `problems`. */
export function asyncBounds(given: AsyncOptions, problems: string[]): AsyncBounds {
  const bounds: AsyncBounds = {
    concurrency: given.concurrency ?? ASYNC_DEFAULTS.concurrency,
    order: given.order ?? ASYNC_DEFAULTS.order,
    timeoutMs: given.timeoutMs ?? ASYNC_DEFAULTS.timeoutMs,
  };
  const within = (name: 'concurrency' | 'timeoutMs', most: number): void => {
    const value = bounds[name];
    if (Number.isSafeInteger(value) && value >= 1 && value <= most) return;
    problems.push(`${name} must be a whole number from 1 to ${most}, not ${String(value)}`);
  };
  within('concurrency', 10_000);
  within('timeoutMs', 900_000);
  if (bounds.order !== 'key' && bounds.order !== 'partition') {
    problems.push(`order must be 'key' or 'partition', not ${String(bounds.order)}`);
  }
  return bounds;
}
