/**
 * The built billing programs as child processes: started, watched, signalled, and gone at the end.
 * They are compiled first when a source has changed (`scripts/setup.mjs`).
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const POLL_MS = 20;

/** How a process ended: its exit code, or the signal that ended it. */
export type Ending = number | NodeJS.Signals;

export interface Launched {
  readonly pid: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Null while it runs. */
  readonly ending: Ending | null;
  ended(): Promise<Ending>;
  /** Resolves when stdout or stderr matches; rejects when the process ends before, or too late. */
  said(pattern: RegExp, timeoutMs: number): Promise<void>;
  signal(signal: NodeJS.Signals): void;
}

let built = false;
const running = new Set<ChildProcess>();

/** Compiles what the children run. */
export function build(): void {
  if (built) return;
  const done = spawnSync(process.execPath, ['scripts/setup.mjs'], { cwd: ROOT, encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`the build failed:\n${done.stdout}${done.stderr}`);
  built = true;
}

/** `npm start -- …` without npm. */
export function launchBilling(args: readonly string[]): Launched {
  return launch(['dist/topologies/billing/main.js', ...args]);
}

/** One billing process, as the launcher starts several. */
export function launchInstance(args: readonly string[]): Launched {
  return launch(['dist/topologies/billing/instance.js', ...args]);
}

/** A process group of its own, so that a test can press Ctrl-C as a terminal does. */
function launch(args: readonly string[]): Launched {
  build();
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  running.add(child);
  let stdout = '';
  let stderr = '';
  let ending: Ending | null = null;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const closed = new Promise<Ending>((resolve) => {
    // `close` comes after the last output.
    child.on('close', (code, signal) => {
      running.delete(child);
      ending = code ?? signal ?? 'SIGKILL';
      resolve(ending);
    });
  });
  const shown = (): string => `stdout:\n${stdout}\nstderr:\n${stderr}`;
  return {
    pid: child.pid!,
    get stdout() {
      return stdout;
    },
    get stderr() {
      return stderr;
    },
    get ending() {
      return ending;
    },
    ended: () => closed,
    async said(pattern, timeoutMs) {
      const deadline = performance.now() + timeoutMs;
      while (!pattern.test(stdout) && !pattern.test(stderr)) {
        if (ending !== null) throw new Error(`ended (${ending}) without ${pattern}; ${shown()}`);
        if (performance.now() > deadline) throw new Error(`no ${pattern} in time; ${shown()}`);
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    },
    signal: (signal) => void child.kill(signal),
  };
}

/** Presses Ctrl-C: the whole foreground process group gets the signal. */
export function pressCtrlC({ pid }: Launched): void {
  process.kill(-pid, 'SIGINT');
}

/** Processes of the launched one's group that still run. */
export function survivors({ pid }: Launched): string[] {
  const { stdout } = spawnSync('ps', ['-eo', 'pgid=,pid=,stat=,args='], { encoding: 'utf8' });
  return stdout
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([group, , state]) => group === String(pid) && state?.startsWith('Z') === false)
    .map((fields) => fields.join(' '));
}

/** Ends what a failed test left running, paused processes and grandchildren included. */
export async function endAll(): Promise<void> {
  for (const child of running) {
    try {
      process.kill(-child.pid!, 'SIGKILL');
    } catch {
      // The group is gone.
    }
  }
  while (running.size > 0) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}
