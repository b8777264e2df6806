import { beforeEach, describe, expect, it } from 'vitest';
import type { EscapementError } from '../../../src/errors.ts';
import { checkBatchLimits, topicSettings } from '../../../src/kafka/admin/topic-settings.ts';
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
    expect(topics.get('totals')).toEqual({ partitions: 3, leaders: [0, 0, 0], replicas: 1 });
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

  it('are refused when they keep too little, rewrite times or need more copies than there are', async () => {
    const needed = {
      ...{ 'retention.ms': '86400000', 'message.timestamp.type': 'CreateTime' },
      'min.insync.replicas': '1',
    };
    const spec = (configs: Record<string, string>) => ({ ...ORDERS, configs });
    reading.client.createTopic('orders', 3, { 'retention.ms': '1000', 'min.insync.replicas': '2' });
    const error = await failure(ensureTopics(reading.cluster, [spec(needed)]));
    expect(error.code).toBe('TOPIC_MISMATCH');
    expect(error.message).toContain("'orders' has retention.ms '1000', needed is '86400000'");
    expect(error.message).toContain(
      "min.insync.replicas '2', and its replication factor is 1: nothing could",
    );
    // Longer is no difference, and neither is for ever.
    for (const retention of ['86400001', '-1']) {
      const topic = {
        ...ORDERS,
        name: `kept-${retention}`,
        configs: { 'retention.ms': retention },
      };
      await ensureTopics(reading.cluster, [topic]);
      await ensureTopics(reading.cluster, [{ ...topic, configs: needed }]);
    }
    const forEver = { ...ORDERS, name: 'kept-86400001', configs: { 'retention.ms': '-1' } };
    expect((await failure(ensureTopics(reading.cluster, [forEver]))).code).toBe('TOPIC_MISMATCH');
  });

  it('are made without settings that the broker does not know, and only without those', async () => {
    const optionalConfigs = { 'a.setting.of.tomorrow': '1' };
    await ensureTopics(reading.cluster, [{ ...TOTALS, optionalConfigs }]);
    const settings = await topicSettings(reading.cluster, ['totals'], ['cleanup.policy']);
    expect(settings.get('totals')?.get('cleanup.policy')).toBe('compact');
    const wrong = { ...ORDERS, configs: { 'cleanup.policy': 'burn' }, optionalConfigs };
    const error = await failure(ensureTopics(reading.cluster, [wrong]));
    expect(error.message).toContain("CreateTopics of 'orders'");
    expect(error.message).toContain('INVALID_CONFIG');
  });

  it('that take smaller batches than may be sent are refused, all in one message', async () => {
    const sized = (name: string, bytes: number) => ({
      ...ORDERS,
      name,
      configs: { 'max.message.bytes': String(bytes) },
    });
    await ensureTopics(reading.cluster, [
      sized('small', 9_999),
      sized('tiny', 99),
      sized('big', 20_000),
    ]);
    const check = (recordBytesMax: number, batchBytesMax: number) =>
      checkBatchLimits(reading.cluster, ['small', 'tiny', 'big'], {
        recordBytesMax,
        batchBytesMax,
      });
    const error = await failure(check(1_000, 16_000));
    expect(error.code).toBe('TOPIC_MISMATCH');
    expect(error.message).toMatch(/'small' has max\.message\.bytes '9999', batchBytesMax asks for/);
    expect(error.message).toMatch(/'tiny' has max\.message\.bytes '99', batchBytesMax asks for/);
    expect(error.message).not.toContain("'big'");
    expect((await failure(check(30_000, 16_000))).message).toMatch(
      /'big' .* recordBytesMax asks for/,
    );
    await checkBatchLimits(reading.cluster, ['big'], {
      recordBytesMax: 9_000,
      batchBytesMax: 16_000,
    });
  });

  it('have a cleanup.policy whose order does not matter', async () => {
    const policy = (value: string) => ({ ...TOTALS, configs: { 'cleanup.policy': value } });
    await ensureTopics(reading.cluster, [policy('compact,delete')]);
    await ensureTopics(reading.cluster, [policy('delete, compact')]);
  });

  it('are deleted, missing ones passed over', async () => {
    await ensureTopics(reading.cluster, [ORDERS]);
    await deleteTopics(reading.cluster, ['orders', 'nowhere']);
    expect((await reading.cluster.topics(['orders'])).size).toBe(0);
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
