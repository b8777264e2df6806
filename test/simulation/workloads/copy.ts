/**
 * Three stages that copy unique ids from topic to topic, each under another key: what arrives must be
 * what was written, each id once, and ids of one way in the order in which they were written.
 */
import {
  mapValues,
  repartition,
  retry,
  selectKey,
  string,
  to,
  topology,
} from '../../../src/index.ts';
import type { Outcome } from '../../../src/simulation/oracle/evidence.ts';
import type { UserCode, Workload } from '../../../src/simulation/workload.ts';
import { differences } from './differences.ts';
import { idInputs, sourceOfId } from './ids.ts';

const text = string();
const PARTITIONS = 2;
const KEYS = 4;

export const copy: Workload = {
  name: 'copy',
  repeatable: 'records',
  topics: { in: PARTITIONS, out: PARTITIONS },

  topology({ disturb }: UserCode) {
    const app = topology('copy');
    const passOn = (value: string): string => {
      disturb();
      return value;
    };
    app.stream('in', { key: text, value: text, onError: retry(20) }).pipe(
      mapValues(passOn),
      selectKey(({ key }) => `second-${key}`),
      repartition({ name: 'second', key: text, value: text }),
      selectKey(({ key }) => key.replace('second', 'third')),
      repartition({ name: 'third', key: text, value: text }),
      to('out', { key: text, value: text }),
    );
    return app.build();
  },

  inputs: (random, records) => idInputs({ random, records, partitions: PARTITIONS, keys: KEYS }),

  /** Of the first stage alone; the later ones have a stage, not an input record, before them. */
  source({ topic, value }) {
    return topic.endsWith('-second-repartition') ? sourceOfId(value!.toString()) : null;
  },

  check({ written, topic }: Outcome): string[] {
    const ways = (lines: readonly { from: string; line: string }[]): string[] => {
      const byWay = new Map<string, string[]>();
      for (const { from, line } of lines) byWay.set(from, [...(byWay.get(from) ?? []), line]);
      return [...byWay].map(([from, way]) => `${from}: ${way.join(' ')}`).sort();
    };
    const wayOf = (key: string, id: string) => ({
      from: `${key} of ${id.split(':')[0]}`,
      line: id,
    });
    const expected = ways(written.map(({ key, value }) => wayOf(`third-${key}`, String(value))));
    const found = topic('out').flatMap((view) => view.committed);
    return differences(
      'ways',
      ways(found.map(({ key, value }) => wayOf(String(key), String(value)))),
      expected,
    );
  },
};
