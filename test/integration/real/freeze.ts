/** A process that is there and does nothing: its connections stay open and nothing answers. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { kill, platform } from 'node:process';

const POLL_MS = 5;
const STANDS_MS_MAX = 20_000;

/**
 * SIGSTOP; resolves when no thread of the process runs any more. The signal is only left with the
 * process when `kill` returns: until one of its threads has taken it, the others answer requests.
 */
export async function freeze(pid: number): Promise<void> {
  kill(pid, 'SIGSTOP');
  const deadline = performance.now() + STANDS_MS_MAX;
  while (!threadStates(pid).every((state) => state.startsWith('T'))) {
    if (performance.now() > deadline) throw new Error(`process ${pid} did not stand still`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** SIGCONT. */
export function thaw(pid: number): void {
  kill(pid, 'SIGCONT');
}

/** As `ps` names them: T is stopped. Outside of Linux the process has one. */
function threadStates(pid: number): string[] {
  if (platform !== 'linux') {
    return [execFileSync('ps', ['-o', 'state=', '-p', String(pid)], { encoding: 'utf8' }).trim()];
  }
  const folder = `/proc/${pid}/task`;
  return readdirSync(folder).map((thread) => {
    try {
      const stat = readFileSync(`${folder}/${thread}/stat`, 'utf8');
      // The name before it, in brackets, may hold anything.
      return stat.slice(stat.lastIndexOf(')') + 2);
    } catch {
      return 'it ended since the folder was read';
    }
  });
}
