/** The word count example: its program prints counts, its topology reads as Kafka Streams' does. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { describe } from '../../src/index.ts';
import { wordCount } from '../../topologies/1-word-count/topology.ts';

const PROGRAM = fileURLToPath(
  new URL('../../dist/topologies/1-word-count/main.js', import.meta.url),
);

test('the program counts the words of its arguments', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    PROGRAM,
    'to be',
    'or not To be',
  ]);
  expect(stdout.trim().split('\n').slice(-4)).toEqual(['be: 2', 'not: 1', 'or: 1', 'to: 2']);
});

test('the topology is cut at the repartition topic', () => {
  const text = describe(wordCount().build());
  expect(text.match(/Sub-topology:/g)).toHaveLength(2);
  expect(text).toContain('by-word');
  expect(text).toContain('(stores: [counts])');
});
