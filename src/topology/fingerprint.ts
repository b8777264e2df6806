/**
 * What a topology means for its topics, stores and tasks, as one short string.
 *
 * Two topologies with the same fingerprint read and write the same topics in the same way; what
 * their functions do is not part of it. Node ids are not, either: an operator's position is.
 */
import { createHash } from 'node:crypto';
import type { Topology, TopologyNode } from './node.ts';
import { subTopologies } from './sub-topologies.ts';

/** 16 hexadecimal digits, the same on every machine and in every version of Node. */
export function fingerprint(topology: Topology): string {
  const places = new Map(topology.nodes.map(({ id }, index) => [id, index]));
  const nodes = topology.nodes.map((node) => [
    node.kind,
    node.parents.map((parent) => places.get(parent)),
    ...identity(node),
  ]);
  const names = subTopologies(topology).map(({ name }) => name);
  const text = JSON.stringify([topology.name, names, nodes]);
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** Without a default: a new kind is asked for its settings by the compiler. */
function identity(node: TopologyNode): readonly unknown[] {
  switch (node.kind) {
    case 'source':
      return [node.topic, node.repartition, node.key.name, node.value.name, node.nulls];
    case 'sink':
      return [node.topic, node.key.name, node.value.name];
    case 'repartition':
      return [node.name, node.partitions, node.key.name, node.value.name];
    case 'aggregate':
      return [node.store, node.key.name, node.value.name];
    case 'windowedAggregate': {
      const { store, sizeMs, advanceMs, graceMs, emit, key, value } = node;
      return [store, sizeMs, advanceMs, graceMs, emit, key.name, value.name];
    }
    case 'filter':
    case 'mapValues':
    case 'flatMapValues':
    case 'selectKey':
    case 'peek':
    case 'merge':
    case 'segment':
    case 'mapAsync':
    case 'late':
      return [];
  }
}
