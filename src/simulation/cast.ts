/**
 * The processes of a simulated application: places in which one process after the other runs.
 *
 * A process that ends, however it ends, is started again after a while, as whoever operates it
 * would do.
 */
import { type Options, resolveOptions } from '../config/options.ts';
import { asEscapementError, type EscapementError } from '../errors.ts';
import type { Transport } from '../kafka/transport/transport.ts';
import type { Ports } from '../ports.ts';
import type { Instance } from '../runtime/instance.ts';
import { type StartInstanceOptions, startInstance } from '../runtime/start-instance.ts';
import type { Log } from '../telemetry/log.ts';
import type { SeededRandom } from './seeded-random.ts';
import { SimulatedProcess } from './simulated-process.ts';
import type { VirtualTime } from './virtual-time.ts';

export interface Slot {
  readonly name: string;
  readonly instanceId: string | null;
  process: SimulatedProcess | null;
  instance: Instance | null;
  incarnation: number;
}

export interface CastOptions {
  /** Of the names of its processes. */
  readonly prefix: string;
  readonly size: number;
  readonly time: VirtualTime;
  readonly random: SeededRandom;
  readonly topology: (process: SimulatedProcess) => StartInstanceOptions['topology'];
  readonly transport: (process: SimulatedProcess) => Transport;
  /** Open ones. */
  readonly connections: (process: SimulatedProcess) => number;
  readonly options: Partial<Options> & { readonly applicationId: string };
  /** Codes with which a process may end at any time. */
  readonly mayEnd: readonly string[];
  /** Whether a process may give up that does not reach the cluster when it starts. */
  readonly mayFailToStart: boolean;
  readonly log: (process: string) => Log;
  readonly note: (who: string, what: string) => void;
}

const START_MS_MOST = 500;
const RESTART_MS = [10, 3_000] as const;
/** What a stopped process has begun, a pause before a repeat for instance, is over by then. */
const LINGER_MS = 1_000;

/** How a process says that it did not reach the cluster. */
const MAY_END_A_START: ReadonlySet<string> = new Set(['CONNECTION_FAILED', 'REQUEST_FATE_UNKNOWN']);

type Phase = 'starting' | 'started';

export interface GaveUp {
  readonly process: string;
  readonly error: EscapementError;
}

export class Cast {
  readonly slots: readonly Slot[];
  /** Processes that had no reason to give up, with what they said. */
  readonly gaveUp: GaveUp[] = [];
  /** What processes that were stopped have left behind. */
  readonly leaks: string[] = [];
  readonly #options: CastOptions;
  /** Processes that have come to their end in an orderly way. */
  readonly #stopped = new Set<SimulatedProcess>();
  #state: 'playing' | 'closing' = 'playing';

  constructor(options: CastOptions) {
    const { prefix, size, random } = options;
    this.#options = options;
    this.slots = Array.from({ length: size }, (_, index) => ({
      name: `${prefix}${index}`,
      instanceId: random.chance(0.5) ? `static-${index}` : null,
      process: null,
      instance: null,
      incarnation: 0,
    }));
  }

  start(): void {
    const { time, random } = this.#options;
    for (const slot of this.slots) {
      time.after(random.fraction() * START_MS_MOST, () => this.#start(slot));
    }
  }

  /** SIGKILL. */
  kill(slot: Slot): void {
    const { process } = slot;
    if (process === null || process.isDead) return;
    this.#options.note(process.name, 'is killed');
    process.kill();
    this.buried(process);
  }

  /** A process has died; its slot is free for the next one. */
  buried(process: SimulatedProcess): void {
    const { time, random } = this.#options;
    const slot = this.slots.find((each) => each.process === process);
    if (slot === undefined) return;
    time.after(random.between(...RESTART_MS), () => {
      if (slot.process === process) this.#start(slot);
    });
  }

  /** Stops every process in an orderly way and starts none any more. */
  async close(): Promise<void> {
    this.#state = 'closing';
    const stopping = this.slots.map(async ({ instance, process }) => {
      // A process may still die while it stops.
      if (process?.state !== 'running') return;
      await Promise.race([instance?.stop(), process.death]);
    });
    await Promise.all(stopping);
    // What stalls does when it goes on what it was told meanwhile.
    const lag = Math.max(...this.slots.map(({ process }) => process?.lagMs ?? 0));
    await new Promise<void>((resolve) => this.#options.time.after(lag + LINGER_MS, resolve));
    for (const { process } of this.slots) {
      if (process !== null && this.#stopped.has(process)) this.#look(process);
      process?.kill();
    }
  }

  #start(slot: Slot): void {
    if (this.#state === 'closing') return;
    const { time, random, topology, transport, options, log, note } = this.#options;
    slot.incarnation += 1;
    const name = `${slot.name}.${slot.incarnation}`;
    const process = new SimulatedProcess(name, time, random.fork(name));
    slot.process = process;
    slot.instance = null;
    note(name, 'starts');
    let phase: Phase = 'starting';
    const running = startInstance({
      topology: topology(process),
      transport: transport(process),
      options: resolveOptions({ ...options, instanceId: slot.instanceId }),
      ports: process.ports,
      log: log(name),
      listener: {},
      created: (instance) => {
        slot.instance = instance;
      },
    });
    running
      .then((instance) => {
        phase = 'started';
        return instance.stopped();
      })
      .then(
        () => this.#exited(process),
        (cause: unknown) => this.#gaveUp(slot, process, phase, asEscapementError(cause)),
      );
  }

  #exited(process: SimulatedProcess): void {
    this.#options.note(process.name, 'exits');
    // It may end what it is at, as a process does that nothing holds any more.
    if (this.#state === 'closing') this.#stopped.add(process);
    else this.#over(process);
  }

  #gaveUp(slot: Slot, process: SimulatedProcess, phase: Phase, error: EscapementError): void {
    const { code } = error;
    this.#options.note(process.name, `exits: ${code}`);
    const isForgiven =
      this.#options.mayEnd.includes(code) ||
      (phase === 'starting' && this.#options.mayFailToStart && MAY_END_A_START.has(code)) ||
      // Another process, or a late request of its own, took its membership.
      (slot.instanceId !== null && code === 'INSTANCE_FENCED');
    if (!isForgiven) this.gaveUp.push({ process: process.name, error });
    this.#over(process);
  }

  #over(process: SimulatedProcess): void {
    process.kill();
    this.buried(process);
  }

  /** A process that was stopped in calm has let go of everything. */
  #look(process: SimulatedProcess): void {
    const left = { timers: process.timers, connections: this.#options.connections(process) };
    for (const [what, count] of Object.entries(left)) {
      if (count > 0) this.leaks.push(`${process.name} stops with ${count} ${what} left`);
    }
  }
}

/** Ports of something that never dies. */
export function immortal(name: string, time: VirtualTime, random: SeededRandom): Ports {
  return new SimulatedProcess(name, time, random).ports;
}
