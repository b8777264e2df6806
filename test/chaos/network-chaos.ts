/** What happens to the network during a storm: drawn anew every few seconds, calm included. */
import type { SeededRandom } from '../../src/simulation/seeded-random.ts';
import type { ProxiedRequest, ProxyFault, ProxyFaultKind, ProxyPlan } from './proxy-faults.ts';
import { NO_FAULTS, onOrdinal } from './proxy-faults.ts';

/** What may be struck, by api key, and how much more often than a Produce. */
export const STRUCK_APIS: ReadonlyMap<number, { readonly name: string; readonly weight: number }> =
  new Map([
    [0, { name: 'Produce', weight: 1 }],
    [1, { name: 'Fetch', weight: 0.3 }],
    [10, { name: 'FindCoordinator', weight: 4 }],
    [11, { name: 'JoinGroup', weight: 6 }],
    [12, { name: 'Heartbeat', weight: 3 }],
    [14, { name: 'SyncGroup', weight: 6 }],
    [22, { name: 'InitProducerId', weight: 10 }],
    [24, { name: 'AddPartitionsToTxn', weight: 2 }],
    [25, { name: 'AddOffsetsToTxn', weight: 2 }],
    [26, { name: 'EndTxn', weight: 2 }],
    [28, { name: 'TxnOffsetCommit', weight: 2 }],
  ]);

const KINDS: readonly ProxyFaultKind[] = [
  ...['lose-request', 'cut-request', 'close-after-forward', 'late-request'],
  ...['lose-answer', 'swallow-answer', 'hold-answer', 'cut-answer'],
] as readonly ProxyFaultKind[];
const RATE_MOST = 0.02;
const HELD_MS = [500, 2_000] as const;
const LATE_MS = [100, 3_000] as const;
const LIFE_MS = [500, 1_500] as const;

/** Whose answers are lost on every connection in turn: the third EndTxn's, the first InitProducerId's. */
const AIMED: readonly { readonly apiKey: number; readonly ordinal: number }[] = [
  { apiKey: 26, ordinal: 3 },
  { apiKey: 22, ordinal: 1 },
  { apiKey: 28, ordinal: 5 },
  { apiKey: 12, ordinal: 2 },
  { apiKey: 0, ordinal: 4 },
];

export interface Weather {
  readonly name: string;
  readonly plan: ProxyPlan;
  readonly lifeMs: (() => number) | null;
}

export const CALM: Weather = { name: 'calm', plan: NO_FAULTS, lifeMs: null };

/** Draws one weather after the other. */
export class Sky {
  readonly #random: SeededRandom;
  #aimed = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  next(): Weather {
    const random = this.#random;
    switch (random.below(6)) {
      case 0:
        return CALM;
      case 1:
        return { name: 'short lives', plan: NO_FAULTS, lifeMs: () => random.between(...LIFE_MS) };
      case 2:
      case 3:
        return this.#nextAimed();
      default:
        return { name: 'lossy', plan: lossy(random), lifeMs: null };
    }
  }

  /** In turn, so that a short run has them all. */
  #nextAimed(): Weather {
    const { apiKey, ordinal } = AIMED[this.#aimed % AIMED.length]!;
    this.#aimed += 1;
    const name = `no answer to ${STRUCK_APIS.get(apiKey)!.name} number ${ordinal}`;
    return { name, plan: onOrdinal(apiKey, ordinal, { kind: 'lose-answer' }), lifeMs: null };
  }
}

/** Each request of an API is struck with a rate of its own; some APIs are left alone. */
function lossy(random: SeededRandom): ProxyPlan {
  const rates = new Map<number, number>();
  for (const [apiKey, { weight }] of STRUCK_APIS) {
    rates.set(apiKey, random.chance(0.3) ? 0 : random.between(0, RATE_MOST * weight));
  }
  return ({ apiKey }: ProxiedRequest) =>
    random.chance(rates.get(apiKey) ?? 0) ? drawFault(random) : null;
}

function drawFault(random: SeededRandom): ProxyFault {
  const kind = random.pick(KINDS);
  if (kind === 'hold-answer') return { kind, delayMs: random.between(...HELD_MS) };
  if (kind === 'late-request') return { kind, delayMs: random.between(...LATE_MS) };
  return { kind };
}
