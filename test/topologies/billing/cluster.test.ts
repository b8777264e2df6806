/** The launcher's dealings with a broker: what an interrupted run must not leave behind. */
import { expect, onTestFinished, test } from 'vitest';
import { Broker } from '../../../src/broker/broker.ts';
import { listen } from '../../../src/broker/tcp.ts';
import { systemPorts } from '../../../src/ports.ts';
import { BillingCluster, INPUT, PARTITIONS } from '../../../topologies/billing/cluster.ts';

test('nothing is written any more once the topics are being deleted', async () => {
  const broker = new Broker({ ports: systemPorts });
  const listener = await listen(broker, { host: '127.0.0.1', port: 0 });
  const cluster = new BillingCluster(`127.0.0.1:${listener.port}`);
  onTestFinished(async () => {
    await cluster.close();
    await listener.close();
    broker.close();
  });
  await cluster.connect();
  await cluster.prepareTopics();
  // More than is sent at once, of each partition.
  const records = Array.from({ length: 30_000 }, (_, n) => ({
    partition: n % PARTITIONS,
    key: null,
    value: Buffer.from('x'),
    timestamp: 1,
  }));
  const writing = cluster.write(records);
  writing.catch(() => {});
  await cluster.removeAll([]);
  expect(broker.topics.find(INPUT)).toBeUndefined();
  await expect(writing).rejects.toThrow('the topics of the run are being deleted');
});
