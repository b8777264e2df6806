/** Real Apache Kafka for tests, from Maven Central: one node, KRaft, broker and controller in one. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { freePorts } from '../../free-ports.ts';
import { cached, runCommand } from './cache.ts';
import { type JavaProcess, startJava, untilReady } from './java-process.ts';

/** The oldest one supported, the last one with transactions v1, and the newest. */
export type KafkaVersion = '3.3.2' | '3.9.1' | '4.3.1';

export interface RealKafka {
  /** `127.0.0.1:port`; stays the same over restarts. */
  readonly bootstrap: string;
  readonly version: KafkaVersion;
  /** Of the running broker; changes with each restart. */
  readonly pid: number;
  /**
   * Stops cleanly (when it runs) and starts again on the same port with the same logs. `down` is called
   * in between.
   */
  restart(down?: () => void): Promise<void>;
  /** SIGKILL; `restart` brings it back. */
  kill(): Promise<void>;
  /** Stops and removes the logs. */
  stop(): Promise<void>;
}

export interface KafkaOptions {
  readonly version: KafkaVersion;
  /** Default: a free one. */
  readonly port?: number;
  /** Default `-Xmx512m`. */
  readonly heap?: string;
  /** Broker settings over the ones below. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Besides the plain one, which tests of other listeners use to look on. */
  readonly listeners?: readonly ListenerOptions[];
  /** More for `StorageTool format`, as `--add-scram`. */
  readonly format?: readonly string[];
}

export interface ListenerOptions {
  /** In capitals. */
  readonly name: string;
  readonly protocol: 'SASL_PLAINTEXT' | 'SASL_SSL' | 'SSL';
  readonly port: number;
}

/** Settings of a broker that starts again: its controller holds the old registration for a session. */
export const STARTED_AGAIN = { 'broker.session.timeout.ms': '3000' };

export const READY_MS_MAX = 150_000;

/** A Maven project that needs one artifact of Kafka and a log that is quiet. */
export function pomOf(artifact: string, version: KafkaVersion): string {
  const dependency = (group: string, name: string, its: string): string =>
    `<dependency><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${its}</version></dependency>`;
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>escapement.parts</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    ${dependency('org.apache.kafka', artifact, version)}
    ${dependency('org.slf4j', 'slf4j-simple', '1.7.36')}
  </dependencies>
</project>
`;
}

/** Kafka's jars in the cache. */
export function kafkaJars(version: KafkaVersion): Promise<string> {
  return cached(`kafka-${version}`, async (folder) => {
    writeFileSync(join(folder, 'pom.xml'), pomOf('kafka_2.13', version));
    const copy = ['dependency:copy-dependencies', `-DoutputDirectory=${join(folder, 'libs')}`];
    await runCommand('mvn', ['-q', '-B', ...copy], folder);
  });
}

/** Of one node, which listens for clients on `port`, and on the listeners of `more`. */
export function serverSettings(
  port: number,
  controllerPort: number,
  logs: string,
  more: readonly ListenerOptions[] = [],
) {
  const shown = more.map((each) => `,${each.name}://127.0.0.1:${each.port}`).join('');
  const protocols = more.map(({ name, protocol }) => `,${name}:${protocol}`).join('');
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}${shown}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}${shown}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': `CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT${protocols}`,
    'log.dirs': logs,
    'auto.create.topics.enable': 'false',
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.num.partitions': '4',
    'transaction.state.log.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    // Sessions and transactions of tests are short; the broker must look at them often.
    'group.min.session.timeout.ms': '1000',
    'transaction.abort.timed.out.transaction.cleanup.interval.ms': '200',
    'log.cleaner.dedupe.buffer.size': '16777216',
    // Half a minute after its start, and every five after, a broker drops records whose times are older
    // than the retention of their topic, which are many of a test's. Not while it runs.
    'log.initial.task.delay.ms': '86400000',
    'log.retention.check.interval.ms': '86400000',
    // Compacted topics of tests are looked at soon.
    'log.cleaner.backoff.ms': '500',
    // A broker that stood still for a session is fenced by its own controller when both go on: its
    // partitions have no leader for a moment, and then another leader epoch.
    'broker.session.timeout.ms': '60000',
    'broker.heartbeat.interval.ms': '500',
    // At each look groups without members and offsets are forgotten, and their generations with them.
    'offsets.retention.check.interval.ms': '86400000',
    // A stopping broker has nobody to hand its partitions to.
    'controlled.shutdown.enable': 'false',
  };
}

