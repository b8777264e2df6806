/**
 * `npm run bench:step`: transactions per second and round trips per transaction of the session, on
 * transactions v1 and v2, beside kafkajs's producer, on real Kafka 4.3.1 in one run. Every run's
 * outputs and offsets are read back. Ours must be exactly those that were committed, or the bench
 * fails; of kafkajs, which doubles records on several brokers, it says what was wrong.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Kafka, logLevel } from 'kafkajs';
import { createViteServer } from 'vitest/node';
import { DEFAULTS } from '../../dist/src/config/options.js';
import { readTopic } from '../../dist/topologies/billing/raw-log.js';

const HELP = `npm run bench:step -- [options]

  --brokers LIST     1, or 3 with replication 3 and min.insync.replicas 2 (1)
  --tasks LIST       producers side by side in one process, each with an id of its own (1,4)
  --peers LIST       of v2, v1, kafkajs-tuned, kafkajs-default (all)
  --orders LIST      how TxnOffsetCommit follows Produce on v2: chosen by the session, or of beside,
                     after, offsets-first, announced (chosen)
  --partitions N     partitions that each transaction writes to (2)
  --records N        records of a transaction (20)
  --rest N           pause after each transaction of ours in ms (the default of the option commitRestMs)
  --seconds N        measured time of a run, after 1 s of warm-up (5)
  --rounds N         runs of each, in turns; the table shows medians (1)
  --json             every figure as one last line of JSON instead of the table
  --help

  requests, serial: requests of a transaction, and how many of them had to wait for each other.
  repeated: requests answered with an error that asks for repetition; kafkajs does not tell.
  kafkajs-tuned retries after 10 ms, kafkajs-default after 300 ms; both without a rest.
`;

class Failed extends Error {}

const PEERS = ['v2', 'v1', 'kafkajs-tuned', 'kafkajs-default'];
const ORDERS = ['chosen', 'beside', 'after', 'offsets-first', 'announced'];
const WARM_UP_SECONDS = 4;
const DEFAULT_ORDER = 'chosen';
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const say = (text) => process.stderr.write(`${text}\n`);

function readOptions() {
  const text = (otherwise) => ({ type: 'string', default: otherwise });
  const { values } = parseArgs({
    options: {
      brokers: text('1'),
      tasks: text('1,4'),
      peers: text(PEERS.join()),
      orders: text(DEFAULT_ORDER),
      partitions: text('2'),
      records: text('20'),
      rest: text(String(DEFAULTS.commitRestMs)),
      seconds: text('5'),
      rounds: text('1'),
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const number = (name, word, least, most) => {
    const value = Number(word);
    if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
    throw new Failed(`--${name} ${word}: a whole number from ${least} to ${most} is expected`);
  };
  const list = (name, known) => {
    const chosen = values[name].split(',').filter((word) => word !== '');
    const strange = chosen.find((word) => !known.includes(word));
    if (strange === undefined && chosen.length > 0) return chosen;
    throw new Failed(`--${name} ${values[name]}: choose from ${known.join(', ')}`);
  };
  return {
    ...values,
    brokers: list('brokers', ['1', '3']).map(Number),
    tasks: values.tasks.split(',').map((word) => number('tasks', word, 1, 64)),
    peers: list('peers', PEERS),
    orders: list('orders', ORDERS),
    partitions: number('partitions', values.partitions, 1, 100),
    records: number('records', values.records, 1, 10_000),
    rest: number('rest', values.rest, 0, 1_000),
    seconds: number('seconds', values.seconds, 1, 600),
    rounds: number('rounds', values.rounds, 1, 100),
  };
}

/** The parts that the integration tests start, which are TypeScript. */
async function loadParts() {
  const server = await createViteServer({
    configFile: false,
    root: here('../..'),
    logLevel: 'error',
    server: { middlewareMode: true, hmr: false, watch: null },
  });
  const load = (path) => server.ssrLoadModule(here(path));
  const { startKafka } = await load('../integration/real/kafka.ts');
  const { startKafkaCluster } = await load('../integration/real/kafka-cluster.ts');
  return { startKafka, startKafkaCluster, close: () => server.close() };
}

function runPeer(options) {
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(process.execPath, [here('step-peer.mjs'), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.on('data', (piece) => {
    out += piece;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(JSON.parse(out.trim().split('\n').at(-1)));
      else reject(new Failed(`${options.peer} ended with ${code}`));
    });
  });
}

/** What differs from exactly what was committed, once, with its offsets; null: nothing. */
async function difference(admin, bootstrap, { topic, partitions, records }, done) {
  const seen = new Set();
  const logs = await readTopic(bootstrap.split(',')[0], topic);
  for (const { committed, open } of logs) {
    if (open > 0) return `${open} records of open transactions`;
    for (const { partition, value } of committed) {
      const [task, i, r] = String(value).split('.').map(Number);
      if (r % partitions !== partition) return `${task}.${i}.${r} in partition ${partition}`;
      const key = `${task}.${i}.${r}`;
      if (seen.has(key)) return `${key} is there twice`;
      seen.add(key);
    }
  }
  const expected = done.reduce((sum, count) => sum + count * records, 0);
  if (seen.size !== expected) return `${seen.size} of ${expected} records`;
  for (const [task, count] of done.entries()) {
    const groupId = `${topic}-${task}`;
    const [{ partitions: found }] = await admin.fetchOffsets({ groupId, topics: ['step-input'] });
    const { offset } = found[0];
    if (Number(offset) !== count) return `offset ${offset} of task ${task} instead of ${count}`;
  }
  return null;
}

