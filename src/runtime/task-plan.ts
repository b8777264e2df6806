/** What a task is made of: its part of the topology, its inputs and its changelogs, by full topic names. */
import type { TopicPartition } from '../kafka/topic-partition.ts';
import type { TopologyNode } from '../topology/node.ts';

export interface ChangelogPlan extends TopicPartition {
  readonly store: string;
}

export interface TaskPlan {
  /** Sub-topology name and partition: `orders_3`. */
  readonly id: string;
  readonly subTopology: string;
  readonly partition: number;
  readonly inputs: readonly TopicPartition[];
  readonly changelogs: readonly ChangelogPlan[];
}

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
