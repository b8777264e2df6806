import { expect, test } from 'vitest';
import { fingerprint } from '../../src/topology/fingerprint.ts';
import type { TopologyNode } from '../../src/topology/node.ts';
import { aggregate, readBack, repartition, sink, source, topologyOf } from './nodes.ts';

const nodes = (): TopologyNode[] => [
  source('a'),
  repartition('r', ['a'], 3),
  readBack('r'),
  aggregate('n', 's', 'r-read'),
  sink('x', 'n'),
];

test('a topology drawn again has the same fingerprint', () => {
  expect(fingerprint(topologyOf(...nodes()))).toBe(fingerprint(topologyOf(...nodes())));
});

test('the fingerprint stays the same from version to version', () => {
  expect(fingerprint(topologyOf(...nodes()))).toBe('74126ec1e68e9c84');
});

test('node ids and functions take no part', () => {
  const changed = nodes();
  changed[3] = { ...aggregate('other', 's', 'r-read'), add: () => 42 };
  changed[4] = sink('x', 'other');
  expect(fingerprint(topologyOf(...changed))).toBe(fingerprint(topologyOf(...nodes())));
});

const edits: readonly [string, number, TopologyNode][] = [
  ['an input topic', 0, { ...source('b'), id: 'a' }],
  ['the name of a sub-topology', 0, source('a', { subTopology: 'b' })],
  ['a partition count', 1, repartition('r', ['a'], 4)],
  ['a serde', 2, { ...readBack('r'), value: { ...readBack('r').value, name: 'avro' } }],
  ['a store', 3, aggregate('n', 't', 'r-read')],
  ['an output topic', 4, { ...sink('y', 'n'), id: 'to-x' }],
  ['an edge', 4, sink('x', 'r-read')],
];

test.each(edits)('%s changes it', (_, index, node) => {
  const changed = nodes();
  changed[index] = node;
  expect(fingerprint(topologyOf(...changed))).not.toBe(fingerprint(topologyOf(...nodes())));
});
