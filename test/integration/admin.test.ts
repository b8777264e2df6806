/** The admin on real brokers of its own, which take batches that hang, and what topics are made like. */
import { expect, test } from 'vitest';
import { count, long, repartition, run, selectKey, string, to, topology } from '../../src/index.ts';
import { topicSettings } from '../../src/kafka/admin/topic-settings.ts';
import { deleteGroup, deleteTopics } from '../../src/kafka/admin/topics.ts';
import { Cluster } from '../../src/kafka/cluster/cluster.ts';
import { kafkajsTransport } from '../../src/kafka/transport/kafkajs.ts';
import { systemPorts } from '../../src/ports.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { readTopic } from '../../topologies/billing/raw-log.ts';
import { adminBehaviour } from '../kafka/admin/admin-behaviour.ts';
import { createTopics } from '../topics.ts';
import { startKafka } from './real/kafka.ts';
import { describeReal } from './real/parts.ts';
import { writeRows } from './real/producer.ts';
import { sharedKafka } from './real/shared.ts';

for (const version of ['3.3.2', '3.9.1', '4.3.1'] as const) {
  describeReal('admin', () => {
    adminBehaviour(`Kafka ${version}`, async () => {
      const kafka = await startKafka({
        version,
        settings: { 'transaction.partition.verification.enable': 'false' },
      });
      return {
        transport: () =>
          kafkajsTransport({ brokers: [kafka.bootstrap] }, { ports: systemPorts, log: silentLog }),
        hangs: 'without-verification',
        close: () => kafka.stop(),
      };
    });
  });
}

for (const version of ['3.3.2', '3.9.1', '4.3.1'] as const) {
  describeReal(`internal topics on Kafka ${version}`, () => {
    test('take events of the far future, and have the settings that were asked for', async () => {
      const { bootstrap } = await sharedKafka(version);
      const applicationId = `future-${process.pid}`;
      const [input, output] = [`${applicationId}-in`, `${applicationId}-out`];
      const anyTime = [{ name: 'message.timestamp.after.max.ms', value: String(2n ** 63n - 1n) }];
      const configEntries = version === '3.3.2' ? [] : anyTime;
      await createTopics(
        bootstrap,
        [input, output].map((topic) => ({ topic, numPartitions: 1, configEntries })),
      );
      const far = Date.now() + 3_650 * 86_400_000;
      await writeRows(bootstrap, input, [['k', 'word']], { timestamp: far });
      const app = topology('future');
      app.stream(input, { key: string(), value: string() }).pipe(
        selectKey((record) => record.value),
        repartition({ name: 'by-word', key: string(), value: string() }),
        count({ name: 'counts', key: string() }),
        to(output, { key: string(), value: long() }),
      );
      const kafka = { brokers: [bootstrap] };
      const application = await run(app, {
        applicationId,
        kafka,
        signals: 'ignore',
        minInsyncReplicas: 1,
      });
      const written = async () => (await readTopic(bootstrap, output))[0]!.committed;
      await expect.poll(async () => (await written()).length, { timeout: 60_000 }).toBe(1);
      expect((await written())[0]).toMatchObject({ key: Buffer.from('word') });
      await application.stop();

      const transport = kafkajsTransport(kafka, { ports: systemPorts, log: silentLog });
      const cluster = new Cluster({ transport, ports: systemPorts, log: silentLog });
      await cluster.start();
      const topics = [`${applicationId}-counts-changelog`, `${applicationId}-by-word-repartition`];
      const names = ['cleanup.policy', 'message.timestamp.type', 'min.insync.replicas'];
      const settings = await topicSettings(cluster, topics, names);
      const values = topics.map((topic) => names.map((name) => settings.get(topic)?.get(name)));
      expect(values).toEqual([
        ['compact', 'CreateTime', '1'],
        ['delete', 'CreateTime', '1'],
      ]);
      await deleteTopics(cluster, [input, output, ...topics]);
      await deleteGroup(cluster, applicationId);
      await cluster.close();
    });
  });
}
