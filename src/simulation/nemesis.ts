/** Makes things go wrong, at the rates of a fault plan, while it is let loose; counts what it did. */
import type { Cast, Slot } from './cast.ts';
import type { FaultRates } from './faults.ts';
import type { Passage, Strike } from './network.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import type { VirtualTime } from './virtual-time.ts';
import type { UserCode } from './workload.ts';

export interface NemesisOptions {
  readonly rates: FaultRates;
  readonly random: SeededRandom;
  readonly time: VirtualTime;
  readonly note: (who: string, what: string) => void;
  /** Strikes chosen one by one, asked before the dice are thrown. */
  readonly strike: ((passage: Passage) => Strike | null) | null;
}

type Mishap = keyof FaultRates['perSecond'];

const MISHAPS: readonly Mishap[] = ['kill', 'stop', 'pause', 'clockJump'];
const DAY_MS = 86_400_000;
const CALL_MS_MOST = 50;
const WATCH_EVERY_MS = 10;

export class Nemesis {
  readonly #options: NemesisOptions;
  readonly #struck: Record<string, number> = {};
  #cast: Cast | null = null;
  #state: 'loose' | 'bound' = 'loose';

  constructor(options: NemesisOptions) {
    this.#options = options;
  }

  /** How often each kind of fault struck. */
  get struck(): Readonly<Record<string, number>> {
    return this.#struck;
  }

  haunt(cast: Cast): void {
    this.#cast = cast;
    for (const mishap of MISHAPS) this.#schedule(mishap);
  }

  /** From now on nothing goes wrong any more; what is paused goes on. */
  bind(): void {
    this.#state = 'bound';
    for (const { process } of this.#cast?.slots ?? []) process?.resume();
  }

  strike(passage: Passage): Strike | null {
    const strike = this.#options.strike?.(passage) ?? this.#draw();
    if (strike === null) return null;
    this.#count(strike.kind === 'crash' ? `crash-${strike.when}` : strike.kind);
    if (strike.kind === 'crash') this.#watch(passage.process);
    return strike;
  }

  /** What user code in a process may do, faults included. */
  userCode(process: SimulatedProcess): UserCode {
    const { rates, random } = this.#options;
    const own = random.fork(`user ${process.name}`);
    return {
      disturb: () => {
        if (this.#state === 'bound' || !own.chance(rates.userError)) return;
        this.#count('user-error');
        throw new Error('user code fails by plan');
      },
      call: async () => {
        if (this.#state === 'loose' && own.chance(rates.userStall)) {
          this.#count('user-stall');
          await new Promise(() => {});
        }
        await process.ports.timers.sleep(own.fraction() * CALL_MS_MOST);
      },
    };
  }

  #draw(): Strike | null {
    if (this.#state === 'bound') return null;
    const { rates, random } = this.#options;
    const { perRequest } = rates;
    let dice = random.fraction();
    const falls = (rate: number): boolean => {
      dice -= rate;
      return dice < 0;
    };
    if (falls(perRequest.crash)) {
      return { kind: 'crash', when: random.pick(['before', 'applied', 'answered'] as const) };
    }
    const loss = random.chance(0.7) ? 'reset' : 'silence';
    if (falls(perRequest.lostRequest)) return { kind: 'lost-request', loss };
    if (falls(perRequest.lostAnswer)) return { kind: 'lost-answer', loss };
    const delayMs = random.fraction() * rates.lateMsMost;
    if (falls(perRequest.lateRequest)) return { kind: 'late-request', delayMs };
    if (falls(perRequest.lateAnswer)) return { kind: 'late-answer', delayMs };
    if (falls(perRequest.duplicate)) return { kind: 'duplicate' };
    if (falls(perRequest.close)) return { kind: 'close' };
    return null;
  }

  /** A strike kills its process at some later moment; the slot is free from then on. */
  #watch(process: SimulatedProcess): void {
    this.#options.time.after(WATCH_EVERY_MS, () => {
      if (process.isDead) this.#cast?.buried(process);
      else this.#watch(process);
    });
  }

  #schedule(mishap: Mishap): void {
    const { rates, random, time } = this.#options;
    const rate = rates.perSecond[mishap];
    if (rate <= 0) return;
    // Exponentially distributed pauses: any moment is as likely as any other.
    time.after((-Math.log(1 - random.fraction()) * 1_000) / rate, () => {
      if (this.#state === 'bound') return;
      this.#befall(mishap, random.pick(this.#cast!.slots));
      this.#schedule(mishap);
    });
  }

  #befall(mishap: Mishap, slot: Slot): void {
    const { rates, random, time, note } = this.#options;
    const { process, instance } = slot;
    if (process === null || process.state !== 'running') return;
    this.#count(mishap);
    note(process.name, mishap);
    switch (mishap) {
      case 'kill':
        this.#cast!.kill(slot);
        return;
      case 'stop':
        void instance?.stop();
        return;
      case 'pause':
        process.pause();
        time.after(random.fraction() * rates.pauseMsMost, () => process.resume());
        return;
      case 'clockJump':
        process.setWallClock(Math.round(random.between(-DAY_MS, DAY_MS)));
    }
  }

  #count(kind: string): void {
    this.#struck[kind] = (this.#struck[kind] ?? 0) + 1;
  }
}
