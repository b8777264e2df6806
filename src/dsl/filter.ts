import type { Keyed, Partitioning, Rec } from '../topology/record.ts';
import { checkFunctions } from './function-check.ts';
import type { FrameworkOperator } from './operator.ts';
import { frameworkOperator } from './tracing-stream.ts';

/**
 * Passes on the records that `test` accepts; a type guard narrows the stream. Fails the record when
 * the result is neither `true` nor `false`: a Promise would pass everything. Java: `KStream.filter`.
 */
export function filter<T extends Rec<unknown, unknown, Partitioning>, S extends T>(
  test: (record: T) => record is S,
): FrameworkOperator<T, S>;
export function filter<T extends Rec<unknown, unknown, Partitioning>>(
  test: (record: T) => boolean,
): FrameworkOperator<T, T>;
export function filter(
  test: (record: Rec<unknown, unknown, Keyed>) => boolean,
): FrameworkOperator<unknown, unknown> {
  return frameworkOperator('filter', (stream) => {
    const { drawing, node } = stream;
    checkFunctions(drawing, 'filter', { '': test });
    const id = drawing.nextId('filter');
    return stream.below(drawing.add({ kind: 'filter', id, parents: [node], test }));
  });
}
