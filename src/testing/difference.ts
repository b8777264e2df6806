/** The first record in which a replay differs from what the test saw, in words. */
import type { Serde } from '../serde/serde.ts';
import type { Topology } from '../topology/node.ts';
import { decoded } from './serde-bytes.ts';
import type { LoggedRecord, TopicLogs } from './topic-logs.ts';

export interface Compared {
  readonly topology: Topology;
  /** Topics that are written record by record. */
  readonly topics: readonly string[];
  /** Of these the last value per key counts. */
  readonly changelogs: readonly string[];
}

/** Null when nothing differs. */
export function difference(
  { topology, topics, changelogs }: Compared,
  expected: TopicLogs,
  found: TopicLogs,
): string | null {
  const show = (record: LoggedRecord | undefined): string => shown(topology, record);
  for (const topic of topics) {
    const [wanted, got] = [expected, found].map((logs) => byWriter(logs.records(topic)));
    for (const writer of new Set([...wanted!.keys(), ...got!.keys()])) {
      const [before, now] = [wanted!.get(writer) ?? [], got!.get(writer) ?? []];
      for (let at = 0; at < Math.max(before.length, now.length); at += 1) {
        if (same(before[at], now[at])) continue;
        const place = `${topic}-${(before[at] ?? now[at])!.partition}, record ${at + 1} of task ${writer.split(' ')[0]}`;
        return `${place}:\n  the test saw ${show(before[at])}\n  the replay   ${show(now[at])}`;
      }
    }
  }
  for (const topic of changelogs) {
    const [wanted, got] = [expected, found].map((logs) => lastByKey(logs.records(topic)));
    for (const key of new Set([...wanted!.keys(), ...got!.keys()])) {
      const [before, now] = [wanted!.get(key), got!.get(key)];
      if (same(before, now)) continue;
      return `the state in ${topic}:\n  the test left ${show(before)}\n  the replay    ${show(now)}`;
    }
  }
  return null;
}

/** Records by the task that wrote them and their partition: their order is promised. */
function byWriter(records: readonly LoggedRecord[]): Map<string, LoggedRecord[]> {
  const groups = new Map<string, LoggedRecord[]>();
  for (const record of records) {
    if (record.task === null) continue;
    const name = `${record.task} ${record.partition}`;
    const group = groups.get(name) ?? [];
    groups.set(name, group);
    group.push(record);
  }
  return groups;
}

function lastByKey(records: readonly LoggedRecord[]): Map<string, LoggedRecord> {
  return new Map(
    records.map((record) => [`${record.partition} ${record.key?.toString('hex')}`, record]),
  );
}

function same(one: LoggedRecord | undefined, other: LoggedRecord | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  const headers = (record: LoggedRecord): string =>
    record.headers.map(({ key, value }) => `${key}=${value?.toString('hex')}`).join(' ');
  return (
    one.key?.toString('hex') === other.key?.toString('hex') &&
    one.value?.toString('hex') === other.value?.toString('hex') &&
    one.timestampMs === other.timestampMs &&
    headers(one) === headers(other)
  );
}

/** A record by the serdes of the node that writes it, else in hexadecimal. */
export function shown(topology: Topology, record: LoggedRecord | undefined): string {
  if (record === undefined) return 'no record';
  const { topic, key, value, timestampMs } = record;
  const node = topology.nodes.find(
    (each) =>
      (each.kind === 'sink' && each.topic === topic) ||
      (each.kind === 'repartition' && topic.endsWith(`-${each.name}-repartition`)) ||
      (each.kind === 'aggregate' && topic.endsWith(`-${each.store}-changelog`)),
  );
  const [keys, values] = node !== undefined && 'key' in node ? [node.key, node.value] : [];
  const text = `${readable(keys, key)} = ${readable(values, value)}`;
  return `${text}, time ${timestampMs}`;
}

function readable(serde: unknown, bytes: Buffer | null): string {
  if (bytes === null) return 'null';
  try {
    const value = decoded(serde as Serde<unknown>, bytes);
    return JSON.stringify(value, (_name, each) => (typeof each === 'bigint' ? `${each}n` : each));
  } catch {
    return `0x${bytes.toString('hex')}`;
  }
}
