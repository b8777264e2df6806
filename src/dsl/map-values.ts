import type { Partitioning, Rec } from '../topology/record.ts';
import { checkFunctions } from './function-check.ts';
import type { FrameworkOperator } from './operator.ts';
import { frameworkOperator } from './tracing-stream.ts';

/** Replaces the value; key, time and headers stay. Java: `KStream.mapValues`. */
export function mapValues<K, V, W, P extends Partitioning>(
  map: (value: V, record: Rec<K, V, P>) => W,
): FrameworkOperator<Rec<K, V, P>, Rec<K, W, P>> {
  return frameworkOperator('mapValues', (stream) => {
    const { drawing, node } = stream;
    checkFunctions(drawing, 'mapValues', { '': map });
    return stream.below(
      drawing.add({
        kind: 'mapValues',
        id: drawing.nextId('mapValues'),
        parents: [node],
        map: (record) => map(record.value, record),
      }),
    );
  });
}
