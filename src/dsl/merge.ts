import type { Partitioning, Rec } from '../topology/record.ts';
import { refusal } from './drawing.ts';
import type { KStream } from './k-stream.ts';
import type { FrameworkOperator } from './operator.ts';
import { frameworkOperator, TracingStream } from './tracing-stream.ts';

/**
 * Passes on the records of this stream and of `other`, in the order in which the task takes them:
 * lowest timestamp first. The result is `Keyed` only if both are. Java: `KStream.merge`.
 */
export function merge<
  K,
  V,
  P extends Partitioning,
  K2 = never,
  V2 = never,
  P2 extends Partitioning = never,
>(other: KStream<K2, V2, P2>): FrameworkOperator<Rec<K, V, P>, Rec<K | K2, V | V2, P | P2>> {
  return frameworkOperator('merge', (stream) => {
    const { drawing, node } = stream;
    const others: unknown = other;
    if (!(others instanceof TracingStream)) {
      throw refusal('merge', 'the other stream is not a stream of a topology');
    }
    if (others.drawing !== drawing) {
      throw refusal(
        'merge',
        `the other stream belongs to topology '${others.drawing.topology}', not to ` +
          `'${drawing.topology}': draw both on one topology()`,
      );
    }
    const id = drawing.nextId('merge');
    const keyed = stream.keyState === 'keyed' && others.keyState === 'keyed';
    return stream.below(
      drawing.add({ kind: 'merge', id, parents: [node, others.node] }),
      keyed ? 'keyed' : 'rekeyed',
    );
  });
}
