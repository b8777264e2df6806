/** The README's topology runs as it stands; only the broker's address is the test's. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Kafka, logLevel } from 'kafkajs';
import { afterEach, expect, test } from 'vitest';
import { Broker } from '../../src/broker/broker.ts';
import { type Listener, listen } from '../../src/broker/tcp.ts';
import { systemPorts } from '../../src/ports.ts';
import { readTopic } from '../../topologies/billing/raw-log.ts';
import { until } from '../exactness/count-run.ts';
import { createTopics } from '../topics.ts';

/** Not within the sources, which others read and check meanwhile. */
const FOLDER = new URL(`../../.cache/docs-readme-${process.pid}/`, import.meta.url);
const TOPOLOGY_LINES_MAX = 25;

function runnableBlock(): string {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const block = /```ts run\n([\s\S]*?)```/.exec(readme)?.[1];
  if (block === undefined) throw new Error('the README has no ```ts run block');
  return block;
}

let listener: Listener | null = null;
afterEach(async () => {
  await listener?.close();
  rmSync(FOLDER, { recursive: true, force: true });
});

test('the topology of the README counts words and stops on SIGTERM', async () => {
  const broker = new Broker({ ports: systemPorts });
  listener = await listen(broker, { host: '127.0.0.1', port: 0 });
  const address = `127.0.0.1:${listener.port}`;
  const kafka = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING });
  await createTopics(address, [
    { topic: 'lines', numPartitions: 2 },
    { topic: 'word-counts', numPartitions: 2 },
  ]);
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({
    topic: 'lines',
    messages: [{ value: 'the quick the' }, { value: 'Quick, the end' }],
  });
  await producer.disconnect();

  mkdirSync(FOLDER, { recursive: true });
  const file = new URL('readme.ts', FOLDER);
  writeFileSync(file, runnableBlock().replace('localhost:9092', address));
  const running = import(file.href);
  const latest = new Map<string, bigint>();
  await until(async () => {
    for (const { committed } of await readTopic(address, 'word-counts')) {
      for (const { key, value } of committed) latest.set(String(key), value!.readBigInt64BE());
    }
    return latest.size === 3 && latest.get('the') === 3n;
  }, 'the words are not counted');
  process.emit('SIGTERM');
  await running;
  expect(Object.fromEntries(latest)).toEqual({ the: 3n, quick: 2n, end: 1n });
});

test('the topology of the README has at most 25 lines', () => {
  expect(runnableBlock().trim().split('\n').length).toBeLessThanOrEqual(TOPOLOGY_LINES_MAX);
});
