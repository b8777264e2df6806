/** Runs a compiled program of the repository and reads the JSON of its last line. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** Its progress goes to the terminal. Rejects when there is no JSON to read. */
export async function runProgram<Result>(path: string, args: readonly string[]): Promise<Result> {
  const child = spawn(process.execPath, [join('dist', path), ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  // A test that runs out of time leaves no program behind.
  onTestFinished(() => void child.kill());
  let output = '';
  child.stdout.on('data', (piece: Buffer) => {
    output += piece.toString();
  });
  const code = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  const last = output.trim().split('\n').at(-1) ?? '';
  if (!last.startsWith('{')) throw new Error(`${path} ended with ${code} and told no result`);
  return JSON.parse(last) as Result;
}
