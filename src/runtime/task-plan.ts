/** What a task is made of: its part of the topology, its inputs and its changelogs, by full topic names. */
import type { TopologyNode } from '../topology/node.ts';
import type { PlannedTask } from '../topology/plan-tasks.ts';

export type TaskPlan = PlannedTask;
export type ChangelogPlan = TaskPlan['changelogs'][number];

/** What the tasks of one sub-topology share. */
export interface SubTopologyPlan {
  readonly name: string;
  readonly nodes: readonly TopologyNode[];
  readonly stages: ReadonlyMap<string, number>;
}

/** Names as the brokers know them, and how many partitions each topic has. */
export interface TopicNames {
  /** The broker's name of a node's topic: internal ones carry the application id. */
  readonly of: (node: TopologyNode) => string;
  readonly changelog: (store: string) => string;
  readonly partitions: (topic: string) => number;
}
