/**
 * Virtual time that goes on by itself, for tests that await what happens in it.
 *
 * A timer runs when nothing else is left to do, and not a moment later: a machine that is slow or a
 * process that stands still makes nothing late, since no clock of theirs is looked at. So everything
 * a test waits for must happen in this time, its own pauses included.
 *
 * I1. All promise reactions of a timer have run before the next one does.
 * I2. Timers that are due at the same time run in the order in which they were set.
 */
import { type Ports, systemPorts, type Timer } from '../../src/ports.ts';
import { VirtualPorts } from '../broker/ports.ts';

/** What a turn of the event loop takes: a loop that waits for a time by turns must come to it. */
const TURN_MS = 0.02;
const UNTIL_MS = 300_000;

export class RunningTime {
  readonly ports: Ports;
  readonly #virtual: VirtualPorts;
  #state: 'idle' | 'running' | 'ended' = 'idle';

  constructor(seed = 1) {
    this.#virtual = new VirtualPorts(seed);
    const { clock, random, timers } = this.#virtual;
    const after = (delayMs: number, callback: () => void): Timer => {
      const timer = timers.after(delayMs, callback);
      if (this.#state === 'idle') void this.#run();
      return timer;
    };
    const sleep = (delayMs: number) => new Promise<void>((resolve) => after(delayMs, resolve));
    this.ports = { clock, random, timers: { after, sleep, turn: () => sleep(TURN_MS) } };
  }

  /** The process stands still: what was due meanwhile is late, and runs before what comes then. */
  stall(ms: number): void {
    this.#virtual.skip(ms);
  }

  /** Until it holds, looked at every other millisecond; a test must not go round for ever. */
  async until(holds: () => boolean, what: () => unknown = () => 'nothing is known'): Promise<void> {
    const deadline = this.ports.clock.monotonic() + UNTIL_MS;
    while (!holds()) {
      if (this.ports.clock.monotonic() > deadline) {
        throw new Error(`it does not come to pass: ${JSON.stringify(what())}`);
      }
      await this.ports.timers.sleep(2);
    }
  }

  /** Nothing that still waits ever happens. */
  end(): void {
    this.#state = 'ended';
  }

  async #run(): Promise<void> {
    this.#state = 'running';
    while (this.#virtual.pendingTimers > 0) {
      // I1.
      await systemPorts.timers.turn();
      if (this.#state !== 'running') return;
      this.#virtual.runNext();
    }
    this.#state = 'idle';
  }
}
