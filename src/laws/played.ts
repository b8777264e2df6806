/** Records of a case driven through a topology: what they leave in its topics. */

import { topicsOfUser } from '../runtime/application-plan.ts';
import type { Serde } from '../serde/serde.ts';
import { applicationOf, type Driven, drivenOf } from '../testing/driven.ts';
import { EACH_RECORD, type Pattern } from '../testing/patterns.ts';
import { type Deed, Replay } from '../testing/replay.ts';
import { encoded, partitionOfKey } from '../testing/serde-bytes.ts';
import type { TopicLogs } from '../testing/topic-logs.ts';
import type { SourceNode, Topology } from '../topology/node.ts';
import type { CaseRecord } from './law-case.ts';

export interface Play {
  /** Makes the topology: once for each process. */
  readonly topology: () => Topology;
  readonly records: readonly CaseRecord[];
  readonly partitions: number;
  /** Default: a commit behind every record. */
  readonly pattern?: Pattern;
  /** `each`: one record is done before the next one comes. `all` (default): they come at once. */
  readonly pace?: 'each' | 'all';
}

export interface Played {
  readonly topology: Topology;
  readonly logs: TopicLogs;
  readonly repartitionTopics: readonly string[];
  readonly changelogs: readonly string[];
}

/** Rejects with what stops a task. */
export async function played(play: Play): Promise<Played> {
  const { topology: made, records, pattern = EACH_RECORD, pace = 'all' } = play;
  const topology = made();
  const topics = [...topicsOfUser(topology)];
  const partitions = Object.fromEntries(topics.map((topic) => [topic, play.partitions]));
  const driven = await drivenOf({ topology: () => topology, partitions });
  const restart = () => applicationOf({ topology: made, partitions });
  const { drive, time, application } = driven;
  const deeds: Deed[] = [];
  for (const record of records) {
    deeds.push(await pipe(driven, record));
    if (pace === 'each') deeds.push({ kind: 'idle' });
  }
  await new Replay({ drive, time, pattern, restart }).run(deeds);
  const changelogs = application.tasks.flatMap((task) => task.changelogs);
  return {
    topology,
    logs: drive.logs,
    repartitionTopics: [...application.repartitionTopics],
    changelogs: [...new Set(changelogs.map(({ topic }) => topic))],
  };
}

async function pipe({ topology, application }: Driven, record: CaseRecord): Promise<Deed> {
  const { topic, timestampMs, spread } = record;
  const source = topology.nodes.find(
    (node): node is SourceNode =>
      node.kind === 'source' && node.repartition === null && node.topic === topic,
  )!;
  const [keys, values] = [source.key, source.value] as Serde<unknown>[];
  await keys!.schemas?.start();
  await values!.schemas?.start();
  const count = application.names.partitions(topic);
  const key = encoded(keys!, record.key);
  const partition = key === null ? spread % count : partitionOfKey(keys!, key, count);
  const bytes = { key, value: encoded(values!, record.value) };
  const place = { topic, partition, timestampMs, headers: [], task: null };
  return { kind: 'pipe', record: { ...bytes, ...place } };
}
