/**
 * Sub-topologies: the parts of a topology that share no topic-internal connection, each run by one
 * task per partition.
 *
 * I1. Two nodes are in one sub-topology when an edge or a common store joins them. A repartition
 *     topic is no edge: its write side has no children, its read side no parents.
 * I2. A sub-topology is called after its first source, unless the user names it. Task ids and
 *     transactional ids are made of the name, so it never holds an ordinal that an edit can shift.
 */
import { EscapementError } from '../errors.ts';
import type {
  AggregateNode,
  SourceNode,
  Topology,
  TopologyNode,
  WindowedAggregateNode,
} from './node.ts';

export type StatefulNode = AggregateNode | WindowedAggregateNode;

export interface SubTopology {
  readonly name: string;
  /** In the order of the topology: parents first. */
  readonly nodes: readonly TopologyNode[];
  /** What it reads; all of them are co-partitioned. Never empty. */
  readonly sources: readonly SourceNode[];
}

/** The store that a node reads and writes, or `null`. */
export function storeOf(node: TopologyNode): string | null {
  return isStateful(node) ? node.store : null;
}

/** Every kind says what it is: one that is left out would have a store that nobody restores. */
const STATEFUL: {
  readonly [Kind in TopologyNode['kind']]: Kind extends StatefulNode['kind'] ? true : false;
} = {
  source: false,
  filter: false,
  mapValues: false,
  flatMapValues: false,
  selectKey: false,
  peek: false,
  merge: false,
  segment: false,
  mapAsync: false,
  repartition: false,
  aggregate: true,
  windowedAggregate: true,
  late: false,
  sink: false,
};

export function isStateful(node: TopologyNode): node is StatefulNode {
  return STATEFUL[node.kind];
}

/** In the order of their first nodes. Throws `TOPOLOGY_INVALID` when two would have one name. */
export function subTopologies(topology: Topology): readonly SubTopology[] {
  const parts = new Map<string, TopologyNode[]>();
  const rootOf = joinNodes(topology.nodes);
  for (const node of topology.nodes) {
    const root = rootOf(node.id);
    const part = parts.get(root);
    if (part === undefined) parts.set(root, [node]);
    else part.push(node);
  }
  const found = [...parts.values()].map(subTopology);
  refuseCommonNames(found);
  return found;
}

/** Union-find; the root of a set is its first node. */
function joinNodes(nodes: readonly TopologyNode[]): (id: string) => string {
  const above = new Map<string, string>();
  const rootOf = (id: string): string => {
    let at = id;
    for (let next = above.get(at); next !== undefined; next = above.get(at)) at = next;
    return at;
  };
  const order = new Map(nodes.map((node, index) => [node.id, index]));
  const join = (a: string, b: string): void => {
    const [first, second] = [rootOf(a), rootOf(b)].sort((x, y) => order.get(x)! - order.get(y)!);
    if (first !== second) above.set(second!, first!);
  };
  const stores = new Map<string, string>();
  for (const node of nodes) {
    for (const parent of node.parents) join(parent, node.id);
    const store = storeOf(node);
    if (store === null) continue;
    const other = stores.get(store);
    if (other === undefined) stores.set(store, node.id);
    else join(other, node.id);
  }
  return rootOf;
}

function subTopology(nodes: readonly TopologyNode[]): SubTopology {
  const sources = nodes.filter((node) => node.kind === 'source');
  const first = sources[0];
  if (first === undefined) {
    const ids = nodes.map(({ id }) => id).join(', ');
    throw new EscapementError('TOPOLOGY_INVALID', `No source feeds ${ids}: begin with stream().`);
  }
  const given = [...new Set(sources.map((source) => source.subTopology ?? null))].filter(
    (name) => name !== null,
  );
  if (given.length > 1) {
    throw new EscapementError(
      'TOPOLOGY_INVALID',
      `One sub-topology has the names ${given.join(' and ')}: its streams meet, give it one name.`,
    );
  }
  return { name: given[0] ?? first.topic, nodes, sources };
}

function refuseCommonNames(parts: readonly SubTopology[]): void {
  const firstByName = new Map<string, SubTopology>();
  for (const part of parts) {
    const other = firstByName.get(part.name);
    if (other !== undefined) {
      throw new EscapementError(
        'TOPOLOGY_INVALID',
        `Two sub-topologies are called ${part.name} (reading ${topicsOf(other)} and ` +
          `${topicsOf(part)}): set subTopology of one stream to another name.`,
      );
    }
    firstByName.set(part.name, part);
  }
}

function topicsOf(part: SubTopology): string {
  return part.sources.map(({ topic }) => topic).join(', ');
}
