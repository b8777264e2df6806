import { beforeEach, describe, expect, it } from 'vitest';
import type { EscapementError } from '../../../src/errors.ts';
import {
  deleteGroup,
  deleteRecords,
  deleteTopics,
  ensureTopics,
  listOffsets,
} from '../../../src/kafka/admin/topics.ts';
import { endOffsets } from '../../../src/kafka/fetch/end-offsets.ts';
import { createTopics } from '../../../src/kafka/protocol/create-topics.ts';
import { planOf } from '../../../src/kafka/transport/faulty.ts';
import { Reading } from '../fetch/reading.ts';

const ORDERS = { name: 'orders', partitions: 3, configs: { 'cleanup.policy': 'delete' } };
const TOTALS = { name: 'totals', partitions: 3, configs: { 'cleanup.policy': 'compact' } };

const failure = (work: Promise<unknown>): Promise<EscapementError> =>
  work.then(
    () => expect.fail('it succeeded'),
    (error: unknown) => error as EscapementError,
  );

describe('topics', () => {
  let reading: Reading;
  beforeEach(() => {
    reading = new Reading();
  });

  it('are created when they are missing, and have leaders then', async () => {
    await ensureTopics(reading.cluster, [ORDERS, TOTALS]);
    const topics = await reading.cluster.topics(['orders', 'totals']);
    expect(topics.get('totals')).toEqual({ partitions: 3, leaders: [0, 0, 0] });
    expect(await reading.cluster.leaderOf('orders', 2)).toBe(0);
  });

  it('are left alone when they are as needed', async () => {
    await ensureTopics(reading.cluster, [ORDERS, TOTALS]);
    await ensureTopics(reading.cluster, [ORDERS, TOTALS]);
    expect(reading.transport.count(createTopics.key)).toBe(1);
  });

  it('may be created by two instances at once', async () => {
    await Promise.all([1, 2].map(() => ensureTopics(reading.cluster, [ORDERS, TOTALS])));
    expect((await reading.cluster.topics(['orders', 'totals'])).size).toBe(2);
  });

  it('are created although the first answer is lost', async () => {
    const lost = { outcome: 'lose-reply', at: 'after-reply' } as const;
    reading.transport.setPlan(planOf([{ ...lost, apiKey: createTopics.key, ordinal: 1 }]));
    await ensureTopics(reading.cluster, [ORDERS]);
    expect(reading.transport.struck.length).toBe(1);
    expect((await reading.cluster.topics(['orders'])).size).toBe(1);
  });

  it('are refused with every difference in one message', async () => {
    await ensureTopics(reading.cluster, [ORDERS, TOTALS]);
    const error = await failure(
      ensureTopics(reading.cluster, [
        { ...ORDERS, partitions: 4 },
        { ...TOTALS, partitions: 1, configs: { 'cleanup.policy': 'compact,delete' } },
      ]),
    );
    expect(error.code).toBe('TOPIC_MISMATCH');
    expect(error.message).toContain("'orders' has 3 partitions, needed are 4");
    expect(error.message).toContain("'totals' has 3 partitions, needed are 1");
    expect(error.message).toContain(
      "'totals' has cleanup.policy 'compact', needed is 'compact,delete'",
    );
  });

  it('have a cleanup.policy whose order does not matter', async () => {
    const policy = (value: string) => ({ ...TOTALS, configs: { 'cleanup.policy': value } });
    await ensureTopics(reading.cluster, [policy('compact,delete')]);
    await ensureTopics(reading.cluster, [policy('delete, compact')]);
  });

  it('are deleted, missing ones passed over', async () => {
    await ensureTopics(reading.cluster, [ORDERS]);
    await deleteTopics(reading.cluster, ['orders', 'nowhere']);
    await expect.poll(async () => (await reading.cluster.topics(['orders'])).size).toBe(0);
  });

  it('lose the records before an offset', async () => {
    await ensureTopics(reading.cluster, [ORDERS]);
    reading.write('orders', 1, 'a', 'b', 'c');
    await deleteRecords(reading.cluster, [{ topic: 'orders', partition: 1, offset: 2 }]);
    expect(await listOffsets(reading.cluster, 'orders', 1, 'earliest')).toBe(2);
    expect(await listOffsets(reading.cluster, 'orders', 1, 'latest')).toBe(3);
    expect((await endOffsets(reading.cluster, 'orders', 1)).logStartOffset).toBe(2);
  });

  it('refuse to be cut beyond their end', async () => {
    await ensureTopics(reading.cluster, [ORDERS]);
    const cut = { topic: 'orders', partition: 1, offset: 9 };
    expect((await failure(deleteRecords(reading.cluster, [cut]))).code).toBe('OFFSET_OUT_OF_RANGE');
  });
});

describe('a group', () => {
  it('that does not exist is deleted without complaint', async () => {
    await deleteGroup(new Reading().cluster, 'nobody');
  });
});
