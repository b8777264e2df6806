import type { Partitioning, Rec } from '../topology/record.ts';
import { checkFunctions } from './function-check.ts';
import type { FrameworkOperator } from './operator.ts';
import { frameworkOperator } from './tracing-stream.ts';

/**
 * Looks at each record and passes it on. What `look` does outside the record is not part of the
 * transaction: it happens again when a step is redone. Java: `KStream.peek`.
 */
export function peek<T extends Rec<unknown, unknown, Partitioning>>(
  look: (record: T) => void,
): FrameworkOperator<T, T> {
  return frameworkOperator('peek', (stream) => {
    const { drawing, node } = stream;
    checkFunctions(drawing, 'peek', { '': look });
    const id = drawing.nextId('peek');
    return stream.below(
      drawing.add({
        kind: 'peek',
        id,
        parents: [node],
        look: (record) => look(record as T & Rec<unknown, unknown>),
      }),
    );
  });
}
