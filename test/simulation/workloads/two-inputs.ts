/**
 * Two topics that one task reads: the order between them is open, that within each is not. The lists of
 * a key take up the ids of both; each emission extends the one before by one id.
 */
import { merge, retry, string, to, topology } from '../../../src/index.ts';
import type { Input, Outcome } from '../../../src/simulation/oracle/evidence.ts';
import type { SeededRandom } from '../../../src/simulation/seeded-random.ts';
import type { UserCode, Workload } from '../../../src/simulation/workload.ts';
import { differences } from './differences.ts';
import { appended } from './list-append.ts';

const text = string();
const PARTITIONS = 2;
const KEYS = 3;
const TOPICS = ['left', 'right'];

export const twoInputs: Workload = {
  name: 'two-inputs',
  topics: { left: PARTITIONS, right: PARTITIONS, out: PARTITIONS },

  topology({ disturb }: UserCode) {
    const app = topology('two-inputs');
    const [left, right] = TOPICS.map((topic) =>
      app.stream(topic, { key: text, value: text, onError: retry(20) }),
    );
    left!.pipe(merge(right!), appended(disturb), to('out', { key: text, value: text }));
    return app.build();
  },

  /** Ids are `<topic>:<partition>:<offset>`. */
  inputs(random: SeededRandom, records: number): Input[] {
    const next = new Map<string, number>();
    return Array.from({ length: records }, (_, n) => {
      const topic = random.pick(TOPICS);
      const partition = random.below(PARTITIONS);
      const place = `${topic}:${partition}`;
      const offset = next.get(place) ?? 0;
      next.set(place, offset + 1);
      const key = `k${random.below(KEYS)}`;
      return { topic, partition, key, value: `${place}:${offset}`, timestampMs: 1_000 + n };
    });
  },

  source({ topic, value }) {
    if (TOPICS.includes(topic)) return null;
    const [name, partition, offset] = value!.toString().split(',').at(-1)!.split(':');
    return { topic: name!, partition: Number(partition), offset: Number(offset) };
  },

  check({ applicationId, written, topic }: Outcome): string[] {
    const lists = topic(`${applicationId}-lists-changelog`).map((view) =>
      view.committed.map(({ key, value }) => ({ key: String(key), list: String(value) })),
    );
    const output = topic('out').flatMap((view) =>
      view.committed.map(({ key, value }) => `${key}=${value}`),
    );
    const ids = lists.flat().map(({ list }) => list.split(',').at(-1)!);
    return [
      ...lists.flatMap(notExtended),
      ...differences('ids', [...ids].sort(), written.map(({ value }) => String(value)).sort()),
      ...outOfOrder(ids),
      ...differences(
        'output',
        output.sort(),
        lists
          .flat()
          .map(({ key, list }) => `${key}=${list}`)
          .sort(),
      ),
    ];
  },
};

/** Each row of a key is the row before and one id. */
function notExtended(rows: readonly { key: string; list: string }[]): string[] {
  const last = new Map<string, string>();
  return rows.flatMap(({ key, list }) => {
    const before = last.get(key);
    last.set(key, list);
    const expected = before === undefined ? '' : `${before},`;
    const isExtended = list.startsWith(expected) && !list.slice(expected.length).includes(',');
    return isExtended ? [] : [`the list of ${key} is ${list} after ${before}`];
  });
}

/** Of each input partition the ids come in their order. */
function outOfOrder(ids: readonly string[]): string[] {
  const next = new Map<string, number>();
  return ids.flatMap((id) => {
    const place = id.slice(0, id.lastIndexOf(':'));
    const offset = Number(id.slice(place.length + 1));
    const expected = next.get(place) ?? 0;
    next.set(place, offset + 1);
    return offset === expected ? [] : [`${id} where ${place}:${expected} should be`];
  });
}
