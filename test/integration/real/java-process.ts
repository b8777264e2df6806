/**
 * A Java server started by a test. It never outlives the process that started it: a guard shell
 * reads from a pipe that the system closes when its parent ends, however that happens, and then
 * kills the server.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface JavaProcess {
  readonly pid: number;
  /** Settles when the process is gone. */
  readonly exited: Promise<void>;
  /** -1 after a signal, null while it runs. */
  exitCode(): number | null;
  /** Why the process is gone, with the end of its output; null while it runs. */
  ended(): string | null;
  /** Sends a signal and does not wait. */
  kill(signal: NodeJS.Signals): void;
  stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

const LOG_CHARS_MAX = 20_000;
const STOP_MS_MAX = 60_000;

/** `onLine` gets each line of its standard output. */
export function startJava(
  args: readonly string[],
  cwd: string,
  onLine: (line: string) => void = () => {},
): JavaProcess {
  const child = spawn('java', args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const pid = child.pid;
  if (pid === undefined) throw new Error('java could not be started: is it on the PATH?');
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (piece) => {
      log = (log + piece).slice(-LOG_CHARS_MAX);
    });
  }
  createInterface({ input: child.stdout }).on('line', onLine);
  const guard = guardOf(pid);
  let end: string | null = null;
  let exitCode: number | null = null;
  const exited = new Promise<void>((resolve) => {
    // Not `exit`: what it printed last must have been read.
    child.on('close', (code, signal) => {
      end = `java (process ${pid}) ended with ${signal ?? code}`;
      exitCode = code ?? -1;
      // The system may give its id to another process now.
      guard.kill('SIGKILL');
      resolve();
    });
  });
  return {
    pid,
    exited,
    exitCode: () => exitCode,
    kill: (signal) => void child.kill(signal),
    ended: () => (end === null ? null : `${end}:\n${log}`),
    async stop(signal) {
      if (end === null) child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
      await exited;
      clearTimeout(timer);
    },
  };
}

/** Kills that process when this one is gone, however it ended. */
export function guardOf(pid: number): ChildProcess {
  const script = 'read -r _; kill -9 "$0" 2>/dev/null';
  const guard = spawn('sh', ['-c', script, String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true, // Ctrl-C in the terminal must not end the guard before the server
  });
  guard.on('error', () => {});
  guard.unref();
  return guard;
}

/** Tries `attempt` until it succeeds; fails at once when the process has ended. */
export async function untilReady(
  what: string,
  process: JavaProcess,
  timeoutMs: number,
  attempt: () => Promise<void>,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      await attempt();
      return;
    } catch (error) {
      const end = process.ended();
      if (end !== null) throw new Error(`${what} did not start: ${end}`, { cause: error });
      if (performance.now() > deadline) {
        await process.stop('SIGKILL');
        throw new Error(`${what} was not ready in ${timeoutMs} ms: ${process.ended()}`, {
          cause: error,
        });
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
