// One run of the step bench in a process of its own: transactions of one producer per task, back to
// back, until the time is over. Prints one line of JSON. Needs the built code. See step.mjs.
import { parseArgs } from 'node:util';
import { Kafka, logLevel } from 'kafkajs';
import { Cluster } from '../../dist/src/kafka/cluster/cluster.js';
import { TransactionalSession } from '../../dist/src/kafka/producer/session.js';
import { BatchWriter } from '../../dist/src/kafka/records/batch-writer.js';
import { kafkajsTransport } from '../../dist/src/kafka/transport/kafkajs.js';
import { systemPorts } from '../../dist/src/ports.js';
import { silentLog } from '../../dist/src/telemetry/log.js';
import { Metrics } from '../../dist/src/telemetry/metrics.js';

const { values: given } = parseArgs({
  options: {
    peer: { type: 'string' },
    order: { type: 'string', default: 'chosen' },
    bootstrap: { type: 'string' },
    topic: { type: 'string' },
    tasks: { type: 'string' },
    partitions: { type: 'string' },
    records: { type: 'string' },
    seconds: { type: 'string' },
    rest: { type: 'string' },
  },
});
const number = (name) => Number(given[name]);
const brokers = given.bootstrap.split(',');
const INPUT = 'step-input';
const VALUE = 'x'.repeat(80);

/** What transaction `i` of a task writes: its records, dealt out to the partitions. */
function recordsOf(task, i) {
  return Array.from({ length: number('records') }, (_, r) => ({
    partition: r % number('partitions'),
    value: `${task}.${i}.${r}.${VALUE}`,
  }));
}

/** Requests of one producer since the last `take`, and the longest chain of them. */
class Chain {
  requests = 0;
  serial = 0;

  /** Around a request that is sent now. */
  async count(send) {
    const depth = this.serial + 1;
    this.requests += 1;
    try {
      return await send();
    } finally {
      this.serial = Math.max(this.serial, depth);
    }
  }
}

/** `open` gives the `commit(i)` of one task, with the chain that it counts in. */
const PEERS = {
  v1: () => ours({ transactionVersionMax: 1 }),
  v2: () => ours(given.order === 'chosen' ? {} : { stepOrder: given.order }),
  'kafkajs-tuned': () => theirs({ initialRetryTime: 10, maxRetryTime: 1_000, retries: 100 }),
  'kafkajs-default': () => theirs(undefined),
};

async function ours(options) {
  const transport = kafkajsTransport({ brokers }, { ports: systemPorts, log: silentLog });
  const metrics = new Metrics();
  const cluster = new Cluster({ transport, ports: systemPorts, log: silentLog, metrics });
  await cluster.start();
  const open = async (task) => {
    const chain = new Chain();
    const counted = {
      send: (...request) => chain.count(() => cluster.send(...request)),
      leaderOf: (...place) => cluster.leaderOf(...place),
      forgetLeader: (...place) => cluster.forgetLeader(...place),
      coordinator: (...key) => cluster.coordinator(...key),
      forgetCoordinator: (...key) => cluster.forgetCoordinator(...key),
      finalizedFeature: (...feature) => cluster.finalizedFeature(...feature),
    };
    const session = new TransactionalSession({
      cluster: counted,
      transactionalId: `${given.topic}-${task}`,
      transactionTimeoutMs: 10_000,
      lane: `transaction-${task}`,
      ports: systemPorts,
      log: silentLog,
      metrics,
      ...options,
    });
    await session.init();
    const membership = async () => ({ generation: -1, memberId: '', instanceId: null });
    const writers = Array.from({ length: number('partitions') }, () => new BatchWriter());
    const commit = async (i) => {
      for (const { partition, value } of recordsOf(task, i)) {
        const bytes = Buffer.from(value);
        writers[partition].append(Date.now(), null, -1, -1, bytes, 0, bytes.length, null);
      }
      await session.commit({
        outputs: writers.map((writer, partition) => ({
          topic: given.topic,
          partition,
          batches: writer.take(),
        })),
        offsets: {
          groupId: `${given.topic}-${task}`,
          membership,
          proof: async () => {},
          partitions: [{ topic: INPUT, partition: 0, offset: i + 1, metadata: '' }],
        },
      });
    };
    return { commit, chain };
  };
  const repeated = () =>
    Object.values(metrics.snapshot()['requests.repeated']).reduce((sum, one) => sum + one, 0);
  return { open, repeated, close: () => cluster.close() };
}

