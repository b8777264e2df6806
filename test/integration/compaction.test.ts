/** What compaction leaves of a log: the embedded broker's beside that of Kafka's own cleaner. */
import { afterAll, expect, test } from 'vitest';
import { Broker } from '../../src/broker/broker.ts';
import { listen } from '../../src/broker/tcp.ts';
import { findCoordinator } from '../../src/kafka/protocol/find-coordinator.ts';
import { systemPorts } from '../../src/ports.ts';
import type { BatchSpec, ReadBatch } from '../broker/batch.ts';
import { Client } from '../conformance/client.ts';
import { definite, until } from '../conformance/stage.ts';
import { type KafkaVersion, type RealKafka, startKafka } from './real/kafka.ts';
import { describeReal } from './real/parts.ts';

const TOPIC = 'compacted';
const DELETE_RETENTION_MS = 300;
/** Longer than all of it takes: the markers, which bear the time of day, must not roll. */
const SEGMENT_MS = 600_000;
const SETTINGS = {
  'cleanup.policy': 'compact',
  'min.cleanable.dirty.ratio': '0',
  'segment.ms': String(SEGMENT_MS),
  'delete.retention.ms': String(DELETE_RETENTION_MS),
};

/**
 * Writes to one partition. Timestamps are given, for Kafka rolls its segments by them; they begin at
 * the first write, for those of markers are of the time.
 */
class Writer {
  readonly client: Client;
  readonly #first = Date.now();
  #at = this.#first;

  constructor(client: Client) {
    this.client = client;
  }

  async write(keys: string, spec: Partial<BatchSpec> = {}, transactionalId?: string) {
    const batch = { keys: [...keys], values: [...keys], timestamp: this.#at, ...spec };
    const id = transactionalId === undefined ? {} : { transactionalId };
    const { error } = await definite(() => this.client.produce(TOPIC, 0, batch, id));
    expect(error).toBe('NONE');
  }

  /** The record goes to a new segment, which leaves all before it to the cleaner. */
  async roll() {
    // Three times less than Kafka takes of the future, which is an hour.
    this.#at += 1.25 * SEGMENT_MS;
    await this.write('z');
  }

  async transaction(id: string, keys: string, result: 'commit' | 'abort') {
    const producer = await definite(() => this.client.init(id));
    await definite(() => this.client.addPartition(id, producer, TOPIC));
    const { producerId, producerEpoch: epoch } = producer;
    const identity = { producerId, epoch, sequence: 0, transactional: 'transactional' } as const;
    await this.write(keys, identity, id);
    expect((await this.client.end(id, producer, result)).error).toBe('NONE');
    // The next InitProducerId is answered when the marker is written.
    await definite(() => this.client.init(id));
  }

  /** `offset key=value`, a marker, or a batch of which nothing is left. */
  async content() {
    const batches: ReadBatch[] = [];
    // A fetch of Kafka ends with a segment.
    for (let from = 0; ; from = batches.at(-1)!.lastOffset + 1) {
      const got = await this.client.fetch(TOPIC, 0, from, { isolation: 'read_uncommitted' });
      if (got.batches.length === 0) break;
      batches.push(...got.batches);
    }
    return batches.flatMap(({ kind, baseOffset, lastOffset, records, epoch }) => {
      if (kind !== 'data') return [`${baseOffset} ${kind}@${epoch}`];
      if (records.length === 0) return [`${baseOffset}-${lastOffset} empty`];
      return records.map(
        ({ offset, key, value, timestamp }) =>
          `${offset} ${key}=${value ?? ''} at ${timestamp - this.#first}`,
      );
    });
  }
}

async function write(client: Client): Promise<Writer> {
  expect(await client.createTopic(TOPIC, 1, SETTINGS)).toBe('NONE');
  await until(
    () => client.listOffset(TOPIC),
    ({ error }) => error === 'NONE',
  );
  // The coordinators' topic is made when it is first asked for.
  for (const key of ['committed', 'aborted']) {
    const found = () => client.ask(findCoordinator, 3, { key, keyType: 1 });
    await until(found, ({ errorCode }) => errorCode === 0);
    await definite(() => client.init(key));
  }
  const writer = new Writer(client);
  await writer.write('abca', { values: ['1', '2', '3', '4'], timestampStep: 5 });
  await writer.transaction('committed', 'ad', 'commit');
  await writer.transaction('aborted', 'bef', 'abort');
  await writer.write('cd', { values: [null, '5'] });
  const { producerId } = await client.init(null);
  await writer.write('gh', { producerId, epoch: 0, sequence: 0 });
  await writer.write('gh', { producerId, epoch: 0, sequence: 2 });
  await writer.write('gh', { compression: 'gzip' });
  await writer.write('gh');
  await writer.roll();
  return writer;
}

describeReal('compaction', () => {
  const opened: (() => Promise<void> | void)[] = [];
  afterAll(async () => {
    for (const close of opened.reverse()) await close();
  });

  async function embedded(transactionVersion: 1 | 2) {
    const broker = new Broker({ ports: systemPorts, transactionVersion });
    const { port, close } = await listen(broker, { host: '127.0.0.1', port: 0 });
    const client = await Client.open({ host: '127.0.0.1', port });
    opened.push(
      () => broker.close(),
      close,
      () => client.connection.close(),
    );
    return { broker, client };
  }

  async function real(version: KafkaVersion) {
    const settings = { 'log.cleaner.backoff.ms': '50', 'log.cleaner.threads': '1' };
    const kafka: RealKafka = await startKafka({ version, settings });
    const [host, port] = kafka.bootstrap.split(':');
    const client = await Client.open({ host: host!, port: Number(port) });
    opened.push(
      () => kafka.stop(),
      () => client.connection.close(),
    );
    return client;
  }

  test.each<[KafkaVersion, 1 | 2]>([
    ['3.9.1', 1],
    ['4.3.1', 2],
  ])('leaves the same as Kafka %s', async (version, transactionVersion) => {
    const kafka = await real(version);
    const { broker, client } = await embedded(transactionVersion);
    const theirs = await write(kafka);
    const ours = await write(client);
    broker.clean(TOPIC);
    const first = await ours.content();
    expect(first).toContain('6 commit@1');
    await until(
      () => theirs.content(),
      (content) => content.join() === first.join(),
    ).catch(async () => expect(await theirs.content()).toEqual(first));

    // Again after delete.retention.ms: tombstones and markers without data go.
    for (const round of [1, 2]) {
      await systemPorts.timers.sleep(2 * DELETE_RETENTION_MS);
      await theirs.roll();
      await ours.roll();
      broker.clean(TOPIC);
      const again = await ours.content();
      await until(
        () => theirs.content(),
        (content) => content.join() === again.join(),
      ).catch(async () => expect(await theirs.content(), `round ${round}`).toEqual(again));
    }
  });
});
