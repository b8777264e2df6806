/**
 * What a consumer sees of a partition, the slow way: fetched from the start in both isolation
 * levels; aborted records are dropped by the broker's list and the markers, nothing else.
 */
import type { ReadBatch } from '../broker/batch.ts';
import type { Client, Isolation } from './client.ts';

export interface Seen {
  readonly offset: number;
  readonly value: string;
}

export interface Reading {
  readonly records: readonly Seen[];
  readonly batches: readonly ReadBatch[];
  readonly aborted: readonly { readonly producerId: number; readonly firstOffset: number }[];
  readonly highWatermark: number;
  readonly lastStableOffset: number;
}

export async function readAll(
  client: Client,
  topic: string,
  isolation: Isolation,
  partition = 0,
  from = 0,
): Promise<Reading> {
  const batches: ReadBatch[] = [];
  const aborted: Reading['aborted'][number][] = [];
  for (let position = from; ; ) {
    const got = await client.fetch(topic, partition, position, { isolation });
    if (got.error !== 'NONE') throw new Error(`Fetch of ${topic}-${partition}: ${got.error}`);
    const { highWatermark, lastStableOffset } = got;
    for (const entry of got.aborted ?? []) {
      const known = aborted.some(
        (each) => each.producerId === entry.producerId && each.firstOffset === entry.firstOffset,
      );
      if (!known) aborted.push(entry);
    }
    if (got.batches.length === 0) {
      const records = visible(batches, aborted);
      return { records, batches, aborted, highWatermark, lastStableOffset };
    }
    batches.push(...got.batches);
    const last = got.batches.at(-1)!;
    position = last.baseOffset + Math.max(1, last.values.length);
  }
}

export async function valuesOf(
  client: Client,
  topic: string,
  isolation: Isolation = 'read_committed',
  partition = 0,
): Promise<string[]> {
  const { records } = await readAll(client, topic, isolation, partition);
  return records.map(({ value }) => value);
}

function visible(batches: readonly ReadBatch[], aborted: Reading['aborted']): Seen[] {
  const records: Seen[] = [];
  const due = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset);
  const aborting = new Set<number>();
  for (const batch of batches) {
    while (due.length > 0 && due[0]!.firstOffset <= batch.baseOffset) {
      aborting.add(due.shift()!.producerId);
    }
    if (batch.kind === 'abort') aborting.delete(batch.producerId);
    if (batch.kind !== 'data' || aborting.has(batch.producerId)) continue;
    for (const [index, value] of batch.values.entries()) {
      records.push({ offset: batch.baseOffset + index, value });
    }
  }
  return records;
}
