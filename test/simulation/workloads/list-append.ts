/**
 * List append: the aggregate of a key is the list of the ids of its records, so that every emission
 * must extend the one before by exactly one id. What is lost, doubled or out of order shows at once.
 */
import { aggregate, retry, string, to, topology } from '../../../src/index.ts';
import type { Outcome } from '../../../src/simulation/oracle/evidence.ts';
import type { UserCode, Workload } from '../../../src/simulation/workload.ts';
import { differences } from './differences.ts';
import { idInputs, sourceOfId } from './ids.ts';

const text = string();
const PARTITIONS = 2;
const KEYS = 3;

/** The list of the ids of a key, kept in store `lists`. */
export const appended = (disturb: () => void) =>
  aggregate<string, string, string>({
    name: 'lists',
    init: () => '',
    add: (list, id) => {
      disturb();
      return list === '' ? id : `${list},${id}`;
    },
    key: text,
    value: text,
  });

export const listAppend: Workload = {
  name: 'list-append',
  repeatable: 'records',
  topics: { in: PARTITIONS, out: PARTITIONS },

  topology({ disturb }: UserCode) {
    const app = topology('list-append');
    app
      .stream('in', { key: text, value: text, onError: retry(20) })
      .pipe(appended(disturb), to('out', { key: text, value: text }));
    return app.build();
  },

  inputs: (random, records) => idInputs({ random, records, partitions: PARTITIONS, keys: KEYS }),

  /** The last id of the list is that of the record that was appended. */
  source({ topic, value }) {
    return topic === 'in' ? null : sourceOfId(value!.toString().split(',').at(-1)!);
  },

  check({ applicationId, written, topic }: Outcome): string[] {
    const expected = Array.from({ length: PARTITIONS }, (_, partition) => {
      const lists = new Map<string, string>();
      return written
        .filter((input) => input.partition === partition)
        .map(({ key, value }) => {
          const list = lists.get(String(key));
          lists.set(String(key), list === undefined ? String(value) : `${list},${value}`);
          return `${key}=${lists.get(String(key))}`;
        });
    });
    const committed = (name: string): string[][] =>
      topic(name).map((view) => view.committed.map(({ key, value }) => `${key}=${value}`));
    const changelog = committed(`${applicationId}-lists-changelog`);
    // The output is partitioned by its key, not by the partition of its input.
    const output = committed('out');
    return [
      ...expected.flatMap((lines, at) =>
        differences(`changelog ${at}`, changelog[at] ?? [], lines),
      ),
      ...differences('output', output.flat().sort(), expected.flat().sort()),
    ];
  },
};
