import { type Known, refuseUnknown } from '../config/known-options.ts';
import type { Serde } from '../serde/serde.ts';
import type { AnyRec } from '../topology/node.ts';
import type { Keyed, Rec } from '../topology/record.ts';
import { checkFunctions } from './function-check.ts';
import type { FrameworkOperator } from './operator.ts';
import { checkSerdes } from './serde-check.ts';
import { requireKeyed } from './stateful.ts';
import { frameworkOperator } from './tracing-stream.ts';

export interface AggregateOptions<K, V, A> {
  /** Names the store and its changelog `<applicationId>-<name>-changelog`. */
  readonly name: string;
  /** The aggregate of a key that was not seen before. */
  readonly init: () => A;
  /** The next aggregate; returns a new value or the same, never changes the one it got. */
  readonly add: (aggregate: A, value: V, record: Rec<K, V, Keyed>) => A;
  readonly key: Serde<NoInfer<K>>;
  readonly value: Serde<NoInfer<A>>;
}

const KNOWN: Known<AggregateOptions<unknown, unknown, unknown>> = {
  name: true,
  init: true,
  add: true,
  key: true,
  value: true,
};

/**
 * Keeps one aggregate per key and emits it after every record; its time is the latest of its
 * records. A null aggregate deletes the row. Java: `groupByKey().aggregate(...)`.
 */
export function aggregate<K, V, A>(
  options: AggregateOptions<K, V, A>,
): FrameworkOperator<Rec<K, V, Keyed>, Rec<K, A, Keyed>> {
  const { name, init, add } = options ?? {};
  refuseUnknown(`aggregate('${name}')`, options, KNOWN);
  return frameworkOperator(`aggregate('${name}')`, (stream) => {
    const { drawing, node } = stream;
    requireKeyed(stream, `aggregate('${name}')`);
    checkFunctions(drawing, `aggregate('${name}')`, { init, add });
    const { key, value } = checkSerdes(drawing, `aggregate('${name}')`, options);
    return stream.below(
      drawing.add({
        kind: 'aggregate',
        id: drawing.nextId('aggregate'),
        parents: [node],
        store: name,
        init,
        add: (before, record: AnyRec) => add(before as A, record.value, record),
        key,
        value,
      }),
    );
  });
}
