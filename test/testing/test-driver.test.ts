/** The driver of users' unit tests: production tasks, the test's time, no broker. */
import { expect, test } from 'vitest';
import { long, string } from '../../src/index.ts';
import { TestDriver } from '../../src/testing/test-driver.ts';
import { wordCount } from '../../topologies/1-word-count/topology.ts';

const text = string();

test('records go through all sub-topologies and are read at once, each once', async () => {
  const driver = await TestDriver.start({ topology: wordCount });
  const lines = driver.input('lines', { key: text, value: text });
  const counts = driver.output('word-counts', { key: text, value: long() });
  lines.pipe(null, 'to be or not To be');
  expect(counts.readKeyValues()).toEqual([
    ['to', 1],
    ['be', 1],
    ['or', 1],
    ['not', 1],
    ['to', 2],
    ['be', 2],
  ]);
  expect(counts.read()).toEqual([]);
});
