/** The launcher's dealings with a broker: what an interrupted run must not leave behind. */
import { expect, onTestFinished, test } from 'vitest';
import { BillingCluster, INPUT, PARTITIONS } from '../../../topologies/billing/cluster.ts';
import { startEmbedded } from '../../integration/embedded.ts';

test('nothing is written from the deletion of the topics until they are there again', async () => {
  const { broker, bootstrap, close } = await startEmbedded();
  const cluster = new BillingCluster(bootstrap);
  onTestFinished(async () => {
    await cluster.close();
    await close();
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
  await cluster.prepareTopics();
  await cluster.write(records.slice(0, 1));
});
