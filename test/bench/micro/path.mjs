/**
 * The record's path without a broker and without requests: fetched bytes in (checksum, decode, queue,
 * operators, tables, undo), sealed batches out. `npm run build && node test/bench/micro/path.mjs [w0 w1 …]`.
 *
 * Four tasks take turns as in `npm run bench`, 100,000 keys, 100-byte values, a step of 2,000 records each.
 * CPU microseconds per record of each half million, so that the warm figure is the last one.
 */
import { pathToFileURL } from 'node:url';

const dist = new URL(
  process.env.DIST ? `${pathToFileURL(process.env.DIST)}/` : '../../../dist/',
  import.meta.url,
);
const from = (file) => import(new URL(`src/${file}.js`, dist));
const { count, mapValues, string, to, topology } = await from('index');
const { resolveOptions } = await from('config/options');
const { Feed } = await from('kafka/fetch/partition-feed');
const { BatchWriter, sealBatch } = await from('kafka/records/batch-writer');
const { parseFetched } = await from('kafka/records/parse-fetched');
const { murmur2, partitionOf } = await from('kafka/records/murmur2');
const { systemPorts } = await from('ports');
const { Task } = await from('runtime/task');
const { beginRun } = await from('runtime/task-run');
const { TaskStores } = await from('runtime/task-stores');
const { silentLog } = await from('telemetry/log');
const { stages } = await from('topology/stages');
const { subTopologies } = await from('topology/sub-topologies');
const { StepIds } = await from('transaction/step-id');

const TASKS = 4;
const KEYS = 100_000;
const STEP_RECORDS = 2_000;
const STEPS = 60;
const TOTAL = Number(process.env.RECORDS ?? 4_000_000);
const IDS = { producerId: 7, producerEpoch: 1, baseSequence: 0, transactional: 'transactional' };
const text = string();

const WORKLOADS = {
  w0: (app) =>
    app.stream('in', { key: text, value: text }).pipe(
      mapValues((v) => v.toUpperCase()),
      to('out', { key: text, value: text }),
    ),
  w1: (app) =>
    app
      .stream('in', { key: text, value: text })
      .pipe(
        count({ name: 'store', key: text }),
        mapValues(String),
        to('out', { key: text, value: text }),
      ),
};

/** mulberry32 */
function randomFrom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

/** Fetch responses by task, each of one step. */
function inputs() {
  const random = randomFrom(1);
  const value = Buffer.from(
    'the quick brown fox jumps over the lazy dog and then some more words to fill it up '
      .repeat(2)
      .slice(0, 100),
  );
  const writers = Array.from({ length: TASKS }, () => new BatchWriter({ batchBytesMax: 1e9 }));
  const made = Array.from({ length: TASKS }, () => []);
  const done = () => made.every((its) => its.length >= STEPS);
  let time = 1.75e12;
  while (!done()) {
    const key = Buffer.from(`k${String(random() % KEYS).padStart(8, '0')}`);
    const task = partitionOf(murmur2(key, 0, key.length), TASKS);
    const writer = writers[task];
    time += (random() & 7) === 0 ? 1 : 0;
    writer.append(time, key, 0, key.length, value, 0, value.length, null);
    if (writer.count === STEP_RECORDS) {
      const [batch] = writer.take();
      made[task].push(Buffer.from(sealBatch(batch, IDS)));
    }
  }
  return made;
}

function taskOf(topologyBuilt, partition) {
  const [part] = subTopologies(topologyBuilt);
  const subTopology = { ...part, stages: stages(part) };
  const plan = {
    id: `t_${partition}`,
    subTopology: part.name,
    partition,
    inputs: [{ topic: 'in', partition }],
    changelogs: [],
  };
  const names = {
    of: (node) => ('topic' in node ? node.topic : ''),
    changelog: (store) => `${store}-changelog`,
    partitions: () => TASKS,
  };
  const options = resolveOptions({ applicationId: 'path' });
  const stores = new TaskStores(subTopology);
  let feed;
  let bytes = 0;
  const fetcher = {
    add: (topic, p, offset) => {
      feed = new Feed({ topic, partition: p, offset, outOfRange: 'fail', taken: () => {} });
      return feed;
    },
    remove: () => {},
  };
  const session = {
    commit: async ({ outputs }) => {
      for (const { batches } of outputs)
        for (const batch of batches) bytes += sealBatch(batch, IDS).length;
    },
  };
  const task = new Task(
    {
      plan,
      session,
      stores,
      stepIds: new StepIds(systemPorts.random),
      options,
      group: {
        heartbeat: async () => {},
        membership: async () => ({}),
        ownedSince: () => true,
        step: (work) => work(),
        generation: 1,
      },
      clock: systemPorts.clock,
      processed: { value: 0 },
      wake: () => {},
      begin: (committed) =>
        beginRun({
          plan,
          subTopology,
          names,
          stores,
          committed,
          options,
          fetcher,
          ports: systemPorts,
          log: silentLog,
          wake: () => {},
          failed: (e) => {
            throw e;
          },
        }),
    },
    { stepId: 'first', offsets: [0], times: [-1] },
  );
  return { task, feed: () => feed, bytes: () => bytes, offset: 0 };
}

async function measure(name) {
  const chunks = inputs();
  const app = topology(name);
  WORKLOADS[name](app);
  const built = app.build();
  const tasks = Array.from({ length: TASKS }, (_, p) => taskOf(built, p));
  const options = { isolation: 'read_committed', abortedTransactions: null };
  let done = 0;
  let cpu = process.cpuUsage();
  const figures = [];
  let mark = 0;
  for (let step = 0; done < TOTAL; step += 1) {
    for (const [p, each] of tasks.entries()) {
      const bytes = chunks[p][step % STEPS];
      bytes.writeBigInt64BE(BigInt(each.offset), 0);
      const parsed = parseFetched(bytes, { ...options, fetchOffset: each.offset });
      each.offset += STEP_RECORDS;
      const feed = each.feed();
      feed.lastStableOffset = each.offset;
      feed.put(parsed);
      while (each.task.process(Number.POSITIVE_INFINITY) === 'worked');
      await each.task.settled();
      each.task.commitIfDue(1e15 + step * 1e6);
      each.task.commitIfDue(1e15 + step * 1e6 + 5e5);
      done += STEP_RECORDS;
    }
    await systemPorts.timers.turn();
    if (done - mark >= 500_000) {
      const used = process.cpuUsage(cpu);
      figures.push((used.user + used.system) / (done - mark));
      cpu = process.cpuUsage();
      mark = done;
    }
  }
  const out = tasks.reduce((sum, each) => sum + each.bytes(), 0);
  const half = figures.slice(figures.length >> 1).sort((a, b) => a - b);
  process.stdout.write(
    `${name} warm ${half[half.length >> 1].toFixed(3)} best ${half[0].toFixed(3)} us/record, ${Math.round(out / done)} bytes out  [${figures.map((f) => f.toFixed(2)).join(' ')}]\n`,
  );
}

const chosen = process.argv.slice(2);
for (const name of chosen.length > 0 ? chosen : ['w0', 'w1']) await measure(name);
