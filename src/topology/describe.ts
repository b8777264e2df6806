/** A topology as text, in the format of Kafka Streams' `Topology.describe()`. */
import { givenTopology } from './given-topology.ts';
import type { Topology, TopologyNode } from './node.ts';
import { type SubTopology, storeOf, subTopologies } from './sub-topologies.ts';

/**
 * Sub-topologies in the order of their sources, nodes with parents first. Tools that read Kafka
 * Streams' descriptions read this one. A sub-topology's name is shown when the user gave it one;
 * otherwise it is that of its first source topic. Throws `TOPOLOGY_INVALID`.
 */
export function describe(topology: Topology | { build(): Topology }): string {
  const parts = subTopologies(givenTopology('The argument of describe', topology)).map(
    (part, index) => `  Sub-topology: ${index}${nameOf(part)}\n${nodesOf(part)}\n`,
  );
  return `Topologies:\n ${parts.join('')}`;
}

function nameOf(part: SubTopology): string {
  return part.name === part.sources[0]?.topic ? '' : ` (${part.name})`;
}

function nodesOf({ nodes }: SubTopology): string {
  const below = new Map<string, string[]>();
  for (const { id, parents } of nodes) {
    for (const parent of parents) below.set(parent, [...(below.get(parent) ?? []), id]);
  }
  return nodes
    .map((node) => {
      const arrows: string[] = [];
      if (!isSink(node)) arrows.push(`      --> ${listed(below.get(node.id) ?? [])}\n`);
      if (node.kind !== 'source') arrows.push(`      <-- ${listed(node.parents)}\n`);
      return `    ${title(node)}\n${arrows.join('')}`;
    })
    .join('');
}

function isSink(node: TopologyNode): boolean {
  return node.kind === 'sink' || node.kind === 'repartition';
}

function title(node: TopologyNode): string {
  switch (node.kind) {
    case 'source': {
      const topic = node.repartition === null ? node.topic : `${node.repartition}-repartition`;
      return `Source: ${node.id} (topics: [${topic}])`;
    }
    case 'sink':
      return `Sink: ${node.id} (topic: ${node.topic})`;
    case 'repartition':
      return `Sink: ${node.id} (topic: ${node.name}-repartition)`;
    default:
      return `Processor: ${node.id} (stores: [${storeOf(node) ?? ''}])`;
  }
}

function listed(ids: readonly string[]): string {
  return ids.length === 0 ? 'none' : ids.join(', ');
}
