/**
 * `npm run bench`: escapement, a loop written by hand with kafkajs, and Kafka Streams on one Kafka
 * 4.3.1, in turns. See README.md beside this file for what is measured and how.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  beginAt,
  cpuSeconds,
  createTopic,
  deleteTopics,
  drain,
  openAdmin,
  pause,
  restored,
  startApplication,
} from './measure.mjs';
import {
  BenchFailed,
  buildPeer,
  runTool,
  startBroker,
  startTool,
  streamsCommand,
} from './parts.mjs';
import { markdown, summarize } from './table.mjs';

const HELP = `npm run bench -- [options]

  --records N         records of w0 and w1 (5000000)
  --keys N            distinct keys (100000)
  --workloads LIST    of w0, w1, l1, restore, restore-small, idle (all)
  --peers LIST        of escapement, kafkajs-loop, kafka-streams (all; restores without kafkajs-loop)
  --rounds N          runs of each, in turns; the table shows medians (1)
  --seconds N         measured time of l1, after 10 s of warm-up, and of idle, after 10 s of rest (30)
  --rows N            rows of restore (1000000)
  --small-rows N      rows of restore-small (200000)
  --commit-ms N       commit interval, for escapement its upper bound (100)
  --warm-up N         records Kafka Streams counts first, for the broker's sake (500000; 0: none)
  --transactions V    transaction.version of the broker, 1 or 2 (2)
  --json              the figures of every run as one last line of JSON instead of the table
  --cpu-prof FOLDER   write a CPU profile of each escapement run there (costs CPU, most of it when idle)
  --verbose           what the applications write to stderr
  --help

  w0: values to upper case. w1: count by key in memory, every update emitted. l1: w1 at 1,000
  records a second, latency from the time an input is due until its output is seen committed.
  restore: the state of w1 read back from its changelog, written in large batches. restore-small:
  the same from one batch and one marker a row. idle: CPU of w1 when nothing comes in.
`;

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const REFERENCE = 'kafka-streams';
const PEERS = ['escapement', 'kafkajs-loop', REFERENCE];
const WORKLOADS = ['w0', 'w1', 'l1', 'restore', 'restore-small', 'idle'];
/** The loop is one instance by design and reads its changelog as a whole; it is no peer in this. */
const NO_RESTORE = 'kafkajs-loop';
const RATE = 1_000;
const WARM_UP_SECONDS = 10;
const REST_MS = 10_000;
const IDLE_RECORDS_MAX = 300_000;
/** Records counted on top of restored rows, to see that these are right. */
const RESTORE_CHECK_RECORDS = 20_000;
/** Producers that write one row a transaction; more do not make the broker faster. */
const SMALL_WRITERS = 16;

