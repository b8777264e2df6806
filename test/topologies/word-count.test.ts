/** The word count example: its program prints counts, its topology reads as Kafka Streams' does. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { describe, long, string } from '../../src/index.ts';
import { TestDriver } from '../../src/testing/test-driver.ts';
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

test('words are counted over lines and partitions, whatever their case', async () => {
  const text = string();
  const driver = await TestDriver.start({
    topology: wordCount,
    partitions: { lines: 2, 'word-counts': 2 },
  });
  const lines = driver.input('lines', { key: text, value: text });
  const counts = driver.output('word-counts', { key: text, value: long() });
  lines.pipe(null, 'To be, or not', { partition: 0 });
  lines.pipe(null, 'to BE.', { partition: 1 });
  expect(Object.fromEntries(counts.readKeyValues())).toEqual({ to: 2, be: 2, or: 1, not: 1 });
  expect(driver.keyValueStore('counts', { key: text, value: long() }).get('be')).toBe(2);
  await driver.close();
});

test('the topology is cut at the repartition topic', () => {
  const text = describe(wordCount().build());
  expect(text.match(/Sub-topology:/g)).toHaveLength(2);
  expect(text).toContain('by-word');
  expect(text).toContain('(stores: [counts])');
});
