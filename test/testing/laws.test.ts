/** Laws that every topology of stock operators keeps, whatever is piped in and whatever crashes. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  aggregate,
  filter,
  flatMapValues,
  mapAsync,
  repartition,
  selectKey,
  string,
  to,
  topology,
} from '../../src/index.ts';
import { TestDriver } from '../../src/testing/test-driver.ts';

const text = string();
const texts = { key: text, value: text };

/** Keeps, per letter, all the lines that it was in: order, losses and doubles show in the text. */
function letters(work: 'synchronous' | 'asynchronous') {
  const app = topology('letters');
  const lines = app.stream('lines', texts);
  const worked =
    work === 'synchronous'
      ? lines
      : lines.pipe(mapAsync(async (line) => line, { concurrency: 3, order: 'key' }));
  worked.pipe(
    flatMapValues((line, { meta }) => [...line].map((letter) => `${letter}${meta.offset}`)),
    filter((record) => record.value[0] !== '-'),
    selectKey((record) => record.value[0]!),
    repartition({ name: 'by-letter', key: text, value: text }),
    aggregate({
      name: 'lines-of',
      init: () => '',
      add: (lines, line) => `${lines} ${line}`,
      key: text,
      value: text,
    }),
    to('letters', texts),
  );
  return app;
}

const lines = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c', '-'), maxLength: 4 }), {
  maxLength: 8,
});

async function driven(
  given: readonly string[],
  partitions: number,
  work: 'synchronous' | 'asynchronous',
) {
  const driver = await TestDriver.start({
    topology: () => letters(work),
    partitions: { lines: partitions, letters: partitions },
    replays: 4,
  });
  const input = driver.input('lines', texts);
  const output = driver.output('letters', texts);
  for (const line of given) input.pipe('k', line);
  await driver.idle();
  const latest = Object.fromEntries(output.readKeyValues());
  await driver.close();
  return latest;
}

function loop(given: readonly string[]): Record<string, string> {
  const latest: Record<string, string> = {};
  given.forEach((line, offset) => {
    for (const letter of line) {
      if (letter !== '-') latest[letter] = `${latest[letter] ?? ''} ${letter}${offset}`;
    }
  });
  return latest;
}

/** Some thousand steps, on a machine that may be busy. */
const TIMEOUT_MS = 600_000;

test.each(['synchronous', 'asynchronous'] as const)(
  'a stream equals a loop over its records, whatever crashes (%s)',
  { timeout: TIMEOUT_MS },
  async (work) => {
    const law = fc.asyncProperty(lines, fc.integer({ min: 1, max: 3 }), async (given, n) => {
      expect(await driven(given, n, work)).toEqual(loop(given));
    });
    await fc.assert(law, { numRuns: 15 });
  },
);
