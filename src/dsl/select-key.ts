import type { Partitioning, Rec, Rekeyed } from '../topology/record.ts';
import { checkFunctions } from './function-check.ts';
import type { FrameworkOperator } from './operator.ts';
import { frameworkOperator } from './tracing-stream.ts';

/**
 * Gives each record another key. The stream is `Rekeyed` then: anything that keeps state needs
 * `repartition()` first. Java: `KStream.selectKey`.
 */
export function selectKey<K, V, K2, P extends Partitioning>(
  select: (record: Rec<K, V, P>) => K2,
): FrameworkOperator<Rec<K, V, P>, Rec<K2, V, Rekeyed>> {
  return frameworkOperator('selectKey', (stream) => {
    const { drawing, node } = stream;
    checkFunctions(drawing, 'selectKey', { '': select });
    const id = drawing.nextId('selectKey');
    return stream.below(drawing.add({ kind: 'selectKey', id, parents: [node], select }), 'rekeyed');
  });
}
