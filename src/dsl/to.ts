import { refuseUnknown } from '../config/known-options.ts';
import type { Serde } from '../serde/serde.ts';
import type { Partitioning, Rec } from '../topology/record.ts';
import type { FrameworkOperator } from './operator.ts';
import { checkSerdes } from './serde-check.ts';
import { frameworkOperator } from './tracing-stream.ts';

const KNOWN = { key: true, value: true };

/**
 * Writes the records to a topic, in the transaction of the record that caused them. The partition
 * is that of Java's default partitioner: murmur2 of the key bytes. A null value is a tombstone. The
 * topic must exist; nothing follows. Java: `KStream.to`.
 */
export function to<K, V>(
  topic: string,
  serdes: { readonly key: Serde<NoInfer<K>>; readonly value: Serde<NoInfer<Exclude<V, null>>> },
): FrameworkOperator<Rec<K, V, Partitioning>, undefined> {
  refuseUnknown(`to('${topic}')`, serdes, KNOWN);
  return frameworkOperator(`to('${topic}')`, ({ drawing, node }) => {
    const { key, value } = checkSerdes(drawing, `to('${topic}')`, serdes);
    const id = drawing.nextId('sink');
    drawing.add({ kind: 'sink', id, parents: [node], topic, key, value });
    return undefined;
  });
}
