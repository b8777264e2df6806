/**
 * Windows that emit once, when they close, and records that come too late for them: what is late and
 * what is emitted follows from the order of the records alone, whatever was restarted meanwhile.
 */
import {
  long,
  retry,
  string,
  to,
  topology,
  tumbling,
  windowedAggregate,
  windowedSerde,
} from '../../../src/index.ts';
import type { Input, Outcome, Written } from '../../../src/simulation/oracle/evidence.ts';
import type { SeededRandom } from '../../../src/simulation/seeded-random.ts';
import type { UserCode, Workload } from '../../../src/simulation/workload.ts';
import { differences } from './differences.ts';

const text = string();
const PARTITIONS = 2;
const KEYS = 3;
const SIZE_MS = 10;
const GRACE_MS = 5;
const STEP_MS = 3;
/** Some records are this much behind: late for most windows. */
const BEHIND_MS_MOST = 40;

/** `key@start=count` in the order of emission, and the ids of late records. */
function model(records: readonly Written[]): { final: string[]; late: string[] } {
  const final: string[] = [];
  const late: string[] = [];
  const open = new Map<number, Map<string, number>>();
  let streamTime = -1;
  for (const { key, value, timestampMs } of records) {
    streamTime = Math.max(streamTime, timestampMs);
    const start = timestampMs - (timestampMs % SIZE_MS);
    if (start + SIZE_MS + GRACE_MS <= streamTime) late.push(String(value));
    else {
      const rows = open.get(start) ?? new Map<string, number>();
      open.set(start, rows.set(String(key), (rows.get(String(key)) ?? 0) + 1));
    }
    for (const closed of [...open.keys()].sort((one, other) => one - other)) {
      if (closed + SIZE_MS + GRACE_MS > streamTime) continue;
      const rows = [...open.get(closed)!].sort(([one], [other]) => (one < other ? -1 : 1));
      for (const [name, count] of rows) final.push(`${name}@${closed}=${count}`);
      open.delete(closed);
    }
  }
  return { final, late };
}

export const windows: Workload = {
  name: 'windows',
  repeatable: 'records',
  topics: { in: PARTITIONS, final: PARTITIONS, late: PARTITIONS },

  topology({ disturb }: UserCode) {
    const app = topology('windows');
    app.stream('in', { key: text, value: text, onError: retry(20) }).pipe(
      windowedAggregate({
        name: 'by-window',
        window: tumbling({ sizeMs: SIZE_MS, graceMs: GRACE_MS }),
        init: () => 0,
        add: (count) => {
          disturb();
          return count + 1;
        },
        key: text,
        value: long(),
        emit: 'final',
        late: (late) => late.pipe(to('late', { key: text, value: text })),
      }),
      to('final', { key: windowedSerde(text, SIZE_MS), value: long() }),
    );
    return app.build();
  },

  inputs(random: SeededRandom, records: number): Input[] {
    return Array.from({ length: records }, (_, n) => {
      const behind = random.chance(0.2) ? random.below(BEHIND_MS_MOST) : random.below(GRACE_MS);
      return {
        topic: 'in',
        partition: random.below(PARTITIONS),
        key: `k${random.below(KEYS)}`,
        value: `r${n}`,
        timestampMs: Math.max(0, 1_000 + STEP_MS * n - behind),
      };
    });
  },

  source: () => null,

  check({ written, topic }: Outcome): string[] {
    const models = Array.from({ length: PARTITIONS }, (_, partition) =>
      model(written.filter((input) => input.partition === partition)),
    );
    const committed = topic('final').flatMap((view) => view.committed);
    const final = committed.map(({ key, value }) => {
      const name = key!.subarray(0, -8);
      return `${name}@${key!.readBigInt64BE(key!.length - 8)}=${value!.readBigInt64BE()}`;
    });
    const late = topic('late').flatMap((view) => view.committed.map(({ value }) => String(value)));
    return [
      ...differences('final', final.sort(), models.flatMap((each) => each.final).sort()),
      ...differences('late', late.sort(), models.flatMap((each) => each.late).sort()),
    ];
  },
};
