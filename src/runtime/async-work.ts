/**
 * The asynchronous work of one slot at one operator: a `mapAsync` call per record, or one
 * subscription of a stock segment over all the records that the input record caused.
 *
 * The results come back as records in the order of the inputs, or the failure; exactly once, and
 * never after a cancel.
 */
import { EscapementError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import type { AnyRec, MapAsyncNode, SegmentNode } from '../topology/node.ts';
import { Rec } from '../topology/record.ts';

export interface WorkOutcome {
  done(results: readonly AnyRec[]): void;
  failed(cause: unknown): void;
}

/** Starts the call of `mapAsync` for one record; returns how to cancel it. */
export function startCall(
  node: MapAsyncNode,
  record: AnyRec,
  ports: Ports,
  outcome: WorkOutcome,
): () => void {
  const abort = new AbortController();
  const once = settleOnce(node.id, node.timeoutMs, ports, outcome, () => abort.abort());
  try {
    const result = node.map(record, abort.signal);
    if (!isThenable(result)) {
      once.done([record.withValue(result)]);
    } else {
      result.then(
        (value) => once.done([record.withValue(value)]),
        (cause: unknown) => once.failed(cause),
      );
    }
  } catch (cause) {
    once.failed(cause);
  }
  return once.cancel;
}

/** Subscribes a stock segment over `items`; returns how to unsubscribe. */
export function startSegment(
  node: SegmentNode,
  items: readonly AnyRec[],
  ports: Ports,
  outcome: WorkOutcome,
): () => void {
  const results: AnyRec[] = [];
  let unsubscribe: (() => void) | null = null;
  let settled = false;
  const once = settleOnce(node.id, node.timeoutMs, ports, outcome, () => {
    settled = true;
    unsubscribe?.();
  });
  unsubscribe = node.subscribe(items, {
    next: (record) => {
      if (record instanceof Rec) results.push(record);
      else once.failed(lostRecord(node.id));
    },
    error: (cause) => once.failed(cause),
    complete: () => once.done(results),
  });
  if (settled) unsubscribe();
  return once.cancel;
}

function settleOnce(
  node: string,
  timeoutMs: number,
  ports: Ports,
  outcome: WorkOutcome,
  stop: () => void,
): WorkOutcome & { readonly cancel: () => void } {
  let open = true;
  const timer = ports.timers.after(timeoutMs, () => {
    if (!open) return;
    close();
    stop();
    outcome.failed(
      new EscapementError(
        'RECORD_TIMEOUT',
        `${node} did not finish within ${timeoutMs} ms: mend the call, or raise its timeoutMs, for ` +
          `which later records of the task wait.`,
        { at: { node } },
      ),
    );
  });
  function close(): void {
    open = false;
    timer.cancel();
  }
  return {
    done(results) {
      if (!open) return;
      close();
      outcome.done(results);
    },
    failed(cause) {
      if (!open) return;
      close();
      stop();
      outcome.failed(cause);
    },
    cancel() {
      if (!open) return;
      close();
      stop();
    },
  };
}

function lostRecord(node: string): EscapementError {
  return new EscapementError(
    'TOPOLOGY_INVALID',
    `${node} emitted something that is not a record: make records with record.withValue(), or ` +
      `use values(...) for stock operators on values.`,
    { at: { node } },
  );
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}
