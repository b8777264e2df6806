/** A model of a topology: a plain function from all of its input records to what it leaves. */

import type { Serde } from '../serde/serde.ts';
import { isSame } from '../testing/same-value.ts';
import { decoded, prepared } from '../testing/serde-bytes.ts';
import type { LoggedRecord } from '../testing/topic-logs.ts';
import type { SinkNode } from '../topology/node.ts';
import type { Played } from './played.ts';
import { said } from './watched-serdes.ts';

/**
 * What an output topic holds. A `Map`: the last value of every key. An array: every record, those of
 * one key in their order.
 */
export type Expected = ReadonlyMap<unknown, unknown> | readonly (readonly [unknown, unknown])[];

interface Row {
  readonly key: unknown;
  readonly values: readonly unknown[];
}

/** The first difference in words, or null. */
export async function modelDifference(
  run: Played,
  expected: Readonly<Record<string, Expected>>,
): Promise<string | null> {
  for (const [topic, wanted] of Object.entries(expected)) {
    const isTable = wanted instanceof Map;
    const rows = rowsOf([...(wanted as Iterable<readonly [unknown, unknown]>)], isTable);
    const found = rowsOf(await recordsOf(run, topic), isTable);
    const keys = [...rows, ...found].map(({ key }) => key);
    for (const key of keys) {
      const [model, stream] = [rows, found].map((all) => valuesOf(all, key));
      if (isSame(model, stream)) continue;
      const show = (values: readonly unknown[]): string =>
        values.length === 0 ? 'nothing' : values.map(said).join(', ');
      return `${topic}, key ${said(key)}:\n  the model  ${show(model!)}\n  the stream ${show(stream!)}`;
    }
  }
  return null;
}

async function recordsOf(run: Played, topic: string): Promise<(readonly [unknown, unknown])[]> {
  const sink = run.topology.nodes.find(
    (node): node is SinkNode => node.kind === 'sink' && node.topic === topic,
  );
  if (sink === undefined) return [];
  const [key, value] = [sink.key, sink.value] as Serde<unknown>[];
  const records: readonly LoggedRecord[] = run.logs.records(topic);
  await prepared({ key: key!, value: value! }, records);
  return records.map((each) => [decoded(key!, each.key), decoded(value!, each.value)]);
}

function rowsOf(entries: readonly (readonly [unknown, unknown])[], isTable: boolean): Row[] {
  const rows: Row[] = [];
  for (const [key, value] of entries) {
    const at = rows.findIndex((row) => isSame(row.key, key));
    const before = at < 0 || isTable ? [] : rows[at]!.values;
    const row = { key, values: [...before, value] };
    if (at < 0) rows.push(row);
    else rows[at] = row;
  }
  return rows;
}

function valuesOf(rows: readonly Row[], key: unknown): readonly unknown[] {
  return rows.find((row) => isSame(row.key, key))?.values ?? [];
}
