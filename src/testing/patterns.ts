/**
 * Commit and crash patterns: what a replay does behind each record. The fixed ones meet each rule
 * of a step alone; random ones, drawn from a seed, mix them.
 */

import { SeededRandom } from '../simulation/seeded-random.ts';
import type { Fate } from './driven-task.ts';

/**
 * `hold`: a commit begins, and its answer comes behind the next record, which fills the step after it.
 * `crash`: the process ends, what no step has committed is lost; a new owner restores the stores.
 * `crash after commit`: the same, behind a commit.
 */
export type Turn =
  | 'go on'
  | 'commit'
  | 'hold'
  | 'abort'
  | 'answer lost'
  | 'crash'
  | 'crash after commit';

export interface Pattern {
  /** As the error says it: "with every step aborted once". */
  readonly name: string;
  /** Behind a record that is done for the first time, or again. */
  readonly turn: (record: 'new' | 'redone') => Turn;
  /** What becomes of a step that was held. */
  readonly held: () => Fate;
  /** At the end, before the last commit. */
  readonly last: 'commit' | 'abort' | 'crash';
}

type Fixed = Omit<Pattern, 'held'> & { readonly held?: Pattern['held'] };

/** As the test itself: each record in a step of its own. */
export const EACH_RECORD: Pattern = {
  name: 'a commit behind every record',
  turn: () => 'commit',
  held: () => 'commit',
  last: 'commit',
};

const GROUPED: readonly Fixed[] = [
  { name: 'one commit for everything', turn: () => 'go on', last: 'commit' },
];

const DISTURBED: readonly Fixed[] = [
  { name: 'one step for everything, aborted once', turn: () => 'go on', last: 'abort' },
  {
    name: 'one step for everything, and a crash before its commit',
    turn: () => 'go on',
    last: 'crash',
  },
  {
    name: 'every step aborted once',
    turn: (record) => (record === 'new' ? 'abort' : 'commit'),
    last: 'commit',
  },
  { name: 'the answer to every commit lost', turn: () => 'answer lost', last: 'commit' },
  {
    name: 'every step aborted once while the next one fills',
    turn: (record) => (record === 'new' ? 'hold' : 'commit'),
    held: () => 'abort',
    last: 'commit',
  },
  {
    name: 'a crash before every commit',
    turn: (record) => (record === 'new' ? 'crash' : 'commit'),
    last: 'commit',
  },
  {
    name: 'a crash and a restore between any two records',
    turn: () => 'crash after commit',
    last: 'commit',
  },
];

const NEW: readonly Turn[] = [
  ...(['go on', 'go on', 'go on', 'commit', 'commit'] as const),
  ...(['hold', 'hold', 'abort', 'answer lost', 'crash', 'crash after commit'] as const),
];
const REDONE: readonly Turn[] = ['go on', 'go on', 'commit'];
const CALM: readonly Turn[] = ['go on', 'go on', 'commit', 'hold'];
const HELD: readonly Fate[] = ['commit', 'commit', 'abort', 'answer lost'];
const LAST: readonly Pattern['last'][] = ['commit', 'abort', 'crash'];

/** The fixed patterns and so many random ones. They hold a state, so they serve one replay. */
export function patterns(seed: number, random: number): readonly Pattern[] {
  return [...whole(GROUPED), ...disturbances(seed, random)];
}

/** Patterns in which nothing fails: only where steps end differs. For one replay each. */
export function groupings(seed: number, random: number): readonly Pattern[] {
  const drawn = Array.from({ length: random }, (_, at): Pattern => {
    const own = new SeededRandom(seed).fork(`grouping ${at}`);
    return {
      name: `random commits (seed ${seed}, pattern ${at})`,
      turn: () => own.pick(CALM),
      held: () => 'commit',
      last: 'commit',
    };
  });
  return [...whole(GROUPED), ...drawn];
}

/** Patterns with aborts, lost answers and crashes. For one replay each. */
export function disturbances(seed: number, random: number): readonly Pattern[] {
  const drawn = Array.from({ length: random }, (_, at): Pattern => {
    const own = new SeededRandom(seed).fork(`pattern ${at}`);
    return {
      name: `random commits, aborts and crashes (seed ${seed}, pattern ${at})`,
      turn: (record) => own.pick(record === 'new' ? NEW : REDONE),
      held: () => own.pick(HELD),
      last: own.pick(LAST),
    };
  });
  return [...whole(DISTURBED), ...drawn];
}

function whole(fixed: readonly Fixed[]): readonly Pattern[] {
  return fixed.map((each) => ({ held: () => 'commit' as const, ...each }));
}
