/** A count and a sum per key, every update emitted: two stores behind one source, one transaction. */
import {
  aggregate,
  count,
  long,
  mapValues,
  retry,
  string,
  to,
  topology,
} from '../../../src/index.ts';
import type { Input, Outcome } from '../../../src/simulation/oracle/evidence.ts';
import type { SeededRandom } from '../../../src/simulation/seeded-random.ts';
import type { UserCode, Workload } from '../../../src/simulation/workload.ts';
import { differences } from './differences.ts';

const text = string();
const PARTITIONS = 3;
const KEYS = 3;
const AMOUNT_MOST = 1_000;

export const fold: Workload = {
  name: 'fold',
  repeatable: 'records',
  topics: { in: PARTITIONS, counts: PARTITIONS, sums: PARTITIONS },

  topology({ disturb }: UserCode) {
    const app = topology('fold');
    const source = app.stream('in', { key: text, value: text, onError: retry(20) });
    source.pipe(count({ name: 'count', key: text }), to('counts', { key: text, value: long() }));
    source.pipe(
      mapValues(Number),
      aggregate({
        name: 'sum',
        init: () => 0,
        add: (sum, amount) => {
          disturb();
          return sum + amount;
        },
        key: text,
        value: long(),
      }),
      to('sums', { key: text, value: long() }),
    );
    return app.build();
  },

  inputs(random: SeededRandom, records: number): Input[] {
    return Array.from({ length: records }, (_, n) => ({
      topic: 'in',
      partition: random.below(PARTITIONS),
      key: `k${random.below(KEYS)}`,
      value: String(random.below(AMOUNT_MOST)),
      timestampMs: 1_000 + n,
    }));
  },

  source: () => null,

  check({ applicationId, written, topic }: Outcome): string[] {
    const folded = (amountOf: (value: string) => number): string[][] =>
      Array.from({ length: PARTITIONS }, (_, partition) => {
        const rows = new Map<string, number>();
        return written
          .filter((input) => input.partition === partition)
          .map(({ key, value }) => {
            const row = (rows.get(String(key)) ?? 0) + amountOf(String(value));
            rows.set(String(key), row);
            return `${key}=${row}`;
          });
      });
    const committed = (name: string): string[][] =>
      topic(name).map((view) =>
        view.committed.map(({ key, value }) => `${key}=${value!.readBigInt64BE()}`),
      );
    const compared = (output: string, store: string, expected: string[][]): string[] => {
      const changelog = committed(`${applicationId}-${store}-changelog`);
      return [
        ...expected.flatMap((lines, at) =>
          differences(`changelog of ${store} ${at}`, changelog[at] ?? [], lines),
        ),
        ...differences(output, committed(output).flat().sort(), expected.flat().sort()),
      ];
    };
    return [
      ...compared(
        'counts',
        'count',
        folded(() => 1),
      ),
      ...compared('sums', 'sum', folded(Number)),
    ];
  },
};
