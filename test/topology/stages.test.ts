import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { TopologyNode } from '../../src/topology/node.ts';
import { stages } from '../../src/topology/stages.ts';
import { aggregate, mapAsync, merge, source } from './nodes.ts';

function stagesOf(...nodes: readonly TopologyNode[]): Record<string, number> {
  return Object.fromEntries(stages({ nodes }));
}

test('the stage of a node is the number of asynchronous nodes above it', () => {
  expect(
    stagesOf(source('a'), mapAsync('x', 'a'), merge('m', 'x'), mapAsync('y', 'm'), merge('n', 'y')),
  ).toEqual({ a: 0, x: 0, m: 1, y: 1, n: 2 });
});

test('a node below several is in the latest of their stages', () => {
  expect(stagesOf(source('a'), mapAsync('x', 'a'), merge('m', 'a', 'x'))).toEqual({
    a: 0,
    x: 0,
    m: 1,
  });
});

test('all accesses to a store are in one stage, and what is below follows', () => {
  const nodes = [
    source('a'),
    source('b'),
    mapAsync('x', 'a'),
    aggregate('joined', 's', 'x'),
    aggregate('table', 's', 'b'),
    mapAsync('y', 'table'),
    merge('m', 'y'),
  ];
  expect(stagesOf(...nodes)).toMatchObject({ x: 0, joined: 1, table: 1, y: 1, m: 2 });
});

test('moving one store may move another', () => {
  const nodes = [
    source('a'),
    mapAsync('x', 'a'),
    aggregate('s1', 's', 'x'),
    aggregate('s2', 's', 'a'),
    aggregate('t1', 't', 's2'),
    aggregate('t2', 't', 'a'),
  ];
  expect(stagesOf(...nodes)).toEqual({ a: 0, x: 0, s1: 1, s2: 1, t1: 1, t2: 1 });
});

test('a store used before and after an asynchronous step is refused, naming both', () => {
  const nodes = [
    source('a'),
    aggregate('p', 's', 'a'),
    mapAsync('x', 'p'),
    aggregate('q', 's', 'x'),
  ];
  expect(() => stagesOf(...nodes)).toThrow(/store s is used both before and after x/);
});

test('two stores that each need the other first are refused', () => {
  const nodes = [
    source('a'),
    aggregate('s1', 's', 'a'),
    mapAsync('x', 's1'),
    aggregate('t1', 't', 'x'),
    aggregate('t2', 't', 'a'),
    aggregate('s2', 's', 't2'),
  ];
  expect(() => stagesOf(...nodes)).toThrow(/store (s, store t|t, store s) is used both/);
});

const KINDS = ['plain', 'async', 's', 't'] as const;

const graphs = fc
  .array(
    fc.record({
      kind: fc.constantFrom(...KINDS),
      parents: fc.array(fc.nat(), { minLength: 1, maxLength: 2 }),
    }),
    { minLength: 1, maxLength: 5 },
  )
  .map((specs): TopologyNode[] => [
    source('n0'),
    ...specs.map(({ kind, parents }, index) => {
      const above = [...new Set(parents.map((parent) => `n${parent % (index + 1)}`))];
      const id = `n${index + 1}`;
      if (kind === 'plain') return merge(id, ...above);
      return kind === 'async' ? mapAsync(id, ...above) : aggregate(id, kind, ...above);
    }),
  ]);

test('stages are the least that fit every edge and store, and are refused when none fit', () => {
  fc.assert(
    fc.property(graphs, (nodes) => {
      const least = leastStages(nodes);
      if (least === null) expect(() => stagesOf(...nodes)).toThrow(/used both before and after/);
      else expect(stagesOf(...nodes)).toEqual(least);
    }),
    { numRuns: 300 },
  );
});

/** The oracle: tries every assignment; there are at most five asynchronous nodes. */
function leastStages(nodes: readonly TopologyNode[]): Record<string, number> | null {
  const most = nodes.filter(({ kind }) => kind === 'mapAsync').length;
  let best: Record<string, number> | null = null;
  const total = (found: Record<string, number>): number =>
    Object.values(found).reduce((sum, stage) => sum + stage, 0);
  const place = (index: number, found: Record<string, number>): void => {
    const node = nodes[index];
    if (node === undefined) {
      if (best === null || total(found) < total(best)) best = { ...found };
      return;
    }
    for (let stage = 0; stage <= most; stage += 1) {
      const fits = nodes.slice(0, index).every((other) => {
        const theirs = found[other.id]!;
        const store = node.kind === 'aggregate' && other.kind === 'aggregate';
        if (store && node.store === other.store && theirs !== stage) return false;
        if (!node.parents.includes(other.id)) return true;
        return stage >= theirs + (other.kind === 'mapAsync' ? 1 : 0);
      });
      if (fits) place(index + 1, { ...found, [node.id]: stage });
    }
  };
  place(0, {});
  return best;
}
