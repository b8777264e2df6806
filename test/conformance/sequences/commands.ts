/**
 * Random sequences of requests, right ones and wrong ones, from a seed: three producers, two
 * partitions, one group. Commands are symbolic (`the epoch before`, `the next sequence`), so that
 * a shorter sequence still means something: what is left over by shrinking plays, too.
 */
export const PRODUCERS = 3;
export const PARTITIONS = 2;

export type Epoch = 'current' | 'older' | 'newer';
export type Sequence = 'next' | 'repeat' | 'gap' | 'zero';
export type Claim = 'none' | 'current' | 'older' | 'foreign';
export type Membership = 'none' | 'member' | 'stale' | 'stranger';
export type Protocol = 'v1' | 'v2';

export type Command =
  | { readonly do: 'init'; readonly producer: number; readonly claim: Claim }
  | {
      readonly do: 'add';
      readonly producer: number;
      readonly partitions: readonly number[];
      readonly epoch: Epoch;
      readonly id: 'own' | 'foreign';
    }
  | {
      readonly do: 'produce';
      readonly producer: number;
      readonly partition: number;
      readonly count: number;
      readonly sequence: Sequence;
      readonly epoch: Epoch;
      readonly kind: 'transactional' | 'plain';
    }
  | { readonly do: 'write'; readonly partition: number; readonly count: number }
  | { readonly do: 'addOffsets'; readonly producer: number; readonly epoch: Epoch }
  | {
      readonly do: 'sendOffset';
      readonly producer: number;
      readonly partition: number;
      readonly offset: number;
      readonly epoch: Epoch;
      readonly membership: Membership;
    }
  | {
      readonly do: 'end';
      readonly producer: number;
      readonly result: 'commit' | 'abort';
      readonly epoch: Epoch;
    }
  | {
      readonly do: 'commitOffset';
      readonly partition: number;
      readonly offset: number;
      readonly membership: Membership;
    }
  | { readonly do: 'join' | 'leave' | 'heartbeat' }
  | {
      readonly do: 'fetch';
      readonly partition: number;
      readonly isolation: 'read_committed' | 'read_uncommitted';
      /** Of the high watermark, in quarters; 5 is beyond it. */
      readonly quarter: number;
    }
  | { readonly do: 'committed'; readonly partition: number; readonly stability: 'stable' | 'any' };

export interface Plan {
  readonly seed: number;
  /** Of each producer; v2 only where the broker has it. */
  readonly protocols: readonly Protocol[];
  readonly commands: readonly Command[];
}

/** Mulberry32: small, and the same numbers everywhere. */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }

  below(limit: number): number {
    return Math.floor(this.fraction() * limit);
  }

  /** One of the values, each as often as its weight says. */
  weighted<T>(choices: readonly (readonly [weight: number, value: T])[]): T {
    let at = this.fraction() * choices.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, value] of choices) {
      at -= weight;
      if (at < 0) return value;
    }
    return choices.at(-1)![1];
  }
}

const LENGTH_MIN = 12;
const LENGTH_MAX = 32;

export function planOf(seed: number, versions: readonly Protocol[]): Plan {
  const random = new Random(Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995);
  const protocols = Array.from({ length: PRODUCERS }, () =>
    versions.length === 1
      ? versions[0]!
      : random.weighted([[1, 'v1'] as const, [3, 'v2'] as const]),
  );
  const commands: Command[] = [];
  // Most sequences start with producers that may do something.
  for (let producer = 0; producer < PRODUCERS; producer++) {
    if (random.fraction() < 0.85) commands.push({ do: 'init', producer, claim: 'none' });
  }
  const length = LENGTH_MIN + random.below(LENGTH_MAX - LENGTH_MIN);
  while (commands.length < length) commands.push(commandOf(random));
  return { seed, protocols, commands };
}

const KINDS: readonly (readonly [number, Command['do']])[] = [
  [6, 'init'],
  [14, 'add'],
  [26, 'produce'],
  [3, 'write'],
  [6, 'addOffsets'],
  [8, 'sendOffset'],
  [15, 'end'],
  [3, 'commitOffset'],
  [4, 'join'],
  [1, 'leave'],
  [2, 'heartbeat'],
  [7, 'fetch'],
  [5, 'committed'],
];

function epochOf(random: Random): Epoch {
  return random.weighted<Epoch>([
    [14, 'current'],
    [1, 'older'],
    [1, 'newer'],
  ]);
}

function membershipOf(random: Random): Membership {
  return random.weighted<Membership>([
    [4, 'none'],
    [5, 'member'],
    [1, 'stale'],
    [1, 'stranger'],
  ]);
}

function commandOf(random: Random): Command {
  const kind = random.weighted(KINDS);
  const producer = random.below(PRODUCERS);
  const partition = random.below(PARTITIONS);
  const offset = random.below(100);
  const count = 1 + random.below(3);
  switch (kind) {
    case 'init':
      return {
        do: kind,
        producer,
        claim: random.weighted<Claim>([
          [4, 'none'],
          [4, 'current'],
          [1, 'older'],
          [1, 'foreign'],
        ]),
      };
    case 'add':
      return {
        do: kind,
        producer,
        partitions: random.weighted([
          [3, [0]],
          [3, [1]],
          [3, [0, 1]],
          [1, [0, PARTITIONS]],
        ]),
        epoch: epochOf(random),
        id: random.weighted([
          [20, 'own'],
          [1, 'foreign'],
        ]),
      };
    case 'produce':
      return produceOf(random, { producer, partition, count });
    case 'write':
      return { do: kind, partition, count };
    case 'addOffsets':
      return { do: kind, producer, epoch: epochOf(random) };
    case 'sendOffset':
      return {
        do: kind,
        producer,
        partition,
        offset,
        epoch: epochOf(random),
        membership: membershipOf(random),
      };
    case 'end':
      return {
        do: kind,
        producer,
        result: random.weighted([
          [3, 'commit'],
          [2, 'abort'],
        ]),
        epoch: epochOf(random),
      };
    case 'commitOffset':
      return { do: kind, partition, offset, membership: membershipOf(random) };
    case 'fetch':
      return {
        do: kind,
        partition,
        isolation: random.weighted([
          [1, 'read_committed'],
          [1, 'read_uncommitted'],
        ]),
        quarter: random.below(6),
      };
    case 'committed':
      return {
        do: kind,
        partition,
        stability: random.weighted([
          [1, 'stable'],
          [1, 'any'],
        ]),
      };
    default:
      return { do: kind };
  }
}

function produceOf(
  random: Random,
  where: { readonly producer: number; readonly partition: number; readonly count: number },
): Command {
  const sequence = random.weighted<Sequence>([
    [16, 'next'],
    [2, 'repeat'],
    [1, 'gap'],
    [1, 'zero'],
  ]);
  const kind = random.weighted<'transactional' | 'plain'>([
    [20, 'transactional'],
    [1, 'plain'],
  ]);
  const epoch = epochOf(random);
  // No coordinator checks a plain batch: a newer epoch in one has the partition refuse the marker
  // of the transaction, and Kafka's coordinator then never completes it.
  const taken = kind === 'plain' && epoch === 'newer' ? 'current' : epoch;
  return { do: 'produce', ...where, sequence, epoch: taken, kind };
}

export function describeCommand(command: Command): string {
  const { do: kind, ...rest } = command;
  const words = Object.entries(rest).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return [kind, ...words].join(' ');
}
