/**
 * `npm run test:conformance`: the embedded broker held to real Kafka. Every named case on every
 * target, and random sequences on each pair of an embedded target and its real one. The lines
 * printed last are counted from vitest's report, by what each test says that it ran.
 */
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runVitest } from './test.mjs';

/** The test file of each target's cases, and that of its sequences. */
const FILES = {
  'embedded-tv1': ['embedded-tv1', 'sequences/sequences-tv1'],
  'embedded-tv2': ['embedded-tv2', 'sequences/sequences-tv2'],
  'kafka-3.9.1': ['kafka-3-9'],
  'kafka-4.3.1': ['kafka-4-3'],
};

/** `npm test` plays half as many. */
const SEQUENCES_DEFAULT = '2000';

const HELP = `npm run test:conformance -- [options]

  --target NAME      only this target: ${Object.keys(FILES).join(', ')}
                     (an embedded one is compared with its real Kafka, which is started)
  --sequences N      random sequences on each pair, default ${SEQUENCES_DEFAULT}; 0 for none
  --seed S           seed of the first sequence, default 1; the next ones follow
  --json             the last lines are JSON, one for each target:
                     {"target":"…","cases":N,"failed":N,"exceptions":N,"sequences":N,"notRun":N}
  --help             this text

A sequence that is answered differently is printed with its seed, shrunk; \`--seed S --sequences 1\`
plays it again. Known differences stand in test/conformance/exceptions.ts.`;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const report = join(root, '.cache', 'test', `conformance-${process.pid}.json`);

/** What the arguments ask for; throws with a message for the user. */
export function asked(args) {
  const { values } = parseArgs({
    args,
    options: {
      target: { type: 'string' },
      sequences: { type: 'string' },
      seed: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const { target, sequences, seed } = values;
  if (target !== undefined && !Object.hasOwn(FILES, target)) {
    throw new Error(`no target is called ${target}: ${Object.keys(FILES).join(', ')}`);
  }
  for (const [name, value] of Object.entries({ sequences, seed })) {
    if (value !== undefined && !/^\d{1,9}$/.test(value)) {
      throw new Error(`--${name} takes a whole number from 0 to 999999999, not ${value}`);
    }
  }
  return values;
}

/** Counts by target from the files of a vitest report. A file that did not load is a failure. */
export function tally(files, targets) {
  const none = { cases: 0, failed: 0, exceptions: 0, sequences: 0, skipped: 0, notRun: [] };
  const counts = new Map(targets.map((target) => [target, { ...none, notRun: [] }]));
  const failures = { unassigned: 0 };
  for (const file of files) {
    const failedBefore = [...counts.values()].reduce((sum, { failed }) => sum + failed, 0);
    for (const test of file.assertionResults) count(test, counts, failures);
    const failedNow = [...counts.values()].reduce((sum, { failed }) => sum + failed, 0);
    if (file.status === 'failed' && failedNow === failedBefore) failures.unassigned += 1;
  }
  return { counts, unassigned: failures.unassigned };
}

function count(test, counts, failures) {
  const meta = test.meta?.conformance;
  const entry = counts.get(meta?.target);
  if (test.status === 'failed' && entry === undefined) failures.unassigned += 1;
  // Sequences ran on both sides, and the embedded one is held to the other.
  const against = counts.get(meta?.against);
  if (against !== undefined && test.status !== 'skipped') against.sequences += meta.sequences;
  if (entry === undefined) return;
  if (test.status === 'failed') entry.failed += 1;
  else if (test.status !== 'passed') entry.skipped += 1;
  if (meta.kind === 'case' || meta.kind === 'exception') entry.cases += 1;
  if (meta.kind === 'exception') entry.exceptions += 1;
  if (meta.kind === 'sequences') entry.sequences += meta.sequences;
  if (meta.kind === 'not-run') entry.notRun.push(...meta.notRun);
}

function readReport() {
  try {
    return JSON.parse(readFileSync(report, 'utf8')).testResults;
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  } finally {
    rmSync(report, { force: true });
  }
}

function printed(target, entry) {
  const { cases, failed, exceptions, sequences, notRun } = entry;
  return `${target}: ${cases} cases and ${sequences} sequences, ${failed} failed, ${exceptions} exceptions, ${notRun.length} not run here`;
}

async function main() {
  let wish;
  try {
    wish = asked(process.argv.slice(2));
  } catch (error) {
    console.error(`${error.message}\n\n${HELP}`);
    return 2;
  }
  if (wish.help) {
    console.log(HELP);
    return 0;
  }
  const targets = wish.target === undefined ? Object.keys(FILES) : [wish.target];
  const files = targets.flatMap((target) => FILES[target]);
  const paths = files
    .filter((file) => wish.sequences !== '0' || !file.startsWith('sequences/'))
    .map((file) => `test/conformance/${file}.test.ts`);
  mkdirSync(dirname(report), { recursive: true });
  const code = await runVitest(report, ['--project', 'integration', ...paths], {
    ESCAPEMENT_CONFORMANCE_SEQUENCES: wish.sequences ?? SEQUENCES_DEFAULT,
    ESCAPEMENT_CONFORMANCE_SEED: wish.seed ?? '',
  });
  const { counts, unassigned } = tally(readReport(), targets);
  const entries = [...counts];
  for (const [target, { notRun }] of entries) {
    if (notRun.length > 0) console.log(`\nnot run on ${target}:`);
    for (const title of notRun) console.log(`  - ${title}`);
  }
  if (unassigned > 0) console.log(`\n${unassigned} failures before a case ran: see above`);
  console.log();
  for (const [target, entry] of entries) {
    const { notRun, skipped: _, ...rest } = entry;
    const line = { target, ...rest, notRun: notRun.length };
    console.log(wish.json ? JSON.stringify(line) : printed(target, entry));
  }
  const idle = entries.some(([, { cases }]) => cases === 0);
  const failed = entries.some(([, each]) => each.failed > 0);
  return code !== 0 || idle || failed || unassigned > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main();
