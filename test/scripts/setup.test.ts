import { spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const script = fileURLToPath(new URL('../../scripts/setup.mjs', import.meta.url));

// A checkout of two files with an npm and a tsc that write down that they ran.
const LOCK = { packages: { '': {}, 'node_modules/typescript': { version: '7.0.2' } } };
const FAKE_TSC = `
  const { appendFileSync, existsSync, mkdirSync, writeFileSync, readFileSync } = require('node:fs');
  appendFileSync('log', 'tsc ' + process.argv.slice(2).join(' ') + '\\n');
  console.log('compiler talk');
  if (readFileSync('src/a.ts', 'utf8').includes('broken')) process.exit(2);
  const end = () => { mkdirSync('dist', { recursive: true }); writeFileSync('dist/a.js', ''); };
  if (!existsSync('gate')) return end();
  // As long as the test wants.
  const look = setInterval(() => {
    if (existsSync('gate')) return;
    appendFileSync('log', 'tsc ended\\n');
    clearInterval(look);
    end();
  }, 5);
`;
const FAKE_NPM = `
  const { appendFileSync, mkdirSync, copyFileSync, existsSync, writeFileSync } = require('node:fs');
  appendFileSync('log', 'npm ' + process.argv.slice(2).join(' ') + '\\n');
  console.log('npm talk');
  if (existsSync('offline')) { console.error('npm error ENOTFOUND'); process.exit(1); }
  mkdirSync('node_modules/typescript/bin', { recursive: true });
  copyFileSync('tools/tsc', 'node_modules/typescript/bin/tsc');
  copyFileSync('package-lock.json', 'node_modules/.package-lock.json');
`;

let root: string;
const at = (path: string): string => join(root, path);
const log = (): string[] =>
  existsSync(at('log')) ? readFileSync(at('log'), 'utf8').trim().split('\n') : [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'escapement-setup-'));
  for (const folder of ['scripts', 'src', 'topologies', 'tools']) mkdirSync(at(folder));
  copyFileSync(script, at('scripts/setup.mjs'));
  writeFileSync(at('package.json'), '{"type":"commonjs"}');
  writeFileSync(at('package-lock.json'), JSON.stringify(LOCK));
  writeFileSync(at('src/a.ts'), 'const a = 1;');
  writeFileSync(at('tools/tsc'), FAKE_TSC);
  writeFileSync(at('tools/npm-cli.js'), FAKE_NPM);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

