/** The examples of docs/testing.md run as they stand. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, expect, test, vi } from 'vitest';

const FOLDER = new URL(`../../.cache/docs-testing-${process.pid}/`, import.meta.url);
const text = readFileSync(new URL('../../docs/testing.md', import.meta.url), 'utf8');
const blocks = [...text.matchAll(/```ts run\n([\s\S]*?)```/g)].map(([, code]) => code!);
/** A crash test is some hundred runs, each of which takes longer on a busy machine. */
const TIMEOUT_MS = 600_000;

afterAll(() => rmSync(FOLDER, { recursive: true, force: true }));

test('docs/testing.md has an example of the driver, marbles, its replay, the shadow run, the laws and the crash test', () => {
  expect(blocks).toHaveLength(6);
  expect(text.match(/```ts\n/g)).toBeNull();
});

test.each(blocks.map((code, at) => [at + 1, code] as const))(
  'example %i of docs/testing.md runs',
  { timeout: TIMEOUT_MS },
  async (n, code) => {
    mkdirSync(FOLDER, { recursive: true });
    const file = new URL(`example-${n}.ts`, FOLDER);
    writeFileSync(file, code);
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    await import(file.href);
    log.mockRestore();
  },
);
