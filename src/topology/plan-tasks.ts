/**
 * Tasks: one per sub-topology and partition of its inputs.
 *
 * The plan depends on the topology, the application id and partition counts alone, so every
 * instance of an application makes the same one.
 */
import { changelogTopic, inputPartitions, topicOf } from './internal-topics.ts';
import type { Topology } from './node.ts';
import { storeOf, subTopologies } from './sub-topologies.ts';

export interface PlannedTask {
  /** `<sub-topology>_<partition>`: part of the transactional id. */
  readonly id: string;
  readonly subTopology: string;
  readonly partition: number;
  readonly inputs: readonly { readonly topic: string; readonly partition: number }[];
  readonly changelogs: readonly {
    readonly store: string;
    readonly topic: string;
    readonly partition: number;
  }[];
}

/**
 * `partitions` holds the counts of all inputs, repartition topics included. Throws `TOPIC_MISMATCH`
 * as `internalTopics` does.
 */
export function planTasks(
  topology: Topology,
  applicationId: string,
  partitions: ReadonlyMap<string, number>,
): readonly PlannedTask[] {
  const tasks: PlannedTask[] = [];
  for (const part of subTopologies(topology)) {
    const count = inputPartitions(part, applicationId, partitions);
    const topics = [...new Set(part.sources.map((source) => topicOf(source, applicationId)))];
    const stores = [...new Set(part.nodes.map(storeOf))].filter((store) => store !== null);
    for (let partition = 0; partition < count; partition += 1) {
      tasks.push({
        id: `${part.name}_${partition}`,
        subTopology: part.name,
        partition,
        inputs: topics.map((topic) => ({ topic, partition })),
        changelogs: stores.map((store) => ({
          store,
          topic: changelogTopic(applicationId, store),
          partition,
        })),
      });
    }
  }
  return tasks;
}
