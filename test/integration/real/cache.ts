/**
 * Downloads of the real parts, kept in `.cache/` of the checkout. A download is made in a folder of
 * its own and then renamed, so that an interrupted one is never taken for whole and two processes
 * may download at once.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(import.meta.url);
/** Of the checkout, also for what was compiled into `dist`. */
const root = here.slice(0, here.lastIndexOf('/test/')).replace(/\/dist$/, '');
const cache = join(root, '.cache', 'parts');

/** Runs a command to its end and returns what it printed; throws with that text when it fails. */
export function runCommand(command: string, args: readonly string[], cwd: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let printed = '';
    child.stdout.on('data', (piece) => {
      printed += piece;
    });
    child.stderr.on('data', (piece) => {
      printed += piece;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(printed);
      else reject(new Error(`${command} ${args.join(' ')} ended with ${code}:\n${printed}`));
    });
  });
}

const ATTEMPTS = 3;
const PAUSE_MS = 3_000;

const underWay = new Map<string, Promise<string>>();

/** The folder of that name in the cache, filled by `fill` when it is not there yet. */
export function cached(name: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const known = underWay.get(name);
  if (known !== undefined) return known;
  const made = make(name, fill);
  underWay.set(name, made);
  made.catch(() => underWay.delete(name));
  return made;
}

async function make(name: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  // A server of packages may fail once.
  for (let attempt = 1; ; attempt += 1) {
    const draft = mkdtempSync(join(cache, `.${name}-`));
    try {
      await fill(draft);
      renameSync(draft, folder);
      return folder;
    } catch (error) {
      rmSync(draft, { recursive: true, force: true });
      if (existsSync(folder)) return folder; // another process finished first
      if (attempt === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}
