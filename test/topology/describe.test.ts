import { expect, test } from 'vitest';
import { describe } from '../../src/topology/describe.ts';
import {
  aggregate,
  mapAsync,
  merge,
  readBack,
  repartition,
  sink,
  source,
  topologyOf,
} from './nodes.ts';

// What Kafka Streams prints for its word count, with the names of these nodes.
test('word count reads as Kafka Streams describes it', () => {
  const wordCount = topologyOf(
    source('plaintext-input'),
    mapAsync('split', 'plaintext-input'),
    repartition('Counts', ['split']),
    readBack('Counts'),
    aggregate('count', 'Counts', 'Counts-read'),
    sink('wordcount-output', 'count'),
  );
  expect(describe(wordCount)).toBe(
    'Topologies:\n' +
      '   Sub-topology: 0\n' +
      '    Source: plaintext-input (topics: [plaintext-input])\n' +
      '      --> split\n' +
      '    Processor: split (stores: [])\n' +
      '      --> Counts-write\n' +
      '      <-- plaintext-input\n' +
      '    Sink: Counts-write (topic: Counts-repartition)\n' +
      '      <-- split\n' +
      '\n' +
      '  Sub-topology: 1\n' +
      '    Source: Counts-read (topics: [Counts-repartition])\n' +
      '      --> count\n' +
      '    Processor: count (stores: [Counts])\n' +
      '      --> to-wordcount-output\n' +
      '      <-- Counts-read\n' +
      '    Sink: to-wordcount-output (topic: wordcount-output)\n' +
      '      <-- count\n' +
      '\n',
  );
});

test('several parents and children are listed, and none is said', () => {
  const text = describe(
    topologyOf(source('a'), source('b'), merge('m', 'a', 'b'), merge('n', 'a')),
  );
  expect(text).toContain('    Source: a (topics: [a])\n      --> m, n\n');
  expect(text).toContain('    Processor: m (stores: [])\n      --> none\n      <-- a, b\n');
});

test("the user's name of a sub-topology is shown", () => {
  const text = describe(topologyOf(source('a', { subTopology: 'reading' })));
  expect(text).toContain('   Sub-topology: 0 (reading)\n');
});