/** kafkajs's own wait for leaders gives up when a node does not know the topic yet. */
async function createTopic(admin, topic, numPartitions) {
  await admin.createTopics({ waitForLeaders: false, topics: [{ topic, numPartitions }] });
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
      if (topics[0].partitions.every(({ leader }) => leader >= 0)) return;
    } catch (error) {
      if (attempt === 100) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function untilClosed(bootstrap, topic) {
  for (let attempt = 0; attempt < 1_000; attempt += 1) {
    const logs = await readTopic(bootstrap.split(',')[0], topic);
    // Markers are written after the last transaction was answered.
    if (logs.every(({ open }) => open === 0)) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function measure(options, brokers, parts) {
  const kafka = await (brokers === 1
    ? parts.startKafka({ version: '4.3.1' })
    : parts.startKafkaCluster({ version: '4.3.1' }));
  const { bootstrap } = kafka;
  const client = new Kafka({ brokers: bootstrap.split(','), logLevel: logLevel.NOTHING });
  const admin = client.admin();
  await admin.connect();
  const { partitions, records, seconds } = options;
  const results = [];
  try {
    await createTopic(admin, 'step-input', 1);
    const variants = options.peers.flatMap((peer) =>
      peer === 'v2' ? options.orders.map((order) => ({ peer, order })) : [{ peer, order: null }],
    );
    // Thrown away: whoever came first would pay for the broker's compiler and its first segments.
    await createTopic(admin, 'step-warm-up', partitions);
    const warmUp = { bootstrap, topic: 'step-warm-up', tasks: 2, partitions, records, rest: 0 };
    await runPeer({ peer: 'v1', ...warmUp, seconds: WARM_UP_SECONDS });
    for (let round = 0; round < options.rounds; round += 1) {
      for (const tasks of options.tasks) {
        for (const { peer, order } of variants) {
          const topic = `step-${results.length}`;
          await createTopic(admin, topic, partitions);
          const rest = peer.startsWith('kafkajs') ? 0 : options.rest;
          const given = { bootstrap, topic, tasks, partitions, records, seconds, rest };
          const figures = await runPeer({ peer, ...(order && { order }), ...given });
          await untilClosed(bootstrap, topic);
          const { done, ...kept } = figures;
          const wrong = await difference(admin, bootstrap, { topic, partitions, records }, done);
          if (wrong !== null && !peer.startsWith('kafkajs')) throw new Failed(`${peer}: ${wrong}`);
          results.push({ brokers, tasks, peer, order, round, wrong, ...kept });
          say(
            `${brokers} broker(s), ${tasks} task(s), ${nameOf({ peer, order })}: ` +
              `${figures.perSecond.toFixed(0)}/s, outputs ${wrong ?? 'exact'}`,
          );
        }
      }
    }
  } finally {
    await admin.disconnect();
    await kafka.stop();
  }
  return results;
}

const nameOf = ({ peer, order }) =>
  order === null || order === DEFAULT_ORDER ? peer : `${peer} (${order})`;

function median(values) {
  const sorted = values.filter((value) => value !== null).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** One row per variant: medians of its rounds, and its rate over that of the tuned kafkajs. */
function summarize(results) {
  const groups = Map.groupBy
    ? Map.groupBy(results, keyOf)
    : results.reduce(
        (map, one) => map.set(keyOf(one), [...(map.get(keyOf(one)) ?? []), one]),
        new Map(),
      );
  const rows = [...groups.values()].map((runs) => {
    const { brokers, tasks, peer, order } = runs[0];
    const of = (field) => median(runs.map((run) => run[field]));
    const fields = ['perSecond', 'requests', 'serial', 'repeated', 'p50Ms', 'p99Ms', 'cpuMs'];
    return {
      brokers,
      tasks,
      peer: nameOf({ peer, order }),
      ...Object.fromEntries(fields.map((field) => [field, of(field)])),
      wrong: runs.find(({ wrong }) => wrong !== null)?.wrong ?? null,
    };
  });
  for (const row of rows) {
    const base = rows.find(
      ({ brokers, tasks, peer }) =>
        brokers === row.brokers && tasks === row.tasks && peer === 'kafkajs-tuned',
    );
    row.timesKafkajs = base === undefined ? null : row.perSecond / base.perSecond;
  }
  return rows;
}

const keyOf = ({ brokers, tasks, peer, order }) => [brokers, tasks, peer, order].join();

function table(rows) {
  const cell = (value, digits) => (value === null ? '' : value.toFixed(digits));
  const lines = rows.map((row) =>
    [
      row.brokers,
      row.tasks,
      row.peer,
      cell(row.perSecond, 0),
      cell(row.timesKafkajs, 1),
      cell(row.requests, 1),
      cell(row.serial, 1),
      cell(row.repeated, 2),
      cell(row.p50Ms, 1),
      cell(row.p99Ms, 1),
      cell(row.cpuMs, 2),
      row.wrong ?? 'exact',
    ].join(' | '),
  );
  return [
    '| brokers | tasks | producer | transactions/s | x kafkajs-tuned | requests | serial | repeated | p50 ms | p99 ms | CPU ms | outputs |',
    '|---|---|---|---|---|---|---|---|---|---|---|---|',
    ...lines.map((line) => `| ${line} |`),
  ].join('\n');
}

async function main() {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(HELP);
    return;
  }
  const parts = await loadParts();
  const results = [];
  try {
    for (const brokers of options.brokers) {
      results.push(...(await measure(options, brokers, parts)));
    }
  } finally {
    await parts.close();
  }
  const rows = summarize(results);
  process.stdout.write(`${options.json ? JSON.stringify({ rows, runs: results }) : table(rows)}\n`);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof Failed) && error.code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION') throw error;
  say(`bench:step: ${error.message}`);
  process.exitCode = 1;
}
