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

export interface Freeze {
  /** Resolves when the instance knows. */
  readonly armed: Promise<void>;
  /** Resolves when the instance holds the record at which it froze. */
  readonly frozen: Promise<void>;
}

/** Starts in a row that find no broker; each tries for some seconds. */
const UNREACHED_MAX = 5;
const INSTANCE = fileURLToPath(new URL('./instance.js', import.meta.url));

export interface BillingProcessOptions {
  readonly instanceId: string;
  readonly args: readonly string[];
  /** Hears that the process ended by itself. */
  readonly failed: (error: Error) => void;
  /** Default: a billing instance. */
  readonly program?: string;
}

export class BillingProcess {
  readonly instanceId: string;
  readonly #program: string;
  readonly #args: readonly string[];
  readonly #failed: (error: Error) => void;
  #child: ChildProcess | null = null;
  #exit: Promise<number | null> = Promise.resolve(null);
  #state = 'created';
  #tasks: readonly string[] = [];
  #ending = false;
  #ended = false;
  #failure: { readonly code: string; readonly reason: string } | null = null;
  #unreached = 0;
  #waiting: { matches(message: InstanceMessage): boolean; resolve(): void }[] = [];

  constructor({ instanceId, args, failed, program = INSTANCE }: BillingProcessOptions) {
    this.instanceId = instanceId;
    this.#program = program;
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

  /** Not after `end`. */
  start(): void {
    if (this.#ended) return;
    this.#ending = false;
    this.#failure = null;
    this.#state = 'starting';
    this.#tasks = [];
    const child = spawn(
      process.execPath,
      [this.#program, ...this.#args, '--instance-id', this.instanceId],
      { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
    );
    this.#child = child;
    child.on('message', (message) => this.#heard(message as InstanceMessage));
    this.#exit = new Promise((resolve) => {
      child.on('error', (error) => this.#failed(error));
      child.on('exit', (code) => {
        const died = this.#ending ? null : this.#state;
        this.#state = 'exited';
        if (died !== null) this.#diedAs(died, code);
        resolve(code);
      });
    });
  }

  /**
   * Arms the freeze. Both answers are waited for from now on: what the instance has in hand already
   * may be enough to freeze it before the launcher has heard that it knows.
   */
  freezeAfter(records: number): Freeze {
    const armed = this.#hear((message) => message.kind === 'armed');
    const frozen = this.#hear((message) => message.kind === 'frozen');
    this.#child?.send({ kind: 'freeze', afterRecords: records } satisfies FreezeRequest);
    return { armed, frozen };
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.#ending = true;
    this.#child?.kill('SIGKILL');
    await this.#exit;
  }

  /** SIGKILL, for good: a run that is still under way cannot start it again. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.kill();
  }

  /**
   * SIGTERM; resolves with the exit code. A process that has just started does not listen yet and
   * would die of the signal: it is waited for until it says something, which it does when it listens.
   */
  async stop(): Promise<number | null> {
    this.#ending = true;
    const child = this.#child;
    if (this.#state === 'starting') {
      await Promise.race([this.#hear(({ kind }) => kind === 'state'), this.#exit]);
    }
    child?.kill('SIGTERM');
    return await this.#exit;
  }

  /**
   * It ended by itself, which is a failure. But a process that starts while its broker is restarted
   * is started again, as any supervisor would.
   */
  #diedAs(state: string, code: number | null): void {
    const { code: errorCode, reason } = this.#failure ?? { code: 'no reason', reason: `${code}` };
    if (state === 'starting' && errorCode === 'CONNECTION_FAILED') {
      this.#unreached += 1;
      if (this.#unreached <= UNREACHED_MAX) {
        this.start();
        return;
      }
    }
    this.#failed(new Error(`instance ${this.instanceId} ended by itself: ${errorCode}: ${reason}`));
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
    if (message.kind === 'failed') this.#failure = message;
    if (this.isRunning) this.#unreached = 0;
    this.#waiting = this.#waiting.filter(({ matches, resolve }) => {
      if (!matches(message)) return true;
      resolve();
      return false;
    });
  }
}
