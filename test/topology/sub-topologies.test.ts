import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { TopologyNode } from '../../src/topology/node.ts';
import { subTopologies } from '../../src/topology/sub-topologies.ts';
import { aggregate, merge, readBack, repartition, sink, source, topologyOf } from './nodes.ts';

function parts(...nodes: readonly TopologyNode[]): readonly (readonly string[])[] {
  return subTopologies(topologyOf(...nodes)).map((part) => [
    part.name,
    ...part.nodes.map(({ id }) => id),
  ]);
}

test('streams that never meet are sub-topologies of their own, called after their topics', () => {
  expect(parts(source('a'), source('b'), sink('x', 'a'), sink('y', 'b'))).toEqual([
    ['a', 'a', 'to-x'],
    ['b', 'b', 'to-y'],
  ]);
});

test('streams that meet are one sub-topology, called after the first', () => {
  expect(parts(source('a'), source('b'), merge('m', 'b', 'a'))).toEqual([['a', 'a', 'b', 'm']]);
});

test('a repartition topic cuts the graph', () => {
  expect(parts(source('a'), repartition('r', ['a']), readBack('r'), sink('x', 'r-read'))).toEqual([
    ['a', 'a', 'r-write'],
    ['r', 'r-read', 'to-x'],
  ]);
});

test('a store in common joins streams that share no edge', () => {
  expect(
    parts(source('a'), source('b'), aggregate('p', 's', 'a'), aggregate('q', 's', 'b')),
  ).toEqual([['a', 'a', 'b', 'p', 'q']]);
});

test("the user's name wins over the topic", () => {
  const named = source('b', { subTopology: 'orders' });
  expect(parts(source('a'), named, merge('m', 'a', 'b'))[0]![0]).toBe('orders');
});

test('two names in one sub-topology are refused', () => {
  const a = source('a', { subTopology: 'x' });
  const b = source('b', { subTopology: 'y' });
  expect(() => parts(a, b, merge('m', 'a', 'b'))).toThrow(/names x and y/);
});

test('one name for two sub-topologies is refused, naming what they read', () => {
  const b = source('b', { subTopology: 'a' });
  expect(() => parts(source('a'), b)).toThrow(
    /Two sub-topologies are called a \(reading a and b\): set subTopology/,
  );
});

test('a node that no source feeds is refused', () => {
  expect(() => parts(source('a'), merge('m'))).toThrow(/No source feeds m/);
});

/** Up to twelve nodes: sources, and merges of up to three earlier ones, some with a store. */
const graphs = fc
  .array(
    fc.record({
      parents: fc.array(fc.nat(), { maxLength: 3 }),
      store: fc.option(fc.constantFrom('s', 't'), { freq: 4 }),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map((specs) =>
    specs.map(({ parents, store }, index): TopologyNode => {
      const above = index === 0 ? [] : [...new Set(parents.map((parent) => `n${parent % index}`))];
      if (above.length === 0) return source(`n${index}`);
      return store === null
        ? merge(`n${index}`, ...above)
        : aggregate(`n${index}`, store, ...above);
    }),
  );

test('two nodes are in one sub-topology exactly when edges and stores lead from one to the other', () => {
  fc.assert(
    fc.property(graphs, (nodes) => {
      const found = subTopologies(topologyOf(...nodes));
      expect(found.flatMap((part) => part.nodes)).toHaveLength(nodes.length);
      for (const part of found) {
        const ids = new Set(part.nodes.map(({ id }) => id));
        expect(ids).toEqual(reached(nodes, part.nodes[0]!.id));
        expect(part.name).toBe(part.sources[0]!.topic);
      }
    }),
  );
});

/** The oracle: everything that walking edges and stores in both directions reaches. */
function reached(nodes: readonly TopologyNode[], from: string): Set<string> {
  const seen = new Set([from]);
  const touches = (a: TopologyNode, b: TopologyNode): boolean =>
    a.parents.includes(b.id) ||
    b.parents.includes(a.id) ||
    (a.kind === 'aggregate' && b.kind === 'aggregate' && a.store === b.store);
  for (let size = 0; size < seen.size; ) {
    size = seen.size;
    for (const a of nodes) {
      if (seen.has(a.id)) for (const b of nodes) if (touches(a, b)) seen.add(b.id);
    }
  }
  return seen;
}
