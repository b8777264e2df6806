/** What users run over their own topology: it passes what is exact and names what is not. */
import { expect, test } from 'vitest';
import { avro, long, mapValues, memoryRegistry, string, to, topology } from '../../src/index.ts';
import type { CrashTestOptions } from '../../src/simulation/crash-options.ts';
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
  const [v1, v2] = report.grids;
  expect([v1!.transactionVersion, v2!.transactionVersion]).toEqual([1, 2]);
  for (const { requests, cases, run } of report.grids) {
    expect(requests).toBeGreaterThan(50);
    expect(cases).toBeGreaterThan(requests * 11);
    expect(run).toBe(Math.ceil(cases / 61));
  }
  expect(report.text).toMatch(/^All \d+ runs left what the undisturbed run left\.\n/);
  expect(report.text).toMatch(/^Transactions v1: .* \d+ of \d+ cases \(1\.\d %\)$/m);
  expect(report.text).toMatch(/^Random faults: 3 seeds$/m);
});

function counting() {
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
}

const leaky: CrashTestOptions = {
  topology: counting,
  topics: { in: 1, out: 1 },
  inputs: [1, 2, 3, 4].map((n) => ({ topic: 'in', key: 'k', value: `v${n}` })),
  transactionVersions: [2],
  every: 17,
  seeds: 0,
};

async function report(options: CrashTestOptions): Promise<string> {
  const failure = await crashTest(options).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'CRASH_TEST_FAILED' });
  return (failure as Error).message;
}

test('a topology that counts outside its stores is found: the step, the fault, what differed, how again', {
  timeout: TIMEOUT_MS,
}, async () => {
  const found = (await report(leaky)).split('\n');
  expect(found[0]).toMatch(/^\d+ of 42 runs left something else than the undisturbed run\.$/);
  expect(found.slice(1, 5)).toEqual([
    '  v2 p0.1 Produce 1: lost-answer reset',
    '    1st Produce of process p0.1: it is carried out and the answer is lost, the connection breaks',
    "    out-0, key 'k': expected 1, 2, 3, 4",
    '      got 2, 3, 4, 5',
  ]);
  const only = /Again: crashTest\(\{ …, only: \['(.*)'\] \}\)/.exec(found.join('\n'))![1]!;
  const again = (await report({ ...leaky, only: [only] })).split('\n');
  expect(again[0]).toBe('1 of 1 runs left something else than the undisturbed run.');
  expect(again.slice(1, 5)).toEqual(found.slice(1, 5));
});

test('a case that there is not is refused', { timeout: TIMEOUT_MS }, async () => {
  await expect(
    crashTest({ ...leaky, only: ['v2 p0.1 Sleep 1: crash before'] }),
  ).rejects.toMatchObject({
    code: 'OPTION_INVALID',
    message: expect.stringContaining("'v2 p0.1 Sleep 1: crash before'"),
  });
});

test('what is expected is held against every run, the undisturbed one first', {
  timeout: TIMEOUT_MS,
}, async () => {
  const every = await report({
    ...leaky,
    expected: {
      out: [
        ['k', 1],
        ['k', 2],
      ],
    },
  });
  expect(every).toBe(
    'The undisturbed run already left something else than expected:\n' +
      "  out-0, key 'k': expected 1, 2\n  got 1, 2, 3, 4",
  );
  const latest = await report({ ...leaky, expected: { out: new Map([['k', 5]]) } });
  expect(latest).toContain("out-0, key 'k': expected 5\n  got 4");
  const right = await report({ ...leaky, expected: { out: new Map([['k', 4]]) } });
  expect(right).toContain("out-0, key 'k': expected 4\n      got 5");
  const alone = { ...leaky, compare: 'expected' } as const;
  await crashTest({ ...alone, check: () => [] });
  expect(await report({ ...alone, expected: { out: new Map([['k', 4]]) } })).toContain('got 5');
  await expect(crashTest(alone)).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  await expect(crashTest({ ...leaky, expected: { in: [] } })).rejects.toMatchObject({
    code: 'OPTION_INVALID',
    at: { topic: 'in' },
  });
});

test('a process that is told of a rebalance has asked the group', {
  timeout: TIMEOUT_MS,
}, async () => {
  const only = [1, 2].map((v) => `v${v} p0.1 Heartbeat 1: refuse instead REBALANCE_IN_PROGRESS`);
  const copied = () => {
    const app = topology('copied');
    app.stream('in', { key: text, value: text }).pipe(to('out', { key: text, value: text }));
    return app;
  };
  const { text: said } = await crashTest({
    ...leaky,
    topology: copied,
    transactionVersions: [1, 2],
    only,
  });
  expect(said).toContain('All 2 runs');
});

test('inputs are given as values, and results are shown as they are read', {
  timeout: TIMEOUT_MS,
}, async () => {
  const registry = memoryRegistry();
  const schema = { type: 'record', name: 'Sum', fields: [{ name: 'cents', type: 'long' }] };
  await registry.register('sums-value', JSON.stringify(schema));
  const summing = () => {
    const sums = avro<{ cents: number }>({ subject: 'sums-value', schema, registry });
    const app = topology('summing');
    app.stream('in', { key: text, value: sums }).pipe(to('out', { key: text, value: sums }));
    return app;
  };
  const options: CrashTestOptions = {
    topology: summing,
    topics: { in: 1, out: 1 },
    inputs: [{ topic: 'in', key: 'k', value: { cents: 5 } }],
    expected: { out: [['k', { cents: 5 }]] },
    transactionVersions: [2],
    every: 97,
    seeds: 0,
  };
  await crashTest(options);
  const wrong = await report({ ...options, expected: { out: [['k', { cents: 6 }]] } });
  expect(wrong).toContain("out-0, key 'k': expected Sum { cents: 6 }\n  got Sum { cents: 5 }");
});

test('an input for a topic that nobody named is refused', async () => {
  const failing = crashTest({
    topology: wordCount,
    topics: { 'word-counts': 1 },
    inputs: [{ topic: 'lines', key: null, value: 'to be' }],
  });
  await expect(failing).rejects.toMatchObject({ code: 'OPTION_INVALID', at: { topic: 'lines' } });
});

test('topics of the topology that nobody named are refused before anything runs', async () => {
  const failing = crashTest({ ...leaky, topics: { in: 1 } });
  await expect(failing).rejects.toMatchObject({
    code: 'OPTION_INVALID',
    message: "crashTest: 'topics' lacks: out. Give each its partitions.",
  });
});

test('what stops a process of the undisturbed run is told once, as what it is', async () => {
  const failing = () => {
    const app = topology('failing');
    const serdes = { key: text, value: text };
    app.stream('in', serdes).pipe(
      mapValues((): string => {
        throw new Error('no');
      }),
      to('out', serdes),
    );
    return app;
  };
  const failure = await crashTest({ ...leaky, topology: failing }).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'RECORD_FAILED' });
  const { message } = failure as Error;
  expect(message).toMatch(/^The undisturbed run: process p0\.1 stopped\. /);
  expect(message.match(/ stopped\. /g)).toHaveLength(1);
  expect(message).not.toContain('p0.2');
});
