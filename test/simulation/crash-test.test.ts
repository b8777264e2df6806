/** What users run over their own topology: it passes what is exact and names what is not. */
import { expect, test } from 'vitest';
import { long, mapValues, string, to, topology } from '../../src/index.ts';
import { crashTest } from '../../src/simulation/crash-test.ts';
import { wordCount } from '../../topologies/1-word-count/topology.ts';

const text = string();
/** Some hundred runs, each of which takes longer on a busy machine. */
const TIMEOUT_MS = 120_000;

test('the word count is exact whatever becomes of a request', { timeout: TIMEOUT_MS }, async () => {
  const report = await crashTest({
    topology: wordCount,
    topics: { lines: 1, 'word-counts': 1 },
    inputs: [
      { topic: 'lines', key: null, value: 'to be or not' },
      { topic: 'lines', key: null, value: 'to be' },
    ],
    every: 61,
    seeds: 3,
  });
  expect(report.requests).toBeGreaterThan(50);
  expect(report.text).toContain('0 of ');
});

test('a topology that counts outside its stores is found, with the step and what differed', {
  timeout: TIMEOUT_MS,
}, async () => {
  const counting = () => {
    let seen = 0;
    const app = topology('leaky');
    app.stream('in', { key: text, value: text }).pipe(
      mapValues(() => {
        seen += 1;
        return seen;
      }),
      to('out', { key: text, value: long() }),
    );
    return app;
  };
  const failing = crashTest({
    topology: counting,
    topics: { in: 1, out: 1 },
    inputs: [1, 2, 3, 4].map((n) => ({ topic: 'in', key: 'k', value: `v${n}` })),
    transactionVersions: [2],
    every: 17,
    seeds: 0,
  });
  // Already the restart between two parts of the input shows that the count is not state.
  await expect(failing).rejects.toMatchObject({
    code: 'CRASH_TEST_FAILED',
    message: expect.stringMatching(/crash|lost|refuse/),
  });
});

test('an input for a topic that nobody named is refused', async () => {
  const failing = crashTest({
    topology: wordCount,
    topics: { 'word-counts': 1 },
    inputs: [{ topic: 'lines', key: null, value: 'to be' }],
  });
  await expect(failing).rejects.toMatchObject({ code: 'OPTION_INVALID', at: { topic: 'lines' } });
});