const QUIET = '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn';

const classPath = (jars: string): string[] => [QUIET, '-cp', `${jars}/libs/*`];

/** Writes the settings of a node and makes its log folder. */
export async function formatStorage(
  jars: string,
  properties: string,
  settings: Readonly<Record<string, string>>,
  more: readonly string[] = [],
): Promise<void> {
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(properties, lines.join(''));
  await runCommand(
    'java',
    // biome-ignore format: one command line
    ['-Xmx256m', '-XX:TieredStopAtLevel=1', ...classPath(jars), 'kafka.tools.StorageTool', 'format',
      '--config', properties, '--cluster-id', 'ZXNjYXBlbWVudC10ZXN0cw', ...more],
    dirname(properties),
  );
}

/** `jvm`: options of the virtual machine, for instance `-Xmx512m`. */
export function startBroker(jars: string, properties: string, jvm: readonly string[]): JavaProcess {
  return startJava([...jvm, ...classPath(jars), 'kafka.Kafka', properties], dirname(properties));
}

export async function startKafka(options: KafkaOptions): Promise<RealKafka> {
  const jars = await kafkaJars(options.version);
  const ports = await freePorts(2);
  const port = options.port ?? (ports[0] as number);
  const folder = mkdtempSync(join(tmpdir(), 'escapement-kafka-'));
  const bootstrap = `127.0.0.1:${port}`;
  const properties = join(folder, 'server.properties');
  const settings = {
    ...serverSettings(port, ports[1] as number, join(folder, 'logs'), options.listeners ?? []),
    ...options.settings,
  };
  await formatStorage(jars, properties, settings, options.format);
  const launch = async (): Promise<JavaProcess> => {
    const started = startBroker(jars, properties, [options.heap ?? '-Xmx512m']);
    await untilReady(`Kafka ${options.version}`, started, READY_MS_MAX, () => answers(port, [1]));
    return started;
  };
  let server = await launch();
  // One that is abandoned may write until it has taken the signal.
  const removeLogs = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  const abandon = (): void => {
    server.kill('SIGKILL');
    removeLogs();
  };
  process.once('exit', abandon);
  return {
    bootstrap,
    version: options.version,
    get pid() {
      return server.pid;
    },
    async restart(down) {
      await server.stop('SIGTERM');
      down?.();
      server = await launch();
    },
    kill: () => server.stop('SIGKILL'),
    async stop() {
      await server.stop('SIGTERM');
      process.removeListener('exit', abandon);
      removeLogs();
    },
  };
}

/**
 * Throws until the broker is up: the port first (cheap), then the metadata as a client sees it, with
 * these nodes in it.
 */
export async function answers(port: number, nodeIds: readonly number[]): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve();
    });
    socket.on('error', reject);
  });
  const admin = new Kafka({
    clientId: 'ready',
    brokers: [`127.0.0.1:${port}`],
    logLevel: logLevel.NOTHING,
    retry: { retries: 0 },
  }).admin();
  try {
    await admin.connect();
    const { brokers, controller } = await admin.describeCluster();
    const missing = nodeIds.filter((id) => !brokers.some(({ nodeId }) => nodeId === id));
    if (missing.length > 0 || controller === null) {
      throw new Error(`the brokers ${missing} are not registered yet`);
    }
  } finally {
    await admin.disconnect();
  }
}
