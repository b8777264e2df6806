/** The examples of docs/operating.md are accepted by the compiler, against the built types. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { build } from '../topologies/billing/launched.ts';

const FOLDER = new URL(`../../.cache/docs-operating-${process.pid}/`, import.meta.url);
const tsc = join(
  dirname(createRequire(import.meta.url).resolve('typescript/package.json')),
  'bin/tsc',
);

beforeAll(build);
afterAll(() => rmSync(FOLDER, { recursive: true, force: true }));

test('the examples of docs/operating.md compile', () => {
  const text = readFileSync(new URL('../../docs/operating.md', import.meta.url), 'utf8');
  const blocks = [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code!);
  expect(blocks.length).toBeGreaterThan(0);
  mkdirSync(FOLDER, { recursive: true });
  blocks.forEach((code, i) => {
    writeFileSync(new URL(`block-${i}.ts`, FOLDER), code);
  });
  const settings = {
    extends: '../../tsconfig.base.json',
    compilerOptions: { noEmit: true, composite: false, incremental: false, types: ['node'] },
  };
  writeFileSync(new URL('tsconfig.json', FOLDER), JSON.stringify(settings));
  const run = spawnSync(process.execPath, [tsc, '-p', fileURLToPath(FOLDER), '--pretty', 'false'], {
    encoding: 'utf8',
  });
  expect(run.stdout + run.stderr).toBe('');
  expect(run.status).toBe(0);
});
