/**
 * The peer without a framework: what people write with kafkajs alone to be exactly once. One
 * transaction per fetched batch holds outputs, changelog and offsets; counts live in a `Map` that is
 * read back from the compacted changelog at the start.
 *
 * Known to be weaker than what it is compared with: one instance only, fenced by one transactional
 * id; its offsets carry no generation; and it commits once per fetch, whatever `--commit-ms` says.
 */
import { Kafka, logLevel, Partitioners } from 'kafkajs';

const words = process.argv.slice(2);
const given = new Map();
for (let i = 0; i < words.length; i += 2) given.set(words[i].replace(/^--/, ''), words[i + 1]);
const appId = given.get('app-id');
const input = given.get('in');
const output = given.get('out');
const counting = given.get('workload') === 'w1';
const changelog = `${appId}-count-changelog`;

const kafka = new Kafka({
  clientId: appId,
  brokers: [given.get('bootstrap')],
  logLevel: logLevel.ERROR,
});
/** Committed counts by key. */
const counts = new Map();

function say(event) {
  process.stdout.write(`${JSON.stringify({ t: Date.now(), ...event })}\n`);
}

/** Creates the changelog beside its input and returns the offsets it reaches now. */
async function openChangelog() {
  const admin = kafka.admin();
  await admin.connect();
  try {
    const metadata = await admin.fetchTopicMetadata({ topics: [input] });
    await admin.createTopics({
      waitForLeaders: true,
      topics: [
        {
          topic: changelog,
          numPartitions: metadata.topics[0].partitions.length,
          configEntries: [{ name: 'cleanup.policy', value: 'compact' }],
        },
      ],
    });
    return await admin.fetchTopicOffsets(changelog);
  } finally {
    await admin.disconnect();
  }
}

/** The only instance owns every partition, so the changelog is read as a whole. */
async function readBack(ends) {
  const open = new Set(ends.filter(({ low, high }) => low !== high).map((end) => end.partition));
  if (open.size === 0) return;
  const consumer = kafka.consumer({ groupId: `${appId}-read-back-${process.pid}` });
  await consumer.connect();
  await consumer.subscribe({ topics: [changelog], fromBeginning: true });
  const { promise, resolve } = withResolver();
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch }) => {
      for (const { key, value } of batch.messages) counts.set(String(key), Number(value));
      // The last offset may be that of a transaction marker, which no batch delivers.
      if (Number(batch.highWatermark) - Number(batch.lastOffset()) <= 2) {
        open.delete(batch.partition);
      }
      if (open.size === 0) resolve();
    },
  });
  await promise;
  await consumer.disconnect();
}

/** Promise.withResolvers, which Node 20 does not have. */
function withResolver() {
  let resolve;
  const promise = new Promise((its) => {
    resolve = its;
  });
  return { promise, resolve };
}

/** Outputs and changed counts of a batch; `counts` itself changes only after the commit. */
function outcomeOf(messages) {
  const outputs = [];
  const changed = new Map();
  for (const { key, value, timestamp } of messages) {
    if (!counting) {
      outputs.push({ key, value: value.toString().toUpperCase(), timestamp });
      continue;
    }
    const name = key.toString();
    const count = (changed.get(name) ?? counts.get(name) ?? 0) + 1;
    changed.set(name, count);
    outputs.push({ key, value: String(count), timestamp });
  }
  return { outputs, changed };
}

if (counting) await readBack(await openChangelog());

const producer = kafka.producer({
  transactionalId: `${appId}-loop`,
  idempotent: true,
  maxInFlightRequests: 1,
  createPartitioner: Partitioners.DefaultPartitioner,
});
const consumer = kafka.consumer({
  groupId: appId,
  // kafkajs writes what it sends to a partition as one batch; 100-byte outputs of a whole default
  // fetch would be larger than the broker's max.message.bytes.
  ...(counting ? {} : { maxBytesPerPartition: 512 * 1024 }),
});

process.on('SIGTERM', async () => {
  await consumer.disconnect();
  await producer.disconnect();
  process.exit(0);
});

await producer.connect();
await consumer.connect();
await consumer.subscribe({ topics: [input], fromBeginning: true });
consumer.on(consumer.events.GROUP_JOIN, () => say({ state: 'RUNNING' }));
consumer.on(consumer.events.CRASH, ({ payload }) => {
  process.stderr.write(`${payload.error.stack}\n`);
  if (!payload.restart) process.exit(1);
});

await consumer.run({
  autoCommit: false,
  eachBatch: async ({ batch }) => {
    const { topic, partition, messages } = batch;
    const { outputs, changed } = outcomeOf(messages);
    const topicMessages = [{ topic: output, messages: outputs }];
    if (changed.size > 0) {
      const rows = Array.from(changed, ([key, count]) => ({
        key,
        value: String(count),
        partition,
      }));
      topicMessages.push({ topic: changelog, messages: rows });
    }
    const transaction = await producer.transaction();
    try {
      await transaction.sendBatch({ topicMessages });
      await transaction.sendOffsets({
        consumerGroupId: appId,
        topics: [
          { topic, partitions: [{ partition, offset: String(BigInt(batch.lastOffset()) + 1n) }] },
        ],
      });
      await transaction.commit();
    } catch (error) {
      await transaction.abort();
      throw error;
    }
    for (const [key, count] of changed) counts.set(key, count);
  },
});
