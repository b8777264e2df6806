/**
 * One incarnation of a process: what reaches it, and until when.
 *
 * The code of the process runs in this Node process. All that ever enters it are timers, turns and
 * answers, and all of them pass through `enter`: a dead process gets nothing any more, so its code
 * stands where it stood; a paused one gets everything at once when it goes on, with its old state
 * (a zombie).
 *
 *   running ◄──► paused
 *      └───► dead ◄─┘
 *
 * A running process may stall: what the event under way does from then on it does that much later, and
 * nothing else reaches it meanwhile.
 */
import type { Ports, Timer } from '../ports.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { VirtualTime } from './virtual-time.ts';

export type ProcessState = 'running' | 'paused' | 'dead';

/** Longest pause of an event loop between two turns, in milliseconds. */
const TURN_MS_MOST = 0.05;
const HELD_APART_MS = 0.000_1;

export class SimulatedProcess {
  readonly name: string;
  readonly ports: Ports;
  /** Resolves when the process is dead. */
  readonly death: Promise<void>;
  readonly #time: VirtualTime;
  #timers = 0;
  #state: ProcessState = 'running';
  #held: (() => void)[] = [];
  #wallClockOffsetMs = 0;
  /** Virtual time at which a stall ends. */
  #busyUntil = 0;
  #announceDeath: () => void = () => {};

  constructor(name: string, time: VirtualTime, random: SeededRandom) {
    this.name = name;
    this.#time = time;
    this.death = new Promise((resolve) => {
      this.#announceDeath = resolve;
    });
    const after = (delayMs: number, callback: () => void): Timer => {
      let isOver = false;
      const over = (): boolean => {
        const wasOver = isOver;
        isOver = true;
        if (!wasOver) this.#timers -= 1;
        return wasOver;
      };
      this.#timers += 1;
      const timer = time.after(this.lagMs + delayMs, () => {
        this.enter(() => {
          if (!over()) callback();
        });
      });
      return {
        cancel: () => {
          over();
          timer.cancel();
        },
      };
    };
    this.ports = {
      clock: {
        now: () => time.wallClock + Math.floor(this.lagMs) + this.#wallClockOffsetMs,
        monotonic: () => time.look() + this.lagMs,
      },
      timers: {
        after,
        sleep: (delayMs) => new Promise((resolve) => after(delayMs, resolve)),
        turn: () => new Promise((resolve) => after(random.fraction() * TURN_MS_MOST, resolve)),
      },
      random,
    };
  }

  get state(): ProcessState {
    return this.#state;
  }

  /** Timers that have neither run nor been cancelled. */
  get timers(): number {
    return this.#timers;
  }

  get isDead(): boolean {
    return this.#state === 'dead';
  }

  /** How far the process is behind what it is told: 0 unless it stalls. */
  get lagMs(): number {
    return Math.max(0, this.#busyUntil - this.#time.now);
  }

  /** Something happens to the process: now, when it goes on, or never. */
  enter(run: () => void): void {
    if (this.#state === 'dead') return;
    if (this.#state === 'running' && this.lagMs === 0) run();
    else this.#held.push(run);
  }

  /** Its code holds the event loop. */
  stall(durationMs: number): void {
    this.#busyUntil = this.#time.now + this.lagMs + durationMs;
    this.#time.after(this.lagMs, () => this.#release());
  }

  /** SIGKILL: its code stands where it stands. */
  kill(): void {
    this.#state = 'dead';
    this.#held = [];
    this.#announceDeath();
  }

  /** SIGSTOP. */
  pause(): void {
    if (this.#state === 'running') this.#state = 'paused';
  }

  /** SIGCONT: what came meanwhile happens now, in its order, each as an event of its own. */
  resume(): void {
    if (this.#state !== 'paused') return;
    this.#state = 'running';
    this.#release();
  }

  #release(): void {
    if (this.#state !== 'running' || this.lagMs > 0) return;
    const held = this.#held;
    this.#held = [];
    for (const [at, run] of held.entries()) {
      this.#time.after(at * HELD_APART_MS, () => this.enter(run));
    }
  }

  /** The wall clock is set, as by an operator or a time server; the monotonic one goes on. */
  setWallClock(offsetMs: number): void {
    this.#wallClockOffsetMs = offsetMs;
  }
}
