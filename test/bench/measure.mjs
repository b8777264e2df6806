/**
 * Seeing an application from outside: its JSON lines, its committed offsets and its CPU in /proc.
 * Nothing here asks the application about itself.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Kafka, logLevel } from 'kafkajs';
import { BenchFailed } from './parts.mjs';

const TICKS_PER_SECOND = 100; // USER_HZ, the same on every Linux
const SAMPLE_MS = 25;
const LEADERS_MS_MAX = 30_000;
const PARTITIONS = 4;

/** User and system seconds of a process so far; null when it is gone. */
export function cpuSeconds(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command, second field, may hold spaces and brackets; fields are counted after it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return null;
    throw error;
  }
}

function peakMegabytes(pid) {
  const line = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return line === null ? 0 : Math.round(Number(line[1]) / 1024);
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Starts an application; `running` resolves with the time in its RUNNING line, `restores` gives its
 * lines on restores so far.
 */
export function startApplication(command, options, log) {
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(command[0], [...command.slice(1), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const begun = Date.now();
  let err = '';
  let pending = '';
  let gone = false;
  const ended = new Promise((resolve) => {
    child.on('error', (error) => {
      err += error.message;
      gone = true;
      resolve();
    });
    child.on('exit', () => {
      gone = true;
      resolve();
    });
  });
  child.stderr.on('data', (piece) => {
    err = (err + piece).slice(-4_000);
    log(String(piece));
  });
  const restores = [];
  const running = new Promise((resolve, reject) => {
    child.stdout.on('data', (piece) => {
      pending += piece;
      for (let end = pending.indexOf('\n'); end >= 0; end = pending.indexOf('\n')) {
        const line = pending.slice(0, end);
        pending = pending.slice(end + 1);
        if (line.includes('"RUNNING"')) resolve(JSON.parse(line).t);
        if (line.includes('"restore')) restores.push(JSON.parse(line));
      }
    });
    ended.then(() => reject(new BenchFailed(`the application ended before RUNNING:\n${err}`)));
  });
  running.catch(() => {});
  return {
    pid: child.pid,
    begun,
    running,
    restores: () => restores,
    ended: () => (gone ? err || 'no reason given' : null),
    async stop() {
      if (!gone) child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
      await ended;
      clearTimeout(timer);
    },
  };
}

export async function openAdmin(bootstrap) {
  const admin = new Kafka({
    clientId: 'bench',
    brokers: [bootstrap],
    logLevel: logLevel.NOTHING,
  }).admin();
  await admin.connect();
  return admin;
}

/** Resolves when every partition has a leader; kafkajs itself gives up on a broker that is busy. */
export async function createTopic(admin, topic, configs = []) {
  const configEntries = [{ name: 'retention.ms', value: '-1' }, ...configs];
  await admin.createTopics({
    waitForLeaders: false,
    topics: [{ topic, numPartitions: PARTITIONS, replicationFactor: 1, configEntries }],
  });
  const deadline = Date.now() + LEADERS_MS_MAX;
  for (;;) {
    const [found] = await admin.fetchTopicMetadata({ topics: [topic] }).then(
      ({ topics }) => topics,
      () => [],
    );
    if (found?.partitions.every(({ leader }) => leader >= 0)) return;
    if (Date.now() > deadline) throw new BenchFailed(`${topic} has no leaders`);
    await pause(SAMPLE_MS);
  }
}

export async function deleteTopics(admin, prefix) {
  const topics = (await admin.listTopics()).filter((topic) => topic.startsWith(prefix));
  if (topics.length > 0) await admin.deleteTopics({ topics });
}

/** Commits the beginning of an empty topic, as a step with nothing read would. */
export async function beginAt(admin, groupId, topic) {
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => ({
    partition,
    offset: '0',
  }));
  await admin.setOffsets({ groupId, topic, partitions });
}

/** Rows a second, from the first restore that began to the last that ended. */
export function restored(lines, rows) {
  const begins = lines.filter((line) => 'restoreStart' in line);
  const ends = lines.filter((line) => 'restoreEnd' in line);
  const count = ends.reduce((sum, line) => sum + line.restored, 0);
  if (count < rows) throw new BenchFailed(`${count} of ${rows} rows were restored`);
  const restoreMs = Math.max(...ends.map(({ t }) => t)) - Math.min(...begins.map(({ t }) => t));
  return { restoreMs, rowsPerSecond: (rows * 1000) / Math.max(1, restoreMs) };
}

/** Records of the input that committed steps have read; 0 while the coordinator cannot be asked. */
async function committedOf(admin, groupId, topic) {
  const [answer] = await admin
    .fetchOffsets({ groupId, topics: [topic] })
    .catch(() => [{ partitions: [] }]);
  return answer.partitions.reduce((sum, { offset }) => sum + Math.max(0, Number(offset)), 0);
}

/**
 * Follows an application until its committed offsets reach the end of its input. CPU and time of the
 * second half count from the first sample with half the records committed, when compilers are warm.
 */
export async function drain({ admin, application, groupId, topic, records, timeoutMs }) {
  const running = await application.running;
  const atRunning = cpuSeconds(application.pid);
  const deadline = Date.now() + timeoutMs;
  let half = null;
  for (;;) {
    const done = await committedOf(admin, groupId, topic);
    const sample = { t: Date.now(), cpu: cpuSeconds(application.pid), done };
    if (sample.cpu === null || application.ended() !== null) {
      throw new BenchFailed(
        `the application ended after ${done} of ${records} records: ${application.ended()}`,
      );
    }
    if (half === null && done >= records / 2) half = sample;
    if (done >= records) return figures({ application, records, running, atRunning, half, sample });
    if (Date.now() > deadline) {
      throw new BenchFailed(`${done} of ${records} records in ${timeoutMs} ms`);
    }
    await pause(SAMPLE_MS);
  }
}

function figures({ application, records, running, atRunning, half, sample }) {
  const left = records - half.done;
  const micros = (seconds, of) => (of < records / 20 ? null : (seconds * 1e6) / of);
  return {
    records,
    toRunningMs: running - application.begun,
    elapsedMs: sample.t - running,
    recordsPerSecond: (records * 1000) / (sample.t - running),
    cpuMicrosPerRecord: micros(sample.cpu - atRunning, records),
    secondHalfCpuMicrosPerRecord: micros(sample.cpu - half.cpu, left),
    secondHalfRecordsPerSecond: left === 0 ? null : (left * 1000) / Math.max(1, sample.t - half.t),
    peakMegabytes: peakMegabytes(application.pid),
  };
}
