/**
 * Runs the word count on the embedded broker: `npm ci && npm run build`, then
 * `node dist/topologies/1-word-count/main.js`.
 * Arguments are lines of text; without any it counts the words of a line of its own.
 */
import { describe, run } from 'escapement';
import { Broker, listen, systemPorts } from 'escapement/testing';
import { Kafka, logLevel } from 'kafkajs';
import { wordCount } from './topology.ts';

const lines = process.argv.slice(2);
if (lines.length === 0) lines.push('the quick brown fox jumps over the lazy dog');
const words = lines
  .join(' ')
  .toLowerCase()
  .split(/\W+/)
  .filter((word) => word !== '').length;

const broker = await listen(new Broker({ ports: systemPorts }), { host: '127.0.0.1', port: 0 });
const brokers = [`127.0.0.1:${broker.port}`];
const kafka = new Kafka({ brokers, logLevel: logLevel.NOTHING });

const admin = kafka.admin();
await admin.connect();
await admin.createTopics({ topics: [{ topic: 'lines' }, { topic: 'word-counts' }] });
await admin.disconnect();

const app = wordCount();
console.log(describe(app));
const application = await run(app, { applicationId: 'word-count', kafka: { brokers } });

const producer = kafka.producer();
await producer.connect();
await producer.send({ topic: 'lines', messages: lines.map((value) => ({ value })) });
await producer.disconnect();

const counts = new Map<string, bigint>();
const consumer = kafka.consumer({ groupId: 'word-count-reader' });
await consumer.connect();
await consumer.subscribe({ topic: 'word-counts', fromBeginning: true });
await new Promise<void>((resolve) => {
  let seen = 0;
  void consumer.run({
    eachMessage: async ({ message }) => {
      counts.set(String(message.key), message.value!.readBigInt64BE());
      seen += 1;
      if (seen === words) resolve();
    },
  });
});
for (const [word, n] of [...counts].sort()) console.log(`${word}: ${n}`);

await consumer.disconnect();
await application.stop();
await broker.close();
