import { expect, test } from 'vitest';
import { planTasks } from '../../src/topology/plan-tasks.ts';
import { aggregate, merge, readBack, repartition, source, topologyOf } from './nodes.ts';

test('there is a task per sub-topology and partition, with its inputs and changelogs', () => {
  const topology = topologyOf(
    source('a'),
    source('b'),
    merge('m', 'a', 'b'),
    repartition('r', ['m']),
    readBack('r'),
    aggregate('n', 's', 'r-read'),
  );
  const partitions = new Map(Object.entries({ a: 2, b: 2, 'app-r-repartition': 1 }));
  expect(planTasks(topology, 'app', partitions)).toEqual([
    ...[0, 1].map((partition) => ({
      id: `a_${partition}`,
      subTopology: 'a',
      partition,
      inputs: [
        { topic: 'a', partition },
        { topic: 'b', partition },
      ],
      changelogs: [],
    })),
    {
      id: 'r_0',
      subTopology: 'r',
      partition: 0,
      inputs: [{ topic: 'app-r-repartition', partition: 0 }],
      changelogs: [{ store: 's', topic: 'app-s-changelog', partition: 0 }],
    },
  ]);
});

test('inputs with different counts are refused', () => {
  const topology = topologyOf(source('a'), source('b'), merge('m', 'a', 'b'));
  const partitions = new Map(Object.entries({ a: 2, b: 3 }));
  expect(() => planTasks(topology, 'app', partitions)).toThrow(/a has 2, b has 3/);
});

test('tasks are not planned before the repartition topics have their counts', () => {
  const topology = topologyOf(source('a'), repartition('r', ['a']), readBack('r'));
  expect(() => planTasks(topology, 'app', new Map([['a', 2]]))).toThrow(
    /app-r-repartition, not found/,
  );
});
