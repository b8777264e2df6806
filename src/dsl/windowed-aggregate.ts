import { type Known, refuseUnknown } from '../config/known-options.ts';
import type { Serde } from '../serde/serde.ts';
import type { AnyRec } from '../topology/node.ts';
import type { Keyed, Rec, Windowed } from '../topology/record.ts';
import type { Drawing } from './drawing.ts';
import { checkFunctions } from './function-check.ts';
import type { KStream } from './k-stream.ts';
import type { FrameworkOperator } from './operator.ts';
import { checkSerdes } from './serde-check.ts';
import { requireKeyed } from './stateful.ts';
import { frameworkOperator, type TracingStream } from './tracing-stream.ts';
import { type TimeWindow, WINDOW, windowProblems } from './window.ts';

export interface WindowedAggregateOptions<K, V, A> {
  /** Names the store and its changelog `<applicationId>-<name>-changelog`. */
  readonly name: string;
  readonly window: TimeWindow;
  /** The aggregate of a window that holds nothing yet. */
  readonly init: () => A;
  /** The next aggregate; returns a new value or the same, never changes the one it got. */
  readonly add: (aggregate: A, value: V, record: Rec<K, V, Keyed>) => A;
  readonly key: Serde<NoInfer<K>>;
  readonly value: Serde<NoInfer<A>>;
  /**
   * `update` (default): after every record. `final`: once per key and window, when the window
   * closes; the stream time of the partition must pass its end and grace. Java: `EmitStrategy`.
   */
  readonly emit?: 'update' | 'final';
  /** The pipeline of records whose windows are all closed. Default: they are counted and dropped. */
  readonly late?: (stream: KStream<K, V, Keyed>) => void;
}

const KNOWN: Known<WindowedAggregateOptions<unknown, unknown, unknown>> = {
  name: true,
  window: true,
  init: true,
  add: true,
  key: true,
  value: true,
  emit: true,
  late: true,
};

/**
 * Keeps one aggregate per key and window of event time. A window takes a record while its end plus
 * grace is after the stream time, this record counted. Java: `windowedBy(...).aggregate(...)`.
 */
export function windowedAggregate<K, V, A>(
  options: WindowedAggregateOptions<K, V, A>,
): FrameworkOperator<Rec<K, V, Keyed>, Rec<Windowed<K>, A, Keyed>> {
  const operator = `windowedAggregate('${options?.name}')`;
  refuseUnknown(operator, options, KNOWN);
  if (options?.window) refuseUnknown(`${operator}: window`, options.window, WINDOW);
  return frameworkOperator(operator, (stream) => {
    const { drawing, node } = stream;
    requireKeyed(stream, operator);
    check(drawing, operator, options);
    const { name, window, init, add, key, value, emit = 'update', late } = options ?? {};
    checkFunctions(drawing, operator, { init, add });
    const lateId = late === undefined ? null : drawing.nextId('late', 1);
    const result = stream.below(
      drawing.add({
        kind: 'windowedAggregate',
        id: drawing.nextId('windowedAggregate'),
        parents: [node],
        store: name,
        sizeMs: window?.sizeMs,
        advanceMs: window?.advanceMs ?? window?.sizeMs,
        graceMs: window?.graceMs,
        emit,
        init,
        add: (before, record: AnyRec) => add(before as A, record.value, record),
        key,
        value,
        late: lateId,
      }),
    );
    if (late !== undefined) drawLate(result, lateId!, late as (stream: unknown) => void);
    return result;
  });
}

function drawLate(aggregation: TracingStream, id: string, late: (stream: unknown) => void): void {
  const { drawing, node } = aggregation;
  late(aggregation.below(drawing.add({ kind: 'late', id, parents: [node] })));
}

function check<K, V, A>(
  drawing: Drawing,
  operator: string,
  options: WindowedAggregateOptions<K, V, A>,
): void {
  checkSerdes(drawing, operator, options);
  for (const problem of windowProblems(options?.window)) drawing.problem(operator, problem);
  const emit: unknown = options?.emit ?? 'update';
  if (emit !== 'update' && emit !== 'final') {
    drawing.problem(operator, `emit must be 'update' or 'final', not ${String(emit)}`);
  }
}
