/** Nodes by hand, with the least that each kind needs. */
import type {
  AggregateNode,
  AnySerde,
  MapAsyncNode,
  MergeNode,
  RepartitionNode,
  SinkNode,
  SourceNode,
  Topology,
  TopologyNode,
} from '../../src/topology/node.ts';

const raw: AnySerde = {
  name: 'raw',
  decode: (buffer, start, end) => Buffer.from(buffer.subarray(start, end)),
  encode: (value: Buffer, buffer, at) => at + value.copy(buffer, at),
};

const readsAs = { key: raw, value: raw, timestamp: null, nulls: 'drop' } as const;

export function source(topic: string, more: Partial<SourceNode> = {}): SourceNode {
  const onError = { kind: 'fail' } as const;
  const rest = { ...readsAs, onError, repartition: null };
  return { kind: 'source', id: topic, parents: [], topic, ...rest, ...more };
}

export function readBack(name: string): SourceNode {
  return source(name, { id: `${name}-read`, repartition: name });
}

export function repartition(
  name: string,
  parents: readonly string[],
  partitions: number | null = null,
): RepartitionNode {
  return {
    kind: 'repartition',
    id: `${name}-write`,
    parents,
    name,
    key: raw,
    value: raw,
    partitions,
  };
}

export function merge(id: string, ...parents: readonly string[]): MergeNode {
  return { kind: 'merge', id, parents };
}

export function aggregate(id: string, store: string, ...parents: readonly string[]): AggregateNode {
  return {
    kind: 'aggregate',
    id,
    parents,
    store,
    init: () => 0,
    add: () => 0,
    key: raw,
    value: raw,
  };
}

export function mapAsync(id: string, ...parents: readonly string[]): MapAsyncNode {
  const bounds = { concurrency: 1, order: 'key', timeoutMs: 1 } as const;
  return { kind: 'mapAsync', id, parents, map: () => null, ...bounds };
}

export function sink(topic: string, ...parents: readonly string[]): SinkNode {
  return { kind: 'sink', id: `to-${topic}`, parents, topic, key: raw, value: raw };
}

export function topologyOf(...nodes: readonly TopologyNode[]): Topology {
  return { name: 'test', nodes };
}
