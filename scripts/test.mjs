/**
 * What `npm test` runs: every vitest project (unit, types, integration), or what the arguments name
 * (`npm test -- --project unit test/state`). The last line is `N passed, N failed, N skipped`,
 * counted from vitest's JSON report. Fails when a test fails, when none ran and when vitest itself
 * ends badly (an unhandled rejection fails no test but is a failure).
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const report = join(root, '.cache', 'test', `report-${process.pid}.json`);

/** Runs vitest with a JSON report into `file`; resolves to its exit code. */
export function runVitest(file, args, environment = {}) {
  const bin = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const child = spawn(
    process.execPath,
    [bin, 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${file}`, ...args],
    { cwd: root, stdio: 'inherit', env: { ...process.env, ...environment } },
  );
  // The terminal sends Ctrl-C to both; a kill of this process alone must reach vitest, too, because
  // it stops the brokers.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(code ?? (signal === null ? 1 : 128)));
  });
}

/** Counts by test; a file that fails without a failed test (it did not load) is one failure. */
export function count(files) {
  const counts = { passed: 0, failed: 0, skipped: 0, skippedTitles: [] };
  for (const file of files) {
    let failedHere = 0;
    for (const test of file.assertionResults) {
      if (test.status === 'passed') {
        counts.passed += 1;
      } else if (test.status === 'failed') {
        failedHere += 1;
      } else {
        counts.skipped += 1;
        counts.skippedTitles.push(`${relative(root, file.name)}: ${test.fullName}`);
      }
    }
    if (file.status === 'failed' && failedHere === 0) failedHere = 1;
    counts.failed += failedHere;
  }
  return counts;
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

async function main() {
  mkdirSync(dirname(report), { recursive: true });
  const code = await runVitest(report, process.argv.slice(2));
  const counts = count(readReport());
  if (counts.skipped > 0) {
    console.log(`\nSKIPPED, not proven by this run (${counts.skipped}):`);
    for (const title of counts.skippedTitles) console.log(`  - ${title}`);
  }
  const ran = counts.passed + counts.failed;
  if (code !== 0 && counts.failed === 0) {
    console.log(`\nvitest ended with exit code ${code} although no test failed; see above`);
    counts.failed = 1;
  } else if (ran === 0) {
    console.log('\nno test ran: that is a failure');
  }
  console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  process.exitCode = code !== 0 || counts.failed > 0 || ran === 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
