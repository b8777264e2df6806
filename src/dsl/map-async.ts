import type { Partitioning, Rec } from '../topology/record.ts';
import { type AsyncOptions, asyncBounds, refuseUnknownAsync } from './async-options.ts';
import { checkFunctions } from './function-check.ts';
import type { FrameworkOperator } from './operator.ts';
import { frameworkOperator } from './tracing-stream.ts';

export interface MapAsyncOptions extends AsyncOptions {
  /** Names the operator in errors and descriptions. */
  readonly name?: string;
}

/**
 * Replaces the value by what an asynchronous call makes of it. Records go on in their order,
 * whatever call ends first; a commit never waits for calls that are under way. A call is made again
 * when its step is redone: give the other system `topic-partition-offset` as idempotency key.
 */
export function mapAsync<K, V, W, P extends Partitioning>(
  map: (value: V, record: Rec<K, V, P>, signal: AbortSignal) => PromiseLike<W> | W,
  options: MapAsyncOptions = {},
): FrameworkOperator<Rec<K, V, P>, Rec<K, W, P>> {
  refuseUnknownAsync('mapAsync', options);
  return frameworkOperator('mapAsync', (stream) => {
    const { drawing, node } = stream;
    checkFunctions(drawing, 'mapAsync', { '': map });
    const id = options.name ?? drawing.nextId('mapAsync');
    const problems: string[] = [];
    const bounds = asyncBounds(options, problems);
    for (const problem of problems) drawing.problem(id, problem);
    return stream.below(
      drawing.add({
        kind: 'mapAsync',
        id,
        parents: [node],
        map: (record, signal) => map(record.value, record, signal),
        ...bounds,
      }),
    );
  });
}
