/** What was written to a topic, by key: partitions and what other keys wrote between do not count. */
import { shown } from '../testing/difference.ts';
import type { LoggedRecord, TopicLogs } from '../testing/topic-logs.ts';
import type { Topology } from '../topology/node.ts';

/** `order`: records of a key in their order. `latest`: the last one. `all`: each, in any order. */
export type Comparison = 'order' | 'latest' | 'all';

export interface Compared {
  readonly topology: Topology;
  readonly topic: string;
  readonly comparison: Comparison;
  /** Event times count, too. */
  readonly times: 'count' | 'do not count';
  /** What the two runs are called. */
  readonly names: readonly [string, string];
}

/** The first difference in words, or null. Records without a key are compared in any order. */
export function keyDifference(compared: Compared, one: TopicLogs, other: TopicLogs): string | null {
  const { topology, topic, comparison, times, names } = compared;
  const [first, second] = [one, other].map((logs) => groups(logs.records(topic), comparison));
  for (const key of new Set([...first!.keys(), ...second!.keys()])) {
    const [before, after] = [first, second].map((all) => {
      const given = all!.get(key) ?? [];
      return key === 'null' || comparison === 'all' ? sorted(given) : given;
    });
    for (let at = 0; at < Math.max(before!.length, after!.length); at += 1) {
      const [was, is] = [before![at], after![at]];
      if (textOf(was, times) === textOf(is, times)) continue;
      const width = Math.max(...names.map((name) => name.length));
      const line = (name: string, record: LoggedRecord | undefined): string =>
        `\n  ${name.padEnd(width)} ${shown(topology, record)}`;
      const place = comparison === 'order' ? `record ${at + 1} of a key` : 'a record';
      return `${topic}, ${place}:${line(names[0], was)}${line(names[1], is)}`;
    }
  }
  return null;
}

function groups(
  records: readonly LoggedRecord[],
  comparison: Comparison,
): ReadonlyMap<string, LoggedRecord[]> {
  const found = new Map<string, LoggedRecord[]>();
  for (const record of records) {
    if (record.task === null) continue;
    const key = record.key?.toString('hex') ?? 'null';
    const before = comparison === 'latest' && key !== 'null' ? [] : (found.get(key) ?? []);
    found.set(key, [...before, record]);
  }
  return found;
}

function sorted(records: readonly LoggedRecord[]): LoggedRecord[] {
  const texts = new Map(records.map((record) => [record, textOf(record, 'count')]));
  return [...records].sort((one, other) => (texts.get(one)! < texts.get(other)! ? -1 : 1));
}

function textOf(record: LoggedRecord | undefined, times: Compared['times']): string {
  if (record === undefined) return 'none';
  const { value, timestampMs } = record;
  return `${value?.toString('hex') ?? 'null'}${times === 'count' ? ` ${timestampMs}` : ''}`;
}