interface Outcome {
  readonly code: number | NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Running {
  readonly stderr: string;
  readonly ended: Promise<Outcome>;
  signal(signal: NodeJS.Signals): void;
}

function start(program = process.execPath, args = [at('scripts/setup.mjs')]): Running {
  const child = spawn(program, args, {
    cwd: root,
    env: { ...process.env, npm_execpath: at('tools/npm-cli.js'), NODE_ENV: 'production' },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (piece) => {
    stdout += piece;
  });
  child.stderr.on('data', (piece) => {
    stderr += piece;
  });
  const ended = new Promise<Outcome>((resolve) => {
    child.on('close', (code, signal) => resolve({ code: code ?? signal, stdout, stderr }));
  });
  return {
    get stderr() {
      return stderr;
    },
    ended,
    signal: (signal) => void child.kill(signal),
  };
}

const setUp = (): Promise<Outcome> => start().ended;

const PATIENCE = { timeout: 60_000 };

/** A setup whose compiler works until `openGate`. */
async function compiling(): Promise<Running> {
  writeFileSync(at('gate'), '');
  const setup = start();
  await expect.poll(log, PATIENCE).toContain('tsc -b src topologies');
  // Its own id and that of the compiler.
  await expect.poll(() => readFileSync(at('.cache/setup.lock'), 'utf8'), PATIENCE).toMatch(/ /);
  return setup;
}

const openGate = (): void => rmSync(at('gate'));

describe('setup', () => {
  test('installs and compiles on a fresh clone and says nothing on stdout', async () => {
    const { code, stdout, stderr } = await setUp();
    expect(stderr).toContain('npm talk');
    expect(stderr).toContain('compiler talk');
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(log()).toEqual([
      'npm ci --include=dev --ignore-scripts --no-audit --no-fund',
      'tsc -b src topologies',
    ]);
  });

  test('does nothing when nothing changed', async () => {
    await setUp();
    expect(await setUp()).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(log()).toHaveLength(2);
  });

  test('only compiles when a source changed', async () => {
    await setUp();
    writeFileSync(at('src/a.ts'), 'const a = 2;');
    await setUp();
    expect(log().slice(2)).toEqual(['tsc -b src topologies']);
  });

  test('installs again when the lock file asks for another version', async () => {
    await setUp();
    const newer = { packages: { 'node_modules/typescript': { version: '7.0.3' } } };
    writeFileSync(at('package-lock.json'), JSON.stringify(newer));
    await setUp();
    expect(log().map((entry) => entry.split(' ')[0])).toEqual(['npm', 'tsc', 'npm', 'tsc']);
  });

  test('works once when two commands start at once', async () => {
    const [one, two] = await Promise.all([setUp(), setUp()]);
    expect([one.code, two.code]).toEqual([0, 0]);
    expect(log()).toHaveLength(2);
  });

  test('waits for one that is at work, and finds everything done', async () => {
    const first = await compiling();
    const second = start();
    await expect.poll(() => second.stderr, PATIENCE).toContain('waiting for it');
    openGate();
    expect((await first.ended).code).toBe(0);
    expect((await second.ended).code).toBe(0);
    expect(log().map((entry) => entry.split(' ')[0])).toEqual(['npm', 'tsc', 'tsc']);
  });

  test('waits for a compiler that outlives its setup before it compiles itself', async () => {
    const killed = await compiling();
    killed.signal('SIGKILL');
    const next = start();
    await expect.poll(() => next.stderr, PATIENCE).toContain('waiting for it');
    openGate();
    expect((await killed.ended).code).toBe('SIGKILL');
    expect((await next.ended).code).toBe(0);
    expect(log().slice(1)).toEqual(['tsc -b src topologies', 'tsc ended', 'tsc -b src topologies']);
  });

  test('ends its compiler when it is told to end, and leaves no lock', async () => {
    const stopped = await compiling();
    stopped.signal('SIGTERM');
    // The output is closed when the last process that holds it has ended.
    expect((await stopped.ended).code).toBe(143);
    expect(log()).not.toContain('tsc ended');
    expect(existsSync(at('.cache/setup.lock'))).toBe(false);
    openGate();
    expect((await setUp()).code).toBe(0);
  });

  test('is not held up by a lock whose owner had the process id that it has now', async () => {
    mkdirSync(at('.cache'));
    const { code } = await start('sh', [
      '-c',
      `echo $$ > .cache/setup.lock; exec '${process.execPath}' scripts/setup.mjs`,
    ]).ended;
    expect(code).toBe(0);
  });

  test('takes over the lock of a process that is gone', async () => {
    mkdirSync(at('.cache'));
    writeFileSync(at('.cache/setup.lock'), '999999999');
    const { code, stderr } = await setUp();
    expect(stderr).toContain('the setup of process 999999999 did not end');
    expect(code).toBe(0);
    expect(existsSync(at('.cache/setup.lock'))).toBe(false);
  });

  test('compiles again after a compile that failed', async () => {
    await setUp();
    writeFileSync(at('src/a.ts'), 'broken');
    const failed = await setUp();
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain('tsc -b src topologies failed with exit code 2');
    writeFileSync(at('src/a.ts'), 'const a = 1;');
    expect((await setUp()).code).toBe(0);
    expect(log().filter((entry) => entry.startsWith('tsc'))).toHaveLength(3);
  });

  test('says what failed and what to do when npm fails', async () => {
    writeFileSync(at('offline'), '');
    const { code, stderr } = await setUp();
    expect(code).toBe(1);
    expect(stderr).toContain('npm error ENOTFOUND');
    expect(stderr).toContain('npm ci --include=dev --ignore-scripts failed with exit code 1');
    expect(stderr).toContain('Check the network');
    expect(stderr).not.toContain('    at ');
  });
});
