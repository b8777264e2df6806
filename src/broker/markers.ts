/**
 * Tells the participants of a finished transaction how it ended.
 *
 * Called by `transactions.ts` once the outcome stands.
 *
 * I1. Never inside the caller's stack, each marker on its own timer, hence one by one and in any
 *     order (rule 2): a broker that completes at once hides bugs of clients that read too early.
 * I2. A participant whose leader or coordinator is away is told later; one that refuses ends the
 *     sending, and the transaction keeps its outcome until the coordinator moves, as in Kafka.
 * I3. What a coordinator had on its way when it lost its office still arrives, with its epoch: the
 *     participant fences it when it has heard of a newer one (rule 17).
 */
import type { Ports } from '../ports.ts';
import type { Marker } from './batch-header.ts';
import { type BrokerCounts, SLOW_MARKER_MS } from './counts.ts';
import { TimerSet } from './timer-set.ts';
import { keyOf, type Participant } from './transaction-state.ts';

export type MarkerOutcome = 'written' | 'unavailable' | 'refused';

export interface MarkerOptions {
  readonly ports: Ports;
  readonly counts: BrokerCounts;
  /** Mean delay between EndTxn and a marker; each marker takes between none and twice of it. */
  readonly markerDelayMs: number;
  /** Between the last marker and `done`; 0: at once. */
  readonly settleMs: number;
  write(participant: Participant, marker: Marker): MarkerOutcome;
}

/** Markers on their way. */
export interface Sending {
  /** The sender lost its office: nobody waits for the markers any more, though they arrive (I3). */
  disown(): void;
}

/** At which a participant that was away is tried again, when markers have no delay. */
const RETRY_MS_MIN = 1;

export class MarkerWriter {
  readonly #options: MarkerOptions;
  readonly #timers: TimerSet;

  constructor(options: MarkerOptions) {
    this.#options = options;
    this.#timers = new TimerSet(options.ports.timers);
  }

  /** `done` is called when every participant has its marker, later in any case. */
  send(marker: Marker, participants: readonly Participant[], done: () => void): Sending {
    const waiting = new Set(participants.map(keyOf));
    let sender: 'waits' | 'gone' = 'waits';
    const { markerDelayMs, settleMs } = this.#options;
    const tell = () => {
      if (sender === 'waits') done();
    };
    const finish = () => {
      if (settleMs === 0) tell();
      else this.#timers.after(settleMs, tell);
    };
    if (waiting.size === 0) this.#timers.after(markerDelayMs, finish);
    for (const participant of participants) {
      this.#deliver(participant, marker, () => {
        waiting.delete(keyOf(participant));
        if (waiting.size === 0) finish();
      });
    }
    return {
      disown: () => {
        sender = 'gone';
      },
    };
  }

  close(): void {
    this.#timers.close();
  }

  #deliver(participant: Participant, marker: Marker, written: () => void): void {
    const { markerDelayMs, ports, counts } = this.#options;
    const attempt = () => {
      const outcome = this.#options.write(participant, marker);
      if (outcome === 'written') written();
      if (outcome === 'unavailable') {
        this.#timers.after(
          Math.max(RETRY_MS_MIN, 2 * markerDelayMs * ports.random.fraction()),
          attempt,
        );
      }
    };
    const delayMs = 2 * markerDelayMs * ports.random.fraction();
    if (delayMs >= SLOW_MARKER_MS) counts.slowMarkers += 1;
    this.#timers.after(delayMs, attempt);
  }
}
