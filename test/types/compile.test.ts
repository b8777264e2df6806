/**
 * The type tests: everything under `src`, `topologies` and `test` compiles, and each
 * `@ts-expect-error` in `test/types` marks a mistake that the compiler really refuses
 * (an unneeded mark is itself an error).
 */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const tsc = join(
  dirname(createRequire(import.meta.url).resolve('typescript/package.json')),
  'bin/tsc',
);

// In this order: a project is built after the ones it refers to.
test.each(['src', 'topologies', 'test'])('%s compiles', (project) => {
  const run = spawnSync(process.execPath, [tsc, '-b', project, '--pretty', 'false'], {
    cwd: root,
    encoding: 'utf8',
  });
  expect(run.stdout + run.stderr).toBe('');
  expect(run.status).toBe(0);
});
