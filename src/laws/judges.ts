/** One function for each law: what a case shows against it, in words, or null. */
import { messageOf } from '../errors.ts';
import { topicsOfUser } from '../runtime/application-plan.ts';
import { difference } from '../testing/difference.ts';
import { disturbances, groupings, type Pattern } from '../testing/patterns.ts';
import type { Topology } from '../topology/node.ts';
import { keyDifference } from './by-key.ts';
import type { Law } from './law.ts';
import type { CaseRecord, LawCase } from './law-case.ts';
import { type Expected, modelDifference } from './model.ts';
import { type Play, type Played, played } from './played.ts';
import { watchedSerdes } from './watched-serdes.ts';

export interface Judged {
  readonly topology: () => Topology;
  readonly model: ((records: readonly CaseRecord[]) => Readonly<Record<string, Expected>>) | null;
  readonly orderInsensitive: Readonly<Record<string, 'latest' | 'all'>>;
}

export type Judge = (judged: Judged, given: LawCase) => Promise<string | null>;

/** Random patterns of each kind for a case. */
const RANDOM = 2;

export const JUDGES: Readonly<Record<Law, Judge>> = {
  'every record is done': async ({ topology }, { records, partitions }) => {
    try {
      await played({ topology, records, partitions });
      return null;
    } catch (cause) {
      return messageOf(cause);
    }
  },

  'serde round trip': async ({ topology }, { records, partitions }) => {
    const found: string[] = [];
    const watched = () => watchedSerdes(topology(), (what) => found.push(what));
    await played({ topology: watched, records, partitions });
    return found[0] ?? null;
  },

  'batch equals stream': async ({ topology, model }, { records, partitions, seed }) => {
    const stream = await played({ topology, records, partitions, pace: 'each' });
    const wrong = model === null ? null : await modelDifference(stream, model(records));
    if (wrong !== null) return wrong;
    return firstDifference(stream, { topology, records, partitions }, groupings(seed, RANDOM));
  },

  'crash equivalence': async ({ topology }, { records, partitions, seed }) => {
    const play = { topology, records, partitions };
    const whole = await played(play);
    return firstDifference(whole, play, disturbances(seed, RANDOM));
  },

  'partition independence': async ({ topology }, { records, partitions: drawn }) => {
    const partitions = Math.max(drawn, 2);
    const one = await played({ topology, records, partitions: 1 });
    const many = await played({ topology, records, partitions });
    const names = ['with 1 partition', `with ${partitions} partitions`] as const;
    const topics = [...topicsOfUser(one.topology)].map((topic) => ({ topic, comparison: 'order' }));
    const states = one.changelogs.map((topic) => ({ topic, comparison: 'latest' }));
    for (const { topic, comparison } of [...topics, ...states]) {
      const compared = { topology: one.topology, topic, names, times: 'count' as const };
      const found = keyDifference(
        { ...compared, comparison: comparison as 'order' | 'latest' },
        one.logs,
        many.logs,
      );
      if (found !== null) return found;
    }
    return null;
  },

  'order insensitivity': async ({ topology, orderInsensitive }, given) => {
    const { records, shuffled, partitions } = given;
    const first = await played({ topology, records, partitions });
    const other = await played({ topology, records: shuffled, partitions });
    const names = ['in the first order', 'in another order'] as const;
    for (const [topic, comparison] of Object.entries(orderInsensitive)) {
      const compared = { topology: first.topology, topic, comparison, names };
      const found = keyDifference({ ...compared, times: 'do not count' }, first.logs, other.logs);
      if (found !== null) return found;
    }
    return null;
  },
};

async function firstDifference(
  expected: Played,
  play: Play,
  all: readonly Pattern[],
): Promise<string | null> {
  const { topology, repartitionTopics, changelogs } = expected;
  const topics = [...repartitionTopics, ...topicsOfUser(topology)];
  for (const pattern of all) {
    try {
      const { logs } = await played({ ...play, pattern });
      const found = difference({ topology, topics, changelogs }, expected.logs, logs);
      if (found !== null) return `With ${pattern.name}: ${found}`;
    } catch (cause) {
      const why = messageOf(cause);
      return `With ${pattern.name}, it stops: ${why}`;
    }
  }
  return null;
}
