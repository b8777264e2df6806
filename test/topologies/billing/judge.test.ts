/** What the judge of a billing run waits for, and what it does not forgive. */
import { expect, onTestFinished, test } from 'vitest';
import { systemPorts } from '../../../src/ports.ts';
import { PARTITIONS, TOPICS } from '../../../topologies/billing/cluster.ts';
import { compare, judge } from '../../../topologies/billing/judge.ts';
import { Client } from '../../broker/client.ts';
import { startEmbedded } from '../../integration/embedded.ts';

const NOTHING = {
  total: 0,
  events: 0,
  rejected: 0,
  latest: 0,
  async *read() {},
};

test('a marker that comes after the offsets is waited for', async () => {
  const { broker, bootstrap, close } = await startEmbedded();
  onTestFinished(close);
  const client = new Client(broker);
  for (const topic of TOPICS) client.createTopic(topic, PARTITIONS);
  const producer = client.init('killed', undefined, 60_000);
  client.addPartitions('killed', producer, 'usage-late', [0]);
  client.produceIn('killed', producer, 'usage-late', 0, { values: ['x'], sequence: 0 });
  const order: string[] = [];
  const judging = judge(bootstrap, NOTHING).finally(() => order.push('judged'));
  await systemPorts.timers.sleep(500);
  client.end('killed', producer, 'abort');
  order.push('ended');
  expect(await judging).toMatchObject({ lost: 0, duplicated: 0, wrong: 0, late: 0 });
  expect(order).toEqual(['ended', 'judged']);
});

test('what is missing, there twice, or other than expected is counted as that', () => {
  const entry = (id: string, content = id) => ({ id, content });
  const found = [entry('a'), entry('a'), entry('b', 'other'), entry('d')];
  expect(compare([entry('a'), entry('b'), entry('c')], found)).toEqual({
    lost: 1,
    duplicated: 1,
    wrong: 2,
  });
});
