/** The Java side of the bench: building the peer project and running its broker and its tools. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const peer = join(here, 'peers', 'kafka-streams');
const cache = fileURLToPath(new URL('../../.cache/bench/', import.meta.url));
const QUIET = '-Dorg.slf4j.simpleLogger.defaultLogLevel=error';

export class BenchFailed extends Error {}

/** Class path of the peer project, built when its sources are not those of the last build. */
export function buildPeer(say) {
  const hash = createHash('sha256');
  const files = readdirSync(peer, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(java|xml)$/.test(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
  for (const path of files) hash.update(path.slice(peer.length)).update(readFileSync(path));
  const folder = join(cache, `peer-${hash.digest('hex').slice(0, 12)}`);
  if (!existsSync(folder)) {
    say('building the Kafka Streams peer (Maven, Java 17)');
    mkdirSync(cache, { recursive: true });
    const draft = `${folder}.${process.pid}`;
    const goals = ['package', 'dependency:copy-dependencies'];
    const settings = [
      `-Dbuild.folder=${draft}`,
      `-DoutputDirectory=${join(draft, 'libs')}`,
      '-DincludeScope=runtime',
    ];
    const run = spawnSync('mvn', ['-q', '-B', '-f', join(peer, 'pom.xml'), ...goals, ...settings], {
      encoding: 'utf8',
    });
    if (run.status !== 0) {
      rmSync(draft, { recursive: true, force: true });
      const said = run.error?.message ?? run.stdout + run.stderr;
      throw new BenchFailed(`the peer could not be built; Maven and a JDK 17 are needed:\n${said}`);
    }
    renameSync(draft, folder);
  }
  return `${join(folder, 'peer.jar')}:${join(folder, 'libs')}/*`;
}

export const streamsCommand = (classPath) => [
  'java',
  '-Xmx1g',
  QUIET,
  '-cp',
  classPath,
  'escapement.bench.App',
];

/** Starts one of load, watch and verify; `line` is its last JSON line once it has ended well. */
export function startTool(classPath, name, options) {
  const args = Object.entries(options).flatMap(([key, value]) => [`--${key}`, String(value)]);
  const child = spawn(
    'java',
    ['-Xmx2g', '-XX:+UseSerialGC', QUIET, '-cp', classPath, 'escapement.bench.Tool', name, ...args],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let out = '';
  let err = '';
  let firstLine;
  const first = new Promise((resolve) => {
    firstLine = resolve;
  });
  child.stdout.on('data', (piece) => {
    out += piece;
    if (out.includes('\n')) firstLine();
  });
  child.stderr.on('data', (piece) => {
    err += piece;
  });
  const line = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      firstLine();
      const last = out.trim().split('\n').at(-1) ?? '';
      // verify ends with 1 and still says what it found
      if (last.startsWith('{') && (code === 0 || name === 'verify')) resolve(JSON.parse(last));
      else reject(new BenchFailed(`${name} ended with ${code}:\n${err.slice(-2_000)}`));
    });
  });
  line.catch(() => {});
  return { first, line, stop: () => child.kill('SIGKILL') };
}

export const runTool = (classPath, name, options) => startTool(classPath, name, options).line;

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

function answers(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    }).on('error', () => resolve(false));
  });
}

/**
 * One Kafka node for every peer. What is not set here has Kafka's default. `transactions`: 2, or 1 for
 * the protocol of brokers before 4.0.
 */
export async function startBroker(classPath, folder, transactions) {
  const port = await freePort();
  const controller = await freePort();
  const properties = join(folder, 'server.properties');
  writeFileSync(
    properties,
    `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${controller}
listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=${join(folder, 'logs')}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
`,
  );
  const java = (...args) => [QUIET, '-cp', classPath, ...args];
  const id = ['--cluster-id', 'ZXNjYXBlbWVudC1iZW5jaA'];
  const feature = ['--feature', `transaction.version=${transactions}`];
  const format = spawnSync(
    'java',
    java('kafka.tools.StorageTool', 'format', '--config', properties, ...id, ...feature),
    { encoding: 'utf8' },
  );
  if (format.status !== 0) throw new BenchFailed(`no storage for Kafka:\n${format.stderr}`);
  const child = spawn('java', ['-Xmx1g', '-Xms1g', ...java('kafka.Kafka', properties)], {
    stdio: 'ignore',
  });
  const gone = new Promise((resolve) => {
    child.on('exit', resolve);
  });
  const kill = () => child.kill('SIGKILL');
  process.on('exit', kill);
  const deadline = Date.now() + 60_000;
  while (!(await answers(port))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      throw new BenchFailed('Kafka did not start; is Java 17 there, and enough memory?');
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    bootstrap: `127.0.0.1:${port}`,
    pid: child.pid,
    async stop() {
      child.kill('SIGTERM');
      const timer = setTimeout(kill, 20_000);
      await gone;
      clearTimeout(timer);
      process.removeListener('exit', kill);
    },
  };
}