function readOptions() {
  const text = (otherwise) => ({ type: 'string', default: otherwise });
  const { values } = parseArgs({
    options: {
      records: text('5000000'),
      keys: text('100000'),
      workloads: text(WORKLOADS.join()),
      peers: text(PEERS.join()),
      rounds: text('1'),
      seconds: text('30'),
      rows: text('1000000'),
      'small-rows': text('200000'),
      'commit-ms': text('100'),
      'warm-up': text('500000'),
      transactions: text('2'),
      'cpu-prof': { type: 'string' },
      json: { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const number = (name, least) => {
    const value = Number(values[name]);
    if (!Number.isSafeInteger(value) || value < least || value > 1_000_000_000) {
      throw new BenchFailed(`--${name} ${values[name]}: a whole number from ${least} is expected`);
    }
    return value;
  };
  const list = (name, known) => {
    const chosen = values[name].split(',').filter((word) => word !== '');
    const strange = chosen.find((word) => !known.includes(word));
    if (strange !== undefined || chosen.length === 0) {
      throw new BenchFailed(`--${name} ${values[name]}: choose from ${known.join(', ')}`);
    }
    return chosen;
  };
  return {
    help: values.help,
    json: values.json,
    verbose: values.verbose,
    cpuProf: values['cpu-prof'],
    records: number('records', 1),
    keys: number('keys', 1),
    rounds: number('rounds', 1),
    seconds: number('seconds', 1),
    rows: number('rows', 1),
    smallRows: number('small-rows', 1),
    commitMs: number('commit-ms', 1),
    warmUp: number('warm-up', 0),
    transactions: list('transactions', ['1', '2'])[0],
    workloads: list('workloads', WORKLOADS),
    peers: list('peers', PEERS),
  };
}

function say(text) {
  process.stderr.write(`[${new Date().toTimeString().slice(0, 8)}] ${text}\n`);
}

function profiling({ cpuProf }) {
  return cpuProf === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${cpuProf}`];
}

/** One bench: a broker, its inputs and everything that runs on it. */
class Bench {
  constructor(options, classPath, broker, admin, folder) {
    Object.assign(this, { options, classPath, broker, admin, folder });
    this.inputs = new Set();
    this.runs = 0;
    this.commands = {
      escapement: [process.execPath, ...profiling(options), here('app.mjs')],
      'kafkajs-loop': [process.execPath, here('peers/kafkajs-loop.mjs')],
      [REFERENCE]: streamsCommand(classPath),
    };
  }

  start(peer, appId, workload, input, output) {
    const options = {
      workload,
      bootstrap: this.broker.bootstrap,
      'app-id': appId,
      in: input,
      out: output,
      'state-dir': join(this.folder, 'state', appId),
      store: 'memory',
      'commit-ms': this.options.commitMs,
      threads: 1,
      guarantee: 'eos',
      caching: 'false',
    };
    const log = this.options.verbose ? (text) => process.stderr.write(text) : () => {};
    return startApplication(this.commands[peer], options, log);
  }

  forTool(options) {
    return { bootstrap: this.broker.bootstrap, keys: this.options.keys, ...options };
  }

  /** The input of that many records, written once. */
  async input(records) {
    const topic = `input-${records}`;
    if (!this.inputs.has(topic)) {
      await createTopic(this.admin, topic);
      const loaded = await runTool(this.classPath, 'load', this.forTool({ topic, records }));
      say(`${topic}: ${loaded.loaded} records in ${loaded.seconds} s`);
      this.inputs.add(topic);
    }
    return topic;
  }

  verify(topic, workload, records) {
    return runTool(this.classPath, 'verify', this.forTool({ topic, workload, records }));
  }

  async throughput(peer, workload, records) {
    const topic = await this.input(records);
    const appId = `${peer}-${workload}-${++this.runs}`;
    const output = `${appId}-out`;
    await createTopic(this.admin, output);
    const brokerBefore = cpuSeconds(this.broker.pid);
    const application = this.start(peer, appId, workload, topic, output);
    try {
      const { admin } = this;
      const timeoutMs = 60_000 + records / 5; // 5 records a millisecond is a failure
      const figures = await drain({
        admin,
        application,
        groupId: appId,
        topic,
        records,
        timeoutMs,
      });
      const brokerCpu = cpuSeconds(this.broker.pid) - brokerBefore;
      await application.stop();
      const found = await this.verify(output, workload, records);
      const brokerCpuMicrosPerRecord = (brokerCpu * 1e6) / records;
      return { ...figures, brokerCpuMicrosPerRecord, right: found.right, found };
    } finally {
      await application.stop();
      await deleteTopics(this.admin, `${appId}-`);
    }
  }

  async latency(peer) {
    const records = (WARM_UP_SECONDS + this.options.seconds) * RATE;
    const appId = `${peer}-l1-${++this.runs}`;
    const [topic, output] = [`${appId}-in`, `${appId}-out`];
    await createTopic(this.admin, topic);
    await createTopic(this.admin, output);
    const application = this.start(peer, appId, 'w1', topic, output);
    let watch;
    try {
      await application.running;
      const timeoutMs = records * 2 + 30_000;
      const watched = { topic: output, records, 'warm-up-ms': WARM_UP_SECONDS * 1000 };
      watch = startTool(
        this.classPath,
        'watch',
        this.forTool({ ...watched, 'timeout-ms': timeoutMs }),
      );
      await watch.first;
      const paced = this.forTool({ topic, records, rate: RATE });
      await runTool(this.classPath, 'load', paced);
      const figures = await watch.line;
      const cpuMicrosPerRecord = (cpuSeconds(application.pid) * 1e6) / records;
      await application.stop();
      const found = await this.verify(output, 'w1', records);
      return { records, ...figures, cpuMicrosPerRecord, right: found.right, found };
    } finally {
      watch?.stop();
      await application.stop();
      await deleteTopics(this.admin, `${appId}-`);
    }
  }

  /** A changelog is written, an application with that state starts, and counts some records on. */
  async restore(peer, workload, rows, layout) {
    const appId = `${peer}-${workload}-${++this.runs}`;
    const [topic, output, changelog] = [`${appId}-in`, `${appId}-out`, `${appId}-count-changelog`];
    await createTopic(this.admin, topic);
    await createTopic(this.admin, output);
    await createTopic(this.admin, changelog, [{ name: 'cleanup.policy', value: 'compact' }]);
    const written = this.forTool({ topic: changelog, rows, ...layout });
    const { seconds } = await runTool(this.classPath, 'rows', written);
    say(`${changelog}: ${rows} rows in ${seconds} s`);
    // Without committed offsets this would be no restart.
    await beginAt(this.admin, appId, topic);
    const application = this.start(peer, appId, 'w1', topic, output);
    try {
      await application.running;
      const figures = restored(application.restores(), rows);
      const records = RESTORE_CHECK_RECORDS;
      const check = { keys: rows, records };
      await runTool(this.classPath, 'load', this.forTool({ topic, ...check }));
      const { admin } = this;
      await drain({ admin, application, groupId: appId, topic, records, timeoutMs: 60_000 });
      await application.stop();
      const found = await runTool(
        this.classPath,
        'verify',
        this.forTool({ topic: output, workload: 'w1', counted: 1, ...check }),
      );
      return { rows, ...figures, right: found.right, found };
    } finally {
      await application.stop();
      await deleteTopics(this.admin, `${appId}-`);
    }
  }

  /** What an application costs that has drained its input and waits for more. */
  async idle(peer) {
    const records = Math.min(IDLE_RECORDS_MAX, this.options.records);
    const topic = await this.input(records);
    const appId = `${peer}-idle-${++this.runs}`;
    const output = `${appId}-out`;
    await createTopic(this.admin, output);
    const application = this.start(peer, appId, 'w1', topic, output);
    try {
      const { admin } = this;
      const timeoutMs = 60_000 + records / 5;
      await drain({ admin, application, groupId: appId, topic, records, timeoutMs });
      await pause(REST_MS);
      const before = cpuSeconds(application.pid);
      const from = Date.now();
      await pause(this.options.seconds * 1000);
      const idleCpuPercent =
        ((cpuSeconds(application.pid) - before) * 100_000) / (Date.now() - from);
      await application.stop();
      const found = await this.verify(output, 'w1', records);
      return { idleCpuPercent, right: found.right, found };
    } finally {
      await application.stop();
      await deleteTopics(this.admin, `${appId}-`);
    }
  }

  measure(peer, workload) {
    const { records, rows, smallRows } = this.options;
    switch (workload) {
      case 'l1':
        return this.latency(peer);
      case 'idle':
        return this.idle(peer);
      case 'restore':
        return this.restore(peer, workload, rows, {});
      case 'restore-small': {
        const layout = { 'rows-per-transaction': 1, writers: SMALL_WRITERS };
        return this.restore(peer, workload, smallRows, layout);
      }
      default:
        return this.throughput(peer, workload, records);
    }
  }

  async one(peer, workload, round) {
    const where = { workload, peer, round };
    try {
      const measured = await this.measure(peer, workload);
      const shown = shownOf(workload, measured);
      const verdict = measured.right ? 'outputs exact' : 'OUTPUTS WRONG';
      say(`${workload} ${peer}: ${shown}, ${verdict}`);
      return { ...where, ...measured };
    } catch (error) {
      if (!(error instanceof BenchFailed)) throw error;
      say(`${workload} ${peer}: FAILED, ${error.message}`);
      return { ...where, right: false, failed: error.message };
    }
  }

  async all() {
    const { workloads, peers, rounds, warmUp, records } = this.options;
    if (warmUp > 0) {
      say('warming up the broker');
      await this.throughput(REFERENCE, 'w1', Math.min(warmUp, records));
    }
    const runs = [];
    for (let round = 0; round < rounds; round++) {
      for (const workload of workloads) {
        // Each round another peer begins, so that none always meets the warmest broker.
        for (let turn = 0; turn < peers.length; turn++) {
          const peer = peers[(turn + round) % peers.length];
          if (peer === NO_RESTORE && workload.startsWith('restore')) continue;
          runs.push(await this.one(peer, workload, round + 1));
        }
      }
    }
    return runs;
  }
}

function shownOf(workload, measured) {
  if (workload === 'l1') return `median ${measured.medianMs} ms, p99 ${measured.p99Ms} ms`;
  if (workload === 'idle') return `${measured.idleCpuPercent.toFixed(2)} % of a core`;
  if (workload.startsWith('restore')) return `${Math.round(measured.rowsPerSecond)} rows/s`;
  const micros = measured.secondHalfCpuMicrosPerRecord?.toFixed(2) ?? '-';
  return `${Math.round(measured.recordsPerSecond)} records/s, ${micros} us/record warm`;
}

async function main() {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(HELP);
    return;
  }
  const classPath = buildPeer(say);
  const folder = mkdtempSync(join(tmpdir(), 'escapement-bench-'));
  let broker;
  let admin;
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  try {
    broker = await startBroker(classPath, folder, options.transactions);
    admin = await openAdmin(broker.bootstrap);
    say(`Kafka 4.3.1 at ${broker.bootstrap}, transactions v${options.transactions}`);
    const runs = await new Bench(options, classPath, broker, admin, folder).all();
    const table = summarize(runs, REFERENCE);
    const shown = { kafka: '4.3.1', node: process.versions.node, records: options.records };
    const text = options.json
      ? JSON.stringify({ ...shown, runs, table })
      : markdown(table, REFERENCE);
    process.stdout.write(`${text}\n`);
    if (runs.some((run) => !run.right)) process.exitCode = 1;
  } finally {
    await admin?.disconnect();
    await broker?.stop();
  }
}

try {
  await main();
} catch (error) {
  const known = error instanceof BenchFailed || error.code?.startsWith('ERR_PARSE_ARGS');
  process.stderr.write(`bench: ${known ? error.message : error.stack}\n`);
  process.exitCode = 1;
}
