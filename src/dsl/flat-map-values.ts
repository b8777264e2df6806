import type { Partitioning, Rec } from '../topology/record.ts';
import { checkFunctions } from './function-check.ts';
import type { FrameworkOperator } from './operator.ts';
import { frameworkOperator } from './tracing-stream.ts';

/** One record for each value that `map` returns, in its order. Java: `KStream.flatMapValues`. */
export function flatMapValues<K, V, W, P extends Partitioning>(
  map: (value: V, record: Rec<K, V, P>) => Iterable<W>,
): FrameworkOperator<Rec<K, V, P>, Rec<K, W, P>> {
  return frameworkOperator('flatMapValues', (stream) => {
    const { drawing, node } = stream;
    checkFunctions(drawing, 'flatMapValues', { '': map });
    return stream.below(
      drawing.add({
        kind: 'flatMapValues',
        id: drawing.nextId('flatMapValues'),
        parents: [node],
        map: (record) => map(record.value, record),
      }),
    );
  });
}
