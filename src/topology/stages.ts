/**
 * Stages: how far the asynchronous operators cut a sub-topology.
 *
 * I1. The stage of a node is the number of asynchronous nodes above it; an asynchronous node takes
 *     its records in its stage and hands its results to the next one.
 * I2. All accesses to one store are in one stage. Stage k of a record begins after stage k of the
 *     record before it, so a store sees records in dispatch order whatever call finishes first.
 *     Resequencing each asynchronous node alone is not enough: a table's update would overtake an
 *     earlier record that still waits above the join.
 */
import { EscapementError } from '../errors.ts';
import { calledBy } from './check.ts';
import type { MapAsyncNode, SegmentNode, TopologyNode } from './node.ts';
import { storeOf } from './sub-topologies.ts';

/**
 * The stage of each node by id, aligned by a fixpoint: a store's accesses move to the latest of
 * them, and everything below follows. Throws `TOPOLOGY_INVALID` for a store that one path uses
 * both before and after an asynchronous operator: no stage fits both.
 */
export function stages(part: {
  readonly nodes: readonly TopologyNode[];
}): ReadonlyMap<string, number> {
  const { nodes } = part;
  refuseTornStores(nodes);
  const stageOf = new Map(nodes.map(({ id }) => [id, 0]));
  const byId = new Map(nodes.map((node) => [node.id, node]));
  for (let moved = true; moved; ) {
    moved = false;
    const latest = new Map<string, number>();
    for (const node of nodes) {
      const above = node.parents.map((id) => stageOf.get(id)! + leap(byId.get(id)!));
      const stage = Math.max(stageOf.get(node.id)!, ...above);
      if (stage !== stageOf.get(node.id)) moved = true;
      stageOf.set(node.id, stage);
      const store = storeOf(node);
      if (store !== null) latest.set(store, Math.max(stage, latest.get(store) ?? 0));
    }
    for (const node of nodes) {
      const store = storeOf(node);
      if (store === null || stageOf.get(node.id) === latest.get(store)) continue;
      stageOf.set(node.id, latest.get(store)!);
      moved = true;
    }
  }
  return stageOf;
}

export type AsyncNode = MapAsyncNode | SegmentNode;

export function isAsynchronous(node: TopologyNode): node is AsyncNode {
  return node.kind === 'segment' || node.kind === 'mapAsync';
}

function leap(node: TopologyNode): number {
  return isAsynchronous(node) ? 1 : 0;
}

/**
 * Without this the fixpoint would not end. Accesses of a store are treated as one place: a circle
 * of edges and such places that passes an asynchronous node has no stages.
 */
function refuseTornStores(nodes: readonly TopologyNode[]): void {
  const place = (node: TopologyNode): string => {
    const store = storeOf(node);
    return store === null ? `node ${node.id}` : `store ${store}`;
  };
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const below = new Map<string, Set<string>>();
  for (const node of nodes) {
    for (const id of node.parents) {
      const from = place(byId.get(id)!);
      const to = below.get(from) ?? new Set();
      below.set(from, to.add(place(node)));
    }
  }
  for (const node of nodes.filter(isAsynchronous)) {
    const seen = reachable(place(node), below);
    if (!seen.has(place(node))) continue;
    const torn = [...seen].filter(
      (at) => at.startsWith('store ') && reachable(at, below).has(place(node)),
    );
    throw new EscapementError(
      'TOPOLOGY_INVALID',
      `${torn.join(', ')} is used both before and after ${calledBy(node)}, an asynchronous step: no ` +
        `order of records fits both. Move the step in front of all accesses, or use two stores.`,
      { at: { node: node.id } },
    );
  }
}

function reachable(from: string, below: ReadonlyMap<string, ReadonlySet<string>>): Set<string> {
  const seen = new Set<string>();
  const open = [...(below.get(from) ?? [])];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (seen.has(at)) continue;
    seen.add(at);
    open.push(...(below.get(at) ?? []));
  }
  return seen;
}
