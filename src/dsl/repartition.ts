import { type Known, refuseUnknown } from '../config/known-options.ts';
import type { Serde } from '../serde/serde.ts';
import type { RecordPolicy } from '../topology/node.ts';
import type { Keyed, Partitioning, Rec } from '../topology/record.ts';
import { inheritedPolicy } from './inherited-policy.ts';
import type { FrameworkOperator } from './operator.ts';
import { checkSerdes } from './serde-check.ts';
import { frameworkOperator } from './tracing-stream.ts';

export interface RepartitionOptions<K, V> {
  /** Names the topic `<applicationId>-<name>-repartition`. */
  readonly name: string;
  readonly key: Serde<NoInfer<K>>;
  readonly value: Serde<NoInfer<Exclude<V, null>>>;
  /** Of the topic, 1 or more. Default: as many as the inputs it is joined with or made from. */
  readonly partitions?: number;
  /**
   * What happens to a record that fails anywhere behind the topic, up to the next repartition.
   * Default: the policy of the streams above when all of them have the same one, with the same
   * settings, otherwise `fail()`; `onError` of a repartition above counts as theirs. A dead letter
   * has the coordinates of the repartition topic.
   */
  readonly onError?: RecordPolicy;
}

const KNOWN: Known<RepartitionOptions<unknown, unknown>> = {
  name: true,
  key: true,
  value: true,
  partitions: true,
  onError: true,
};

/**
 * Sends the records through a topic of the application, so that those of one key meet in one task.
 * Ends a sub-topology and begins the next. A record without a key fails. Java:
 * `KStream.repartition(Repartitioned)`.
 */
export function repartition<K, V, P extends Partitioning>(
  options: RepartitionOptions<K, V>,
): FrameworkOperator<Rec<K, V, P>, Rec<K, V, Keyed>> {
  const operator = `repartition('${options?.name}')`;
  refuseUnknown(operator, options, KNOWN);
  return frameworkOperator(operator, (stream) => {
    const { drawing, node } = stream;
    const { name, key, value, partitions = null } = checkSerdes(drawing, operator, options);
    const { onError = inheritedPolicy(drawing.drafts, node) } = options ?? {};
    if (partitions !== null && !(Number.isSafeInteger(partitions) && partitions > 0)) {
      drawing.problem(operator, `partitions must be a whole number from 1, not ${partitions}`);
    }
    const id = drawing.nextId('repartition');
    drawing.add({ kind: 'repartition', id, parents: [node], name, key, value, partitions });
    return stream.below(
      drawing.add({
        kind: 'source',
        id: drawing.nextId('source'),
        parents: [],
        topic: name,
        key,
        value,
        timestamp: null,
        onError,
        // A null that came this far was kept on purpose.
        nulls: 'keep',
        repartition: name,
      }),
      'keyed',
    );
  });
}
