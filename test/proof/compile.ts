/** The programs of the proof run as compiled files: they start threads and processes of their own. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

export function setup(): void {
  const tsc = join('node_modules', 'typescript', 'bin', 'tsc');
  const { status } = spawnSync(process.execPath, [tsc, '-b', 'test'], { stdio: 'inherit' });
  if (status !== 0) throw new Error('tsc -b test failed; its output is above');
}