async function theirs(retry) {
  const kafka = new Kafka({ clientId: 'step', brokers, logLevel: logLevel.NOTHING });
  const producers = [];
  const open = async (task) => {
    const producer = kafka.producer({
      transactionalId: `${given.topic}-${task}`,
      idempotent: true,
      maxInFlightRequests: 1,
      ...(retry && { retry }),
    });
    await producer.connect();
    producers.push(producer);
    let answered = [];
    producer.on(producer.events.REQUEST, ({ payload }) => answered.push(payload));
    const chain = { requests: 0, serial: 0 };
    const commit = async (i) => {
      answered = [];
      const transaction = await producer.transaction();
      await transaction.send({ topic: given.topic, messages: recordsOf(task, i) });
      await transaction.sendOffsets({
        consumerGroupId: `${given.topic}-${task}`,
        topics: [{ topic: INPUT, partitions: [{ partition: 0, offset: String(i + 1) }] }],
      });
      await transaction.commit();
      chain.requests += answered.length;
      chain.serial += longestChain(answered);
    };
    return { commit, chain };
  };
  const close = () => Promise.all(producers.map((producer) => producer.disconnect()));
  return { open, repeated: () => null, close };
}

/** Requests of which each was sent when the one before was answered: as many as do not overlap. */
function longestChain(requests) {
  const spans = requests.map(({ sentAt, duration }) => [sentAt, sentAt + duration]);
  spans.sort((a, b) => a[1] - b[1]);
  let count = 0;
  let end = 0;
  for (const [from, to] of spans) {
    if (from < end) continue;
    count += 1;
    end = to;
  }
  return count;
}

const { open, repeated, close } = await PEERS[given.peer]();
const tasks = await Promise.all(Array.from({ length: number('tasks') }, (_, task) => open(task)));
const done = tasks.map(() => 0);
const times = [];

async function work(until) {
  await Promise.all(
    tasks.map(async ({ commit }, task) => {
      while (performance.now() < until) {
        const began = performance.now();
        await commit(done[task]);
        times.push(performance.now() - began);
        done[task] += 1;
        if (number('rest') > 0) await systemPorts.timers.sleep(number('rest'));
      }
    }),
  );
}

const count = () => done.reduce((sum, one) => sum + one, 0);
// Compilers, connections and the broker's own caches.
await work(performance.now() + 1_000);
const before = { count: count(), repeated: repeated(), cpu: process.cpuUsage() };
for (const { chain } of tasks) Object.assign(chain, { requests: 0, serial: 0 });
times.length = 0;
const serials = tasks.map(() => 0);
for (const [task, each] of tasks.entries()) {
  if (given.peer.startsWith('kafkajs')) continue;
  const { commit, chain } = each;
  each.commit = async (i) => {
    chain.serial = 0;
    await commit(i);
    serials[task] += chain.serial;
  };
}
const began = performance.now();
await work(began + number('seconds') * 1_000);
const elapsed = (performance.now() - began) / 1_000;
const cpu = process.cpuUsage(before.cpu);
const transactions = count() - before.count;
const total = (field) => tasks.reduce((sum, { chain }) => sum + chain[field], 0);
const serial = given.peer.startsWith('kafkajs')
  ? total('serial')
  : serials.reduce((sum, one) => sum + one, 0);
times.sort((a, b) => a - b);
const quantile = (q) => times[Math.min(times.length - 1, Math.floor(q * times.length))];
const per = (value) => (value === null ? null : value / transactions);
process.stdout.write(
  `${JSON.stringify({
    transactions,
    perSecond: transactions / elapsed,
    requests: per(total('requests')),
    serial: per(serial),
    repeated: per(before.repeated === null ? null : repeated() - before.repeated),
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    cpuMs: per((cpu.user + cpu.system) / 1_000),
    done,
  })}\n`,
);
await close();
process.exit(0);
