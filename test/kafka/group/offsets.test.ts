import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { commitOffsets, fetchOffsets } from '../../../src/kafka/group/offsets.ts';
import { offsetFetch } from '../../../src/kafka/protocol/offset-fetch.ts';
import { planOf } from '../../../src/kafka/transport/faulty.ts';
import { failure, output, session, step } from '../producer/steps.ts';
import { Stage, shared } from './members.ts';

let stage: Stage;

beforeEach(() => {
  stage = new Stage();
  stage.over.client.createTopic('usage');
  stage.over.client.createTopic('invoices');
});

afterEach(() => stage.close());

const USAGE = { topic: 'usage', partition: 0 };
const NOBODY = { groupId: 'other', generation: -1, memberId: '', instanceId: null };

describe('committed offsets', () => {
  test('come in the order asked, -1 where none is committed', async () => {
    const { cluster } = stage.over.process();
    const orders = (partition: number) => ({ topic: 'orders', partition });
    await commitOffsets(cluster, NOBODY, [
      { ...orders(2), offset: 12, metadata: 'two' },
      { ...USAGE, offset: 5, metadata: '' },
    ]);
    expect(await fetchOffsets(cluster, 'other', [orders(1), USAGE, orders(2)])).toEqual([
      { ...orders(1), offset: -1, metadata: '' },
      { ...USAGE, offset: 5, metadata: '' },
      { ...orders(2), offset: 12, metadata: 'two' },
    ]);
  });

  test('are waited for while a transaction holds them', async () => {
    const { client } = stage.over;
    const { cluster, transport } = stage.over.process();
    const producer = client.init('holder');
    client.addOffsets('holder', producer, 'other');
    expect(client.txnOffsetCommit('holder', producer, 'other', 7, { topic: 'usage' })).toBe(0);
    let found: unknown = null;
    const fetching = fetchOffsets(cluster, 'other', [USAGE]).then((offsets) => {
      found = offsets;
    });
    await stage.over.time.until(
      () => transport.count(offsetFetch.key) > 1,
      () => 'the offsets are not asked for again',
    );
    expect(found).toBeNull();
    client.end('holder', producer, 'commit');
    await fetching;
    expect(found).toEqual([{ ...USAGE, offset: 7, metadata: '' }]);
  });

  test('are asked for again when an answer is lost', async () => {
    const plan = planOf([
      { apiKey: offsetFetch.key, ordinal: 1, outcome: 'lose-reply', at: 'after-reply' },
    ]);
    const { cluster } = stage.over.process(plan);
    expect(await fetchOffsets(cluster, 'other', [USAGE])).toEqual([
      { ...USAGE, offset: -1, metadata: '' },
    ]);
  });

  test('that a member commits under a foreign generation are refused', async () => {
    const a = await stage.joined({ name: 'a' });
    const { memberId, instanceId } = await a.member.membership();
    const stale = { groupId: 'billing', generation: 9, memberId, instanceId };
    const error = await failure(
      commitOffsets(a.cluster, stale, [{ ...USAGE, offset: 1, metadata: '' }]),
    );
    expect(error.message).toContain('ILLEGAL_GENERATION');
  });
});

describe('a step of a member', () => {
  const outputs = () => [output('invoices', 0, ['a'])];

  test('is committed in the generation that a rebalance has just begun', async () => {
    const a = await stage.joined({ name: 'a' });
    const producer = session(a.cluster, { ports: stage.over.ports });
    await producer.init();
    await producer.commit(step(outputs(), 1, () => a.member.membership()));
    const b = await stage.joined({ name: 'b' });
    await shared([2, 2], [a, b]);
    await producer.commit(step(outputs(), 2, () => a.member.membership()));
    const [found] = await fetchOffsets(a.cluster, 'billing', [USAGE]);
    expect(found).toMatchObject({ offset: 2, metadata: 'step-2' });
  });

  test('is undone under a generation that has passed', async () => {
    const a = await stage.joined({ name: 'a' });
    const passed = await a.member.membership();
    await shared([2, 2], [a, await stage.joined({ name: 'b' })]);
    const producer = session(a.cluster, { ports: stage.over.ports });
    await producer.init();
    const error = await failure(producer.commit(step(outputs(), 1, async () => passed)));
    expect(error.decision).toBe('abort');
    await producer.abort();
    await producer.commit(step(outputs(), 1, () => a.member.membership()));
    expect(await fetchOffsets(a.cluster, 'billing', [USAGE])).toMatchObject([{ offset: 1 }]);
  });

  test('is lost with the membership', async () => {
    const a = await stage.joined({ name: 'a' });
    const gone = { ...(await a.member.membership()), memberId: 'gone' };
    const producer = session(a.cluster, { ports: stage.over.ports });
    await producer.init();
    const error = await failure(producer.commit(step(outputs(), 1, async () => gone)));
    expect(error.decision).toBe('lost');
  });

  test('of a process whose instance id was taken stops the instance', async () => {
    const old = await stage.joined({
      name: 'old',
      instanceId: 'i-a',
      heartbeatIntervalMs: 10_000,
      sessionTimeoutMs: 20_000,
    });
    const producer = session(old.cluster, { ports: stage.over.ports });
    await producer.init();
    await stage.joined({ name: 'young', instanceId: 'i-a' });
    const membership = () => old.member.membership();
    const error = await failure(producer.commit(step(outputs(), 1, membership)));
    expect([error.decision, error.code]).toEqual(['stop', 'INSTANCE_FENCED']);
  });
});
