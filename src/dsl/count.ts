import { type Known, refuseUnknown } from '../config/known-options.ts';
import { long } from '../serde/long.ts';
import type { Serde } from '../serde/serde.ts';
import type { Keyed, Rec } from '../topology/record.ts';
import type { FrameworkOperator } from './operator.ts';
import { checkSerdes } from './serde-check.ts';
import { requireKeyed } from './stateful.ts';
import { frameworkOperator } from './tracing-stream.ts';

export interface CountOptions<K> {
  /** Names the store and its changelog `<applicationId>-<name>-changelog`. */
  readonly name: string;
  readonly key: Serde<NoInfer<K>>;
}

const KNOWN: Known<CountOptions<unknown>> = { name: true, key: true };

/**
 * Counts the records of each key and emits the count after every record, kept as 8 bytes
 * big-endian. The values themselves are never decoded for it. Java: `groupByKey().count()`.
 */
export function count<K, V>(
  options: CountOptions<K>,
): FrameworkOperator<Rec<K, V, Keyed>, Rec<K, number, Keyed>> {
  const { name, key } = options ?? {};
  refuseUnknown(`count('${name}')`, options, KNOWN);
  return frameworkOperator(`count('${name}')`, (stream) => {
    const { drawing, node } = stream;
    requireKeyed(stream, `count('${name}')`);
    const value = long();
    checkSerdes(drawing, `count('${name}')`, { key, value });
    return stream.below(
      drawing.add({
        kind: 'aggregate',
        writtenAs: 'count',
        id: drawing.nextId('aggregate'),
        parents: [node],
        store: name,
        init: zero,
        add: increment,
        key,
        value,
      }),
    );
  });
}

function zero(): number {
  return 0;
}

function increment(before: unknown): number {
  return (before as number) + 1;
}
