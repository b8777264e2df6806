import { expect, test } from 'vitest';
import { EscapementError } from '../../src/errors.ts';
import { internalTopics } from '../../src/topology/internal-topics.ts';
import type { TopologyNode } from '../../src/topology/node.ts';
import { aggregate, merge, readBack, repartition, sink, source, topologyOf } from './nodes.ts';

function counts(
  partitions: Readonly<Record<string, number>>,
  ...nodes: readonly TopologyNode[]
): Record<string, number> {
  const found = internalTopics(topologyOf(...nodes), 'app', new Map(Object.entries(partitions)));
  return Object.fromEntries(found.map(({ topic, partitions: count }) => [topic, count]));
}

test('a store has a changelog with one partition per task', () => {
  expect(counts({ a: 3 }, source('a'), aggregate('n', 'counts', 'a'))).toEqual({
    'app-counts-changelog': 3,
  });
});

test('a repartition topic has as many partitions as the largest input it is made from', () => {
  const nodes = [source('a'), source('b'), repartition('r', ['a']), readBack('r')];
  expect(counts({ a: 4, b: 2 }, ...nodes)).toEqual({ 'app-r-repartition': 4 });
});

test('a repartition topic follows through another one', () => {
  const nodes = [
    source('a'),
    repartition('r', ['a']),
    readBack('r'),
    repartition('q', ['r-read']),
    readBack('q'),
    aggregate('n', 's', 'q-read'),
  ];
  expect(counts({ a: 5 }, ...nodes)).toEqual({
    'app-r-repartition': 5,
    'app-q-repartition': 5,
    'app-s-changelog': 5,
  });
});

test('a repartition topic takes the count of the inputs it meets', () => {
  const nodes = [
    source('a'),
    source('b'),
    repartition('r', ['a']),
    readBack('r'),
    merge('m', 'b', 'r-read'),
  ];
  expect(counts({ a: 2, b: 7 }, ...nodes)).toEqual({ 'app-r-repartition': 7 });
});

test('two repartition topics that meet have the larger count of what they are made from', () => {
  const nodes = [
    source('a'),
    source('b'),
    repartition('r', ['a']),
    readBack('r'),
    repartition('q', ['b']),
    readBack('q'),
    merge('m', 'q-read', 'r-read'),
  ];
  expect(counts({ a: 2, b: 7 }, ...nodes)).toEqual({
    'app-r-repartition': 7,
    'app-q-repartition': 7,
  });
});

test('a repartition topic that meets one with a count of its own takes that', () => {
  const nodes = [
    source('a'),
    repartition('r', ['a'], 12),
    readBack('r'),
    repartition('q', ['a']),
    readBack('q'),
    merge('m', 'q-read', 'r-read'),
  ];
  expect(counts({ a: 2 }, ...nodes)).toEqual({
    'app-r-repartition': 12,
    'app-q-repartition': 12,
  });
});

test('a repartition topic that feeds itself takes the count of what else feeds it', () => {
  const nodes = [source('a'), readBack('r'), repartition('r', ['a', 'r-read'])];
  expect(counts({ a: 3 }, ...nodes)).toEqual({ 'app-r-repartition': 3 });
  const apart = [
    source('a'),
    repartition('q', ['a']),
    readBack('q'),
    readBack('r'),
    merge('m', 'q-read', 'r-read'),
    repartition('r', ['m']),
  ];
  expect(counts({ a: 3 }, ...apart)).toEqual({ 'app-q-repartition': 3, 'app-r-repartition': 3 });
});

function refusal(run: () => unknown): EscapementError {
  try {
    run();
  } catch (cause) {
    if (cause instanceof EscapementError) return cause;
    throw cause;
  }
  return expect.fail('nothing was refused');
}

test('inputs of one sub-topology with different counts are refused, listing all of them', () => {
  const nodes = [source('a'), source('b'), source('c'), merge('m', 'a', 'b', 'c')];
  const error = refusal(() => counts({ a: 3, b: 3, c: 4 }, ...nodes));
  expect(error.code).toBe('TOPIC_MISMATCH');
  expect(error.message).toContain('a has 3, b has 3, c has 4');
});

test('a repartition count that differs from the inputs it meets is refused', () => {
  const nodes = [
    source('a'),
    source('b'),
    repartition('r', ['a'], 5),
    readBack('r'),
    merge('m', 'b', 'r-read'),
  ];
  const error = refusal(() => {
    const found = internalTopics(
      topologyOf(...nodes),
      'app',
      new Map(Object.entries({ a: 3, b: 3 })),
    );
    return found;
  });
  expect(error.message).toContain('b has 3, app-r-repartition has 5');
});

test('an input that is not on the broker is refused', () => {
  const lone = refusal(() => counts({}, source('a'), sink('x', 'a')));
  expect([lone.code, lone.message]).toEqual([
    'TOPIC_MISMATCH',
    expect.stringContaining('reads a, not found on the broker'),
  ]);
  const above = refusal(() => counts({}, source('a'), repartition('r', ['a']), readBack('r')));
  expect(above.message).toContain('The partitions of repartition r follow from topics');
});

test('an internal name that is too long or taken is refused', () => {
  const long = 'x'.repeat(240);
  const tooLong = refusal(() => counts({ a: 1 }, source('a'), aggregate('n', long, 'a')));
  expect([tooLong.code, tooLong.message]).toEqual([
    'TOPOLOGY_INVALID',
    expect.stringContaining(`app-${long}-changelog has 254 characters, at most 249`),
  ]);
  const nodes = [source('app-s-changelog'), aggregate('n', 's', 'app-s-changelog')];
  expect(refusal(() => counts({ 'app-s-changelog': 1 }, ...nodes)).message).toContain(
    "app-s-changelog is also a topic of the topology's own streams",
  );
});
