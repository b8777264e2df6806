/** What happens to the network during a storm: drawn anew every few seconds, calm included. */
import type { SeededRandom } from '../../src/simulation/seeded-random.ts';
import type { ProxiedRequest, ProxyFault, ProxyFaultKind, ProxyPlan } from './proxy-faults.ts';
import { everyNth, NO_FAULTS } from './proxy-faults.ts';

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
  ...['lose-answer', 'hold-answer', 'cut-answer'],
] as readonly ProxyFaultKind[];
const SWALLOWED = 0.03;
const RATE_MOST = 0.02;
const HELD_MS = [500, 2_000] as const;
const LATE_MS = [100, 3_000] as const;
const LIFE_MS = [500, 1_500] as const;

/** Every how many of a process's requests lose their answers, one API after the other. */
const AIMED: readonly { readonly apiKey: number; readonly every: number }[] = [
  { apiKey: 26, every: 3 },
  { apiKey: 22, every: 2 },
  { apiKey: 28, every: 5 },
  { apiKey: 12, every: 3 },
  { apiKey: 0, every: 5 },
];

export const AIMED_APIS: readonly string[] = AIMED.map(
  ({ apiKey }) => STRUCK_APIS.get(apiKey)!.name,
);

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

  /** One API after the other, so that a short run has them all. */
  aimed(): Weather {
    const { apiKey, every } = AIMED[this.#aimed % AIMED.length]!;
    this.#aimed += 1;
    const name = `no answer to every ${every}. ${STRUCK_APIS.get(apiKey)!.name}`;
    return { name, plan: everyNth(apiKey, every, { kind: 'lose-answer' }), lifeMs: null };
  }

  next(): Weather {
    const random = this.#random;
    switch (random.below(5)) {
      case 0:
        return CALM;
      case 1:
        return { name: 'short lives', plan: NO_FAULTS, lifeMs: () => random.between(...LIFE_MS) };
      case 2:
        return this.aimed();
      default:
        return { name: 'lossy', plan: lossy(random), lifeMs: null };
    }
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
  // Rare, for it costs its request's whole time-out.
  if (random.chance(SWALLOWED)) return { kind: 'swallow-answer' };
  const kind = random.pick(KINDS);
  if (kind === 'hold-answer') return { kind, delayMs: random.between(...HELD_MS) };
  if (kind === 'late-request') return { kind, delayMs: random.between(...LATE_MS) };
  return { kind };
}
