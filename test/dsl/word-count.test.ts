import { expect, test } from 'vitest';
import { count } from '../../src/dsl/count.ts';
import { filter } from '../../src/dsl/filter.ts';
import { flatMapValues } from '../../src/dsl/flat-map-values.ts';
import { repartition } from '../../src/dsl/repartition.ts';
import { selectKey } from '../../src/dsl/select-key.ts';
import { to } from '../../src/dsl/to.ts';
import { topology } from '../../src/dsl/topology.ts';
import { long } from '../../src/serde/long.ts';
import { string } from '../../src/serde/string.ts';
import { describe } from '../../src/topology/describe.ts';
import { internalTopics } from '../../src/topology/internal-topics.ts';
import { planTasks } from '../../src/topology/plan-tasks.ts';

const strings = { key: string(), value: string() };

function wordCount() {
  const t = topology('word-count');
  t.stream('plaintext-input', strings).pipe(
    flatMapValues((line) => line.toLowerCase().split(/\W+/)),
    filter((record) => record.value !== ''),
    selectKey((record) => record.value),
    repartition({ name: 'Counts', ...strings }),
    count({ name: 'Counts', key: string() }),
    to('wordcount-output', { key: string(), value: long() }),
  );
  return t.build();
}

test('word count has two sub-topologies, as in Kafka Streams', () => {
  expect(describe(wordCount())).toBe(`Topologies:
   Sub-topology: 0
    Source: source-0 (topics: [plaintext-input])
      --> flatMapValues-1
    Processor: flatMapValues-1 (stores: [])
      --> filter-2
      <-- source-0
    Processor: filter-2 (stores: [])
      --> selectKey-3
      <-- flatMapValues-1
    Processor: selectKey-3 (stores: [])
      --> repartition-4
      <-- filter-2
    Sink: repartition-4 (topic: Counts-repartition)
      <-- selectKey-3

  Sub-topology: 1
    Source: source-5 (topics: [Counts-repartition])
      --> aggregate-6
    Processor: aggregate-6 (stores: [Counts])
      --> sink-7
      <-- source-5
    Sink: sink-7 (topic: wordcount-output)
      <-- aggregate-6

`);
});

test('word count has the internal topics and tasks of Kafka Streams', () => {
  const partitions = new Map([['plaintext-input', 2]]);
  const internal = internalTopics(wordCount(), 'wc', partitions);
  for (const { topic, partitions: count } of internal) partitions.set(topic, count);
  expect([...partitions]).toEqual([
    ['plaintext-input', 2],
    ['wc-Counts-repartition', 2],
    ['wc-Counts-changelog', 2],
  ]);
  expect(planTasks(wordCount(), 'wc', partitions).map(({ id }) => id)).toEqual([
    'plaintext-input_0',
    'plaintext-input_1',
    'Counts_0',
    'Counts_1',
  ]);
});
