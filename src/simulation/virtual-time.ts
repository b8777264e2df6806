/**
 * Virtual time: a heap of events and the loop that runs them one by one.
 *
 * Everything that happens in a simulation is an event here: a timer, a turn of an event loop, a
 * request or an answer that arrives, a fault. Nothing waits in real time.
 *
 * I1. Events run in the order of their time; at the same time in an order that the seed decides.
 * I2. All promise reactions of an event have run before the next event does, so a process is never
 *     seen half way through what one event made it do.
 * I3. Time moves with the events. Each look at the clock costs a process a microsecond of it, so
 *     that a loop bounded by time ends as it does in reality.
 */
import { systemPorts, type Timer } from '../ports.ts';
import type { SeededRandom } from './seeded-random.ts';

interface Event {
  readonly at: number;
  readonly tie: number;
  readonly order: number;
  /** Null: cancelled. */
  run: (() => void) | null;
}

/** 2026-01-01T00:00:00Z: wall clocks of simulated processes begin here. */
const EPOCH_MS = 1_767_225_600_000;
const LOOK_COST_MS = 0.001;

export class VirtualTime {
  readonly #random: SeededRandom;
  readonly #heap: Event[] = [];
  #now = 0;
  #order = 0;
  #events = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** Milliseconds since the beginning. */
  get now(): number {
    return this.#now;
  }

  /** Wall clock of that moment, epoch milliseconds. */
  get wallClock(): number {
    return EPOCH_MS + Math.floor(this.#now);
  }

  /** Events that have run. */
  get events(): number {
    return this.#events;
  }

  /** A process looks at its clock. */
  look(): number {
    this.#now += LOOK_COST_MS;
    return this.#now;
  }

  after(delayMs: number, run: () => void): Timer {
    const at = this.#now + Math.max(0, delayMs);
    const event: Event = { at, tie: this.#random.fraction(), order: this.#order++, run };
    this.#push(event);
    return {
      cancel: () => {
        event.run = null;
      },
    };
  }

  /**
   * Runs events until `done`, until `untilMs`, or until nothing is left to happen. What an event
   * throws ends the run.
   */
  async run(done: () => boolean, untilMs: number): Promise<'done' | 'late' | 'idle'> {
    for (;;) {
      // After it every promise reaction has run (I2), also what the caller left before the first event.
      await systemPorts.timers.turn();
      if (done()) return 'done';
      const event = this.#pop();
      if (event === null) return 'idle';
      if (event.at > untilMs) {
        this.#push(event);
        this.#now = Math.max(this.#now, untilMs);
        return 'late';
      }
      this.#now = Math.max(this.#now, event.at);
      this.#events += 1;
      event.run?.();
    }
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (isBefore(heap[parent]!, event)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): Event | null {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined) return null;
      this.#removeFirst();
      if (first.run !== null) return first;
    }
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (isBefore(last, heap[child]!)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(one: Event, other: Event): boolean {
  if (one.at !== other.at) return one.at < other.at;
  if (one.tie !== other.tie) return one.tie < other.tie;
  return one.order < other.order;
}
