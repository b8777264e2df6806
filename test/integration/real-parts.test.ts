import { Kafka, logLevel } from 'kafkajs';
import { afterAll, expect, test } from 'vitest';
import { createTopics } from '../topics.ts';
import { type KafkaVersion, type RealKafka, STARTED_AGAIN, startKafka } from './real/kafka.ts';
import { describeReal } from './real/parts.ts';
import { sharedApicurio, sharedKafka } from './real/shared.ts';

function foreignClient(bootstrap: string): Kafka {
  return new Kafka({
    clientId: 'foreign',
    brokers: [bootstrap],
    logLevel: logLevel.NOTHING,
    retry: { retries: 2 },
  });
}

async function topicsOf(bootstrap: string): Promise<string[]> {
  const admin = foreignClient(bootstrap).admin();
  await admin.connect();
  const topics = await admin.listTopics();
  await admin.disconnect();
  return topics;
}

describeReal('the shared parts', () => {
  test.each<KafkaVersion>(['3.9.1', '4.3.1'])(
    'Kafka %s answers and is the same one for all',
    async (version) => {
      const one = await sharedKafka(version);
      const two = await sharedKafka(version);
      expect(two).toEqual(one);
      await createTopics(one.bootstrap, [{ topic: 'real-parts', numPartitions: 2 }]);
      expect(await topicsOf(two.bootstrap)).toContain('real-parts');
    },
  );

  test('Apicurio keeps a schema', async () => {
    const { url } = await sharedApicurio();
    const answer = await fetch(`${url}/subjects/real-parts/versions`, {
      method: 'POST',
      headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
      body: JSON.stringify({ schema: '"string"' }),
    });
    expect(answer.status).toBe(200);
    const { id } = (await answer.json()) as { id: number };
    const stored = await (await fetch(`${url}/schemas/ids/${id}`)).json();
    expect(stored).toMatchObject({ schema: '"string"' });
  });
});

describeReal('a Kafka of its own', () => {
  const started: RealKafka[] = [];
  afterAll(() => Promise.all(started.map((kafka) => kafka.stop())));

  test('keeps its topics over a restart and over a kill', async () => {
    const kafka = await startKafka({ version: '4.3.1', settings: STARTED_AGAIN });
    started.push(kafka);
    await createTopics(kafka.bootstrap, [{ topic: 'kept', numPartitions: 2 }]);
    const { pid } = kafka;
    await kafka.restart();
    expect(kafka.pid).not.toBe(pid);
    expect(await topicsOf(kafka.bootstrap)).toContain('kept');
    await kafka.kill();
    await expect(topicsOf(kafka.bootstrap)).rejects.toThrow();
    await kafka.restart();
    expect(await topicsOf(kafka.bootstrap)).toContain('kept');
  });
});
