/**
 * The asynchronous work of one slot at one operator: a `mapAsync` call per record, or one
 * subscription of a stock segment over all the records that the input record caused.
 *
 * The results come back as records in the order of the inputs, or the failure; exactly once, and
 * never after a cancel.
 */
import { EscapementError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import { isPromise, kindOf } from '../serde/kind-of.ts';
import { calledBy } from '../topology/check.ts';
import type { AnyRec, MapAsyncNode, SegmentNode } from '../topology/node.ts';
import { Rec } from '../topology/record.ts';
import type { AsyncNode } from '../topology/stages.ts';
import { userError } from './operator-error.ts';

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
  const once = settleOnce(node, ports, outcome, () => abort.abort());
  try {
    const result = node.map(record, abort.signal);
    if (!isPromise(result)) {
      once.done([record.withValue(result)]);
    } else {
      result.then(
        (value) => once.done([record.withValue(value)]),
        (cause: unknown) => once.failed(userError(node, cause)),
      );
    }
  } catch (cause) {
    once.failed(userError(node, cause));
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
  const once = settleOnce(node, ports, outcome, () => {
    settled = true;
    unsubscribe?.();
  });
  unsubscribe = node.subscribe(items, {
    next: (record) => {
      if (record instanceof Rec) results.push(record);
      else once.failed(lostRecord(node, record));
    },
    error: (cause) => once.failed(userError(node, cause)),
    complete: () => once.done(results),
  });
  if (settled) unsubscribe();
  return once.cancel;
}

function settleOnce(
  node: AsyncNode,
  ports: Ports,
  outcome: WorkOutcome,
  stop: () => void,
): WorkOutcome & { readonly cancel: () => void } {
  let open = true;
  const { timeoutMs } = node;
  const timer = ports.timers.after(timeoutMs, () => {
    if (!open) return;
    close();
    stop();
    outcome.failed(
      new EscapementError(
        'RECORD_TIMEOUT',
        `${calledBy(node)} did not finish within ${timeoutMs} ms: mend the call, or raise its ` +
          `timeoutMs, for which later records of the task wait.`,
        { at: { node: node.id } },
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

function lostRecord(node: SegmentNode, emitted: unknown): EscapementError {
  return new EscapementError(
    'TOPOLOGY_INVALID',
    `${calledBy(node)} emitted something that is not a record but ${kindOf(emitted)}: make records ` +
      `with record.withValue(), or use values(...) for stock operators on values.`,
    { at: { node: node.id } },
  );
}
