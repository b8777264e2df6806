/**
 * The word count example: its program prints counts, its topology reads as Kafka Streams' does. And
 * how a topology is tested whole: by the driver, by laws, and by a crash at every request.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { describe, long, string } from '../../src/index.ts';
import { checkLaws } from '../../src/laws/check-laws.ts';
import { crashTest } from '../../src/simulation/crash-test.ts';
import { TestDriver } from '../../src/testing/test-driver.ts';
import { wordCount } from '../../topologies/1-word-count/topology.ts';
import { build } from './billing/launched.ts';

const PROGRAM = fileURLToPath(
  new URL('../../dist/topologies/1-word-count/main.js', import.meta.url),
);

beforeAll(build);

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

/** A busy machine takes several times as long. */
const TIMEOUT_MS = 600_000;

test('it equals a loop over its lines, in any order and partition, whatever crashes', {
  timeout: TIMEOUT_MS,
}, async () => {
  const words = fc.constantFrom('to', 'To', 'be', 'or', 'not', ',', '');
  const line = fc.array(words, { maxLength: 4 }).map((all) => all.join(' '));
  await checkLaws({
    topology: wordCount,
    inputs: { lines: fc.record({ value: line }) },
    model: (lines) => {
      const counts = new Map<string, number>();
      const all = lines.flatMap(({ value }) => value.toLowerCase().match(/\w+/g) ?? []);
      for (const word of all) counts.set(word, (counts.get(word) ?? 0) + 1);
      return { 'word-counts': counts };
    },
    orderInsensitive: { 'word-counts': 'latest' },
    runs: 15,
  });
});

test('it counts the same whatever becomes of any request', { timeout: TIMEOUT_MS }, async () => {
  await crashTest({
    topology: wordCount,
    topics: { lines: 2, 'word-counts': 2 },
    inputs: [
      { topic: 'lines', key: null, value: 'To be, or not', partition: 0 },
      { topic: 'lines', key: null, value: 'to BE.', partition: 1 },
      { topic: 'lines', key: null, value: 'or', partition: 0 },
    ],
    expected: {
      'word-counts': new Map([
        ...([
          ['to', 2],
          ['be', 2],
          ['or', 2],
          ['not', 1],
        ] as const),
      ]),
    },
    every: 29,
    seeds: 5,
  });
});
