/** Compaction: on request in the embedded broker, by the cleaner's own will in Kafka. */
import { expect } from 'vitest';
import { fact } from '../case.ts';
import { readAll, valuesOf } from '../reader.ts';
import { pause, type Stage, type TransactionalProducer } from '../stage.ts';

const SETTINGS = {
  'cleanup.policy': 'compact',
  'segment.ms': '100',
  'min.cleanable.dirty.ratio': '0.01',
  'max.compaction.lag.ms': '200',
};
/** The cleaner comes by itself, and has other topics to look after. */
const ROUNDS_MAX = 600;
/** A transaction that is open while the cleaner is waited for. */
const OPEN_MS_MAX = 600_000;
const ROUND_MS = 120;

async function keyed(stage: Stage, topic: string, key: string, value: string): Promise<void> {
  const { error } = await stage.client.produce(topic, 0, { values: [value], key });
  expect(error).toBe('NONE');
}

async function keyedIn(
  stage: Stage,
  producer: TransactionalProducer,
  topic: string,
  entry: { readonly key: string; readonly value: string; readonly sequence: number },
): Promise<void> {
  const { transactionalId, producerId, producerEpoch: epoch } = producer;
  const { key, value, sequence } = entry;
  expect(await producer.add(topic)).toBe('NONE');
  const records = { values: [value], key, sequence, producerId, epoch } as const;
  const got = await stage.client.produce(
    topic,
    0,
    { ...records, transactional: 'transactional' },
    { transactionalId },
  );
  expect(got.error).toBe('NONE');
}

/** Appends under other keys, so that segments roll, and cleans until none of `gone` is left. */
async function compacted(stage: Stage, topic: string, gone: readonly string[]): Promise<void> {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    await keyed(stage, topic, `filler-${round}`, 'filler');
    stage.target.clean(topic);
    const values = await valuesOf(stage.client, topic, 'read_uncommitted');
    if (!gone.some((value) => values.includes(value))) return;
    await pause(ROUND_MS);
  }
  throw new Error(`${gone.join(', ')} are still there after ${ROUNDS_MAX} rounds`);
}

const others = (values: readonly string[]) => values.filter((value) => value !== 'filler');

export const COMPACTION = [
  fact('compaction keeps the last value of each key, at its offset', async (stage) => {
    const topic = await stage.topic(1, SETTINGS);
    for (const value of ['a1', 'b1', 'a2', 'c1', 'a3']) {
      await keyed(stage, topic, value[0]!, value);
    }
    await compacted(stage, topic, ['a1', 'a2']);
    const { records } = await readAll(stage.client, topic, 'read_committed');
    expect(records.filter(({ value }) => value !== 'filler')).toEqual([
      { offset: 1, value: 'b1' },
      { offset: 3, value: 'c1' },
      { offset: 4, value: 'a3' },
    ]);
    const { batches } = await stage.client.fetch(topic, 0, 0);
    expect(batches[0]!.values).toEqual(['b1']);
    expect((await stage.client.listOffset(topic, 0, { timestamp: -2 })).offset).toBe(0);
  }),
  fact('compaction drops aborted records and keeps the value before them', async (stage) => {
    const topic = await stage.topic(1, SETTINGS);
    const producer = await stage.producer();
    await keyedIn(stage, producer, topic, { key: 'a', value: 'a1', sequence: 0 });
    await producer.finish('commit');
    await keyedIn(stage, producer, topic, { key: 'b', value: 'b1', sequence: 1 });
    await producer.finish('commit');
    await keyedIn(stage, producer, topic, { key: 'b', value: 'b2', sequence: 2 });
    await producer.finish('commit');
    await keyedIn(stage, producer, topic, { key: 'a', value: 'a2', sequence: 3 });
    await producer.finish('abort');
    await compacted(stage, topic, ['a2', 'b1']);
    expect(others(await valuesOf(stage.client, topic))).toEqual(['a1', 'b2']);
  }),
  fact('compaction does not look beyond the last stable offset', async (stage) => {
    const topic = await stage.topic(1, SETTINGS);
    await keyed(stage, topic, 'a', 'a1');
    await keyed(stage, topic, 'b', 'b1');
    await keyed(stage, topic, 'b', 'b2');
    // Kafka compacts whole segments: the open transaction must begin a new one.
    await pause(200);
    const producer = await stage.producer({ timeoutMs: OPEN_MS_MAX });
    await keyedIn(stage, producer, topic, { key: 'open', value: 'open', sequence: 0 });
    await keyed(stage, topic, 'a', 'a2');
    await compacted(stage, topic, ['b1']);
    const values = others(await valuesOf(stage.client, topic, 'read_uncommitted'));
    expect(values).toEqual(['a1', 'b2', 'open', 'a2']);
    await producer.finish('commit');
    await compacted(stage, topic, ['a1']);
    expect(others(await valuesOf(stage.client, topic))).toEqual(['b2', 'open', 'a2']);
  }),
];
