/**
 * The billing instances as separate processes: start, watch, freeze in the middle of a record, kill.
 *
 * A kill must hit work that is not committed. So the victim is told to stop dead (its event loop
 * blocks) while it holds its n-th next record, says so, and then gets SIGKILL: for the rest of the
 * world the process died at that very instruction.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** What an instance tells its launcher. */
export type InstanceMessage =
  | { readonly kind: 'state'; readonly state: string; readonly tasks: readonly string[] }
  | { readonly kind: 'armed' }
  | { readonly kind: 'frozen'; readonly partition: number; readonly offset: number }
  | { readonly kind: 'failed'; readonly code: string; readonly reason: string };

/** What a launcher tells an instance. */
export interface FreezeRequest {
  readonly kind: 'freeze';
  readonly afterRecords: number;
}

const PROGRAM = fileURLToPath(new URL('./instance.js', import.meta.url));

export class BillingProcess {
  readonly instanceId: string;
  readonly #args: readonly string[];
  readonly #failed: (error: Error) => void;
  #child: ChildProcess | null = null;
  #exit: Promise<number | null> = Promise.resolve(null);
  #state = 'created';
  #tasks: readonly string[] = [];
  #ending = false;
  #reason: string | null = null;
  #waiting: { matches(message: InstanceMessage): boolean; resolve(): void }[] = [];

  constructor(instanceId: string, args: readonly string[], failed: (error: Error) => void) {
    this.instanceId = instanceId;
    this.#args = args;
    this.#failed = failed;
  }

  /** Partitions that the instance bills now. */
  get partitions(): readonly number[] {
    return this.#tasks.map((task) => Number(task.slice(task.lastIndexOf('_') + 1)));
  }

  get isRunning(): boolean {
    return this.#state === 'running';
  }

  start(): void {
    this.#ending = false;
    this.#state = 'starting';
    this.#tasks = [];
    const child = spawn(
      process.execPath,
      [PROGRAM, ...this.#args, '--instance-id', this.instanceId],
      { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
    );
    this.#child = child;
    child.on('message', (message) => this.#heard(message as InstanceMessage));
    this.#exit = new Promise((resolve) => {
      child.on('error', (error) => this.#failed(error));
      child.on('exit', (code) => {
        this.#state = 'exited';
        if (!this.#ending) {
          const why = this.#reason ?? `exit code ${code}`;
          this.#failed(new Error(`instance ${this.instanceId} ended by itself: ${why}`));
        }
        resolve(code);
      });
    });
  }

  /** Arms the freeze, and resolves when the instance knows. */
  async freezeAfter(records: number): Promise<void> {
    const armed = this.#hear((message) => message.kind === 'armed');
    this.#child?.send({ kind: 'freeze', afterRecords: records } satisfies FreezeRequest);
    await armed;
  }

  /** Resolves when the instance holds the record at which it froze. */
  frozen(): Promise<void> {
    return this.#hear((message) => message.kind === 'frozen');
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.#ending = true;
    this.#child?.kill('SIGKILL');
    await this.#exit;
  }

  /** SIGTERM; resolves with the exit code. */
  async stop(): Promise<number | null> {
    this.#ending = true;
    this.#child?.kill('SIGTERM');
    return await this.#exit;
  }

  #hear(matches: (message: InstanceMessage) => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ matches, resolve });
    });
  }

  #heard(message: InstanceMessage): void {
    if (message.kind === 'state') {
      this.#state = message.state;
      this.#tasks = message.tasks;
    }
    if (message.kind === 'failed') this.#reason = `${message.code}: ${message.reason}`;
    this.#waiting = this.#waiting.filter(({ matches, resolve }) => {
      if (!matches(message)) return true;
      resolve();
      return false;
    });
  }
}
