/**
 * A process of the application that a chaos run kills, pauses, stops and starts again. Its name stays;
 * each start is another writer.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { guardOf } from '../integration/real/java-process.ts';
import type { InstanceMessage, InstanceOptions } from './instance.ts';
import type { Timeline } from './timeline.ts';

const UNREACHED = ['CONNECTION_FAILED', 'REQUEST_FATE_UNKNOWN'];
const PROGRAM = fileURLToPath(new URL('./instance.js', import.meta.url));

export interface MemberOptions {
  readonly name: string;
  readonly membership: 'static' | 'dynamic';
  /** Where its logs go. */
  readonly folder: string;
  readonly brokers: readonly string[];
  readonly sessionTimeoutMs: number;
  readonly broken: string | null;
  readonly timeline: Timeline;
}

export interface Ending {
  readonly writer: string;
  readonly code: string;
  readonly reason: string;
}

export class Member {
  readonly name: string;
  readonly membership: 'static' | 'dynamic';
  /** Processes that ended although nobody had asked them to. */
  readonly endings: Ending[] = [];
  readonly #options: MemberOptions;
  #starts = 0;
  #isEnded = false;
  #child: ChildProcess | null = null;
  #exited: Promise<number | NodeJS.Signals> = Promise.resolve(0);
  #condition: 'down' | 'up' | 'paused' = 'down';
  #asked: 'nothing' | 'end' = 'nothing';
  #state = 'down';
  #tasks: readonly string[] = [];
  rebalances = 0;

  constructor(options: MemberOptions) {
    this.#options = options;
    this.name = options.name;
    this.membership = options.membership;
  }

  get writer(): string {
    return `${this.name}.${this.#starts}`;
  }

  get condition(): 'down' | 'up' | 'paused' {
    return this.#condition;
  }

  get isRunning(): boolean {
    return this.#condition === 'up' && this.#state === 'running';
  }

  /** As it told last. */
  get state(): string {
    return this.#condition === 'up' ? this.#state : this.#condition;
  }

  get tasks(): readonly string[] {
    return this.#condition === 'down' ? [] : this.#tasks;
  }

  /** Not after `end`. */
  start(): void {
    if (this.#condition !== 'down' || this.#isEnded) return;
    this.#starts += 1;
    const { name, writer } = this;
    const { folder, brokers, sessionTimeoutMs, broken, membership, timeline } = this.#options;
    const log = join(folder, `${name}.log`);
    const options: InstanceOptions = {
      ...{ writer, brokers, sessionTimeoutMs, log, broken },
      instanceId: membership === 'static' ? name : null,
    };
    const output = openSync(log, 'a');
    const child = spawn(process.execPath, [PROGRAM, JSON.stringify(options)], {
      stdio: ['ignore', output, output, 'ipc'],
    });
    closeSync(output);
    // A paused process would outlive a run that is killed.
    const guard = guardOf(child.pid!);
    this.#child = child;
    this.#condition = 'up';
    this.#asked = 'nothing';
    this.#state = 'starting';
    this.#tasks = [];
    let failure: { readonly code: string; readonly reason: string } | null = null;
    child.on('message', (message: InstanceMessage) => {
      if (message.kind === 'failed') failure = message;
      else this.#heard(message);
    });
    child.on('error', () => {});
    this.#exited = new Promise((resolve) => {
      // Not `exit`: what it said last must have been heard.
      child.on('close', (code, signal) => {
        guard.kill('SIGKILL');
        this.#condition = 'down';
        if (this.#asked === 'nothing') {
          this.#died({ writer, ...(failure ?? { code: `${signal ?? code}`, reason: '' }) });
        }
        resolve(code ?? signal ?? 'SIGKILL');
      });
    });
    timeline.tell('started', { writer });
  }

  /** SIGKILL, for good. */
  async end(): Promise<void> {
    this.#isEnded = true;
    await this.kill();
  }

  /** SIGKILL, whether it runs or is paused. */
  async kill(): Promise<void> {
    if (this.#condition === 'down') return;
    this.#asked = 'end';
    this.#child?.kill('SIGKILL');
    await this.#exited;
  }

  /**
   * SIGTERM; resolves when it is gone, which SIGKILL brings about in the end. 0: it ended well, or
   * had not even begun to listen to signals.
   */
  async stop(mostMs: number): Promise<number | NodeJS.Signals> {
    if (this.#condition === 'down') return 0;
    this.#asked = 'end';
    this.resume();
    this.#child?.kill('SIGTERM');
    const timer = setTimeout(() => {
      this.#options.timeline.tell('did not stop in time', { writer: this.writer });
      this.#child?.kill('SIGKILL');
    }, mostMs);
    const ending = await this.#exited;
    clearTimeout(timer);
    return ending === 'SIGTERM' ? 0 : ending;
  }

  pause(): void {
    if (this.#condition !== 'up') return;
    this.#child?.kill('SIGSTOP');
    this.#condition = 'paused';
  }

  resume(): void {
    if (this.#condition !== 'paused') return;
    this.#child?.kill('SIGCONT');
    this.#condition = 'up';
  }

  /**
   * It ended by itself, for which there are two good reasons: it could not reach the brokers when it
   * started, or was fenced as a static member. Nobody else has its name, but a request of the killed
   * process before it, or one of its own that was late, can reach the group after its last one. It is
   * started again, as any supervisor would do.
   */
  #died(ending: Ending): void {
    const { timeline } = this.#options;
    const { writer, code } = ending;
    const isStarting = this.#state === 'starting';
    if (isStarting && UNREACHED.includes(code)) timeline.tell('could not start', { writer, code });
    else if (this.membership === 'static' && code === 'INSTANCE_FENCED') {
      timeline.tell('fenced', { writer });
    } else {
      this.endings.push(ending);
      timeline.tell('ended by itself', { ...ending });
    }
  }

  #heard({ state, tasks }: { readonly state: string; readonly tasks: readonly string[] }): void {
    if (state === 'rebalancing' && this.#state === 'running') this.rebalances += 1;
    this.#state = state;
    this.#tasks = tasks;
  }
}
