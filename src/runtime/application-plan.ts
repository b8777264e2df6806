/**
 * A topology met with the topics of a cluster: sub-topologies, tasks, and topics by full name.
 *
 * Made once at start, after the topics were looked up; the same on every instance, since it depends
 * on the topology, the application id and partition counts alone.
 */
import type { Options } from '../config/options.ts';
import { EscapementError, invariant } from '../errors.ts';
import { ensureTopics, type TopicSpec } from '../kafka/admin/topics.ts';
import type { Cluster } from '../kafka/cluster/cluster.ts';
import type { Serde } from '../serde/serde.ts';
import { changelogConfigs, changelogTopic } from '../state/changelog.ts';
import type { Topology, TopologyNode } from '../topology/node.ts';
import { internalTopics, repartitionTopic } from '../topology/internal-topics.ts';
import { planTasks } from '../topology/plan-tasks.ts';
import { stages } from '../topology/stages.ts';
import { subTopologies } from '../topology/sub-topologies.ts';
import type { SubTopologyPlan, TaskPlan, TopicNames } from './task-plan.ts';

export class ApplicationPlan {
  readonly subTopologies: readonly SubTopologyPlan[];
  readonly tasks: readonly TaskPlan[];
  readonly names: TopicNames;
  /** Every topic that the group subscribes to, repartition topics included. */
  readonly inputTopics: readonly string[];
  readonly repartitionTopics: ReadonlySet<string>;
  readonly #tasksById: ReadonlyMap<string, TaskPlan>;
  readonly #subTopologiesByName: ReadonlyMap<string, SubTopologyPlan>;

  constructor(parts: {
    readonly subTopologies: readonly SubTopologyPlan[];
    readonly tasks: readonly TaskPlan[];
    readonly names: TopicNames;
    readonly repartitionTopics: ReadonlySet<string>;
  }) {
    this.subTopologies = parts.subTopologies;
    this.tasks = parts.tasks;
    this.names = parts.names;
    this.repartitionTopics = parts.repartitionTopics;
    this.inputTopics = [
      ...new Set(parts.tasks.flatMap(({ inputs }) => inputs.map(({ topic }) => topic))),
    ].sort();
    this.#tasksById = new Map(parts.tasks.map((task) => [task.id, task]));
    this.#subTopologiesByName = new Map(parts.subTopologies.map((sub) => [sub.name, sub]));
  }

  task(id: string): TaskPlan {
    const task = this.#tasksById.get(id);
    invariant(task !== undefined, 'the group assigned a task of another topology', { id });
    return task;
  }

  subTopologyOf(taskId: string): SubTopologyPlan {
    return this.#subTopologiesByName.get(this.task(taskId).subTopology)!;
  }
}

/** Looks the topics up, creates internal ones, and prepares the serdes. */
export async function planApplication(
  topology: Topology,
  cluster: Cluster,
  options: Options,
): Promise<ApplicationPlan> {
  const partitions = await lookUpTopics(topology, cluster);
  const internal = internalTopics(topology, options.applicationId, partitions);
  for (const { topic, partitions: count } of internal) partitions.set(topic, count);
  const tasks = planTasks(topology, options.applicationId, partitions);
  await ensureTopics(cluster, internalSpecs(topology, internal, options));
  await startSerdes(topology);
  const repartitions = internal.filter(({ kind }) => kind === 'repartition');
  return new ApplicationPlan({
    subTopologies: subTopologies(topology).map((sub) => ({
      name: sub.name,
      nodes: sub.nodes,
      stages: stages(sub),
    })),
    tasks,
    names: topicNames(options.applicationId, partitions),
    repartitionTopics: new Set(repartitions.map(({ topic }) => topic)),
  });
}
