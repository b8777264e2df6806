/**
 * Three nodes of real Kafka for tests, each broker and controller in one: replication factor 3,
 * `min.insync.replicas` 2, and any one of them may be killed, stopped for a while or restarted while
 * the other two go on.
 *
 * Small on purpose (two cores carry it): little heap, the quick compiler alone, few internal
 * partitions. What takes a lost node out of the cluster is the controller's `broker.session.timeout.ms`
 * (3 s here), whether it was killed or only does not answer.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Admin, Kafka, logLevel, type PartitionMetadata } from 'kafkajs';
import { freePorts } from '../../free-ports.ts';
import { freeze, thaw } from './freeze.ts';
import { type JavaProcess, untilReady } from './java-process.ts';
import {
  answers,
  formatStorage,
  type KafkaVersion,
  kafkaJars,
  READY_MS_MAX,
  STARTED_AGAIN,
  serverSettings,
  startBroker,
} from './kafka.ts';

export interface RealNode {
  /** 1, 2 or 3. */
  readonly id: number;
  /** `127.0.0.1:port`; stays the same over restarts. */
  readonly address: string;
  /** Of the running process; changes with each restart. */
  readonly pid: number;
  /** SIGKILL; `restart` brings it back. */
  kill(): Promise<void>;
  /** Stops cleanly (when it runs) and starts again; resolves when the node is registered again. */
  restart(): Promise<void>;
  /** SIGSTOP: connections stay open and nothing answers. Resolves when it stands still. */
  pause(): Promise<void>;
  /** SIGCONT. */
  resume(): void;
}

export interface RealCluster {
  /** All three addresses, separated by commas. */
  readonly bootstrap: string;
  readonly version: KafkaVersion;
  readonly nodes: readonly RealNode[];
  /** The node that leads a partition now, as the nodes that answer know it. */
  leaderOf(topic: string, partition: number): Promise<RealNode>;
  /** Waits until every replica of every partition is in sync: a next node may be lost then. */
  untilInSync(): Promise<void>;
  /** Waits until each partition is led by its first replica, too: no leader moves by itself then. */
  untilBalanced(): Promise<void>;
  /** Stops all nodes and removes their logs. */
  stop(): Promise<void>;
}

export interface ClusterOptions {
  readonly version: KafkaVersion;
  /** Broker settings of every node, over the ones below. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Settings of one node, over all others. */
  readonly nodeSettings?: (node: NodePorts) => Readonly<Record<string, string>>;
  /** More options of the virtual machines, which run in the folders of their nodes. */
  readonly jvm?: readonly string[];
  /** Where the nodes keep their logs; the caller removes it. Default: a folder of its own. */
  readonly folder?: string;
}

export interface NodePorts {
  readonly id: number;
  readonly port: number;
  readonly controllerPort: number;
}

const IDS = [1, 2, 3];
const JVM = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto'];
const IN_SYNC_MS_MAX = 120_000;
const POLL_MS = 100;

const REPLICATED = {
  'default.replication.factor': '3',
  'min.insync.replicas': '2',
  'offsets.topic.replication.factor': '3',
  'transaction.state.log.replication.factor': '3',
  'transaction.state.log.min.isr': '2',
  ...STARTED_AGAIN,
  // A follower that died or does not answer leaves the replicas in sync after this.
  'replica.lag.time.max.ms': '3000',
  // A node that stops hands its leaderships over first: two others take them.
  'controlled.shutdown.enable': 'true',
  'leader.imbalance.check.interval.seconds': '5',
  // Short elections, for a controller may be the node that dies.
  'controller.quorum.election.timeout.ms': '500',
  'controller.quorum.fetch.timeout.ms': '1000',
};

export async function startKafkaCluster(options: ClusterOptions): Promise<RealCluster> {
  const jars = await kafkaJars(options.version);
  const ports = await freePorts(2 * IDS.length);
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'escapement-kafka-cluster-'));
  const removeLogs = (): void => {
    if (options.folder !== undefined) return;
    // Nodes that are abandoned may write until they have taken the signal.
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  const abandon = (): void => {
    for (const node of nodes) node.abandon();
    removeLogs();
  };
  const voters = IDS.map((id, i) => `${id}@127.0.0.1:${ports[IDS.length + i]}`).join();
  const nodes = await Promise.all(
    IDS.map(async (id, i) => {
      const home = join(folder, `node-${id}`);
      mkdirSync(home);
      const port = ports[i] as number;
      const controllerPort = ports[IDS.length + i] as number;
      const settings = {
        ...serverSettings(port, controllerPort, join(home, 'logs')),
        ...REPLICATED,
        'node.id': String(id),
        'controller.quorum.voters': voters,
        ...options.settings,
        ...options.nodeSettings?.({ id, port, controllerPort }),
      };
      const properties = join(home, 'server.properties');
      await formatStorage(jars, properties, settings);
      return new Node(id, port, () =>
        startBroker(jars, properties, [...JVM, ...(options.jvm ?? [])]),
      );
    }),
  );
  for (const node of nodes) node.launch();
  process.once('exit', abandon);
  await Promise.all(nodes.map((node) => node.untilReady(IDS)));
  const bootstrap = nodes.map(({ address }) => address).join();
  return {
    bootstrap,
    version: options.version,
    nodes,
    async leaderOf(topic, partition) {
      const leader = await withAdmin(answering(nodes), async (admin) => {
        const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
        return topics[0]?.partitions.find(({ partitionId }) => partitionId === partition)?.leader;
      });
      const node = nodes.find(({ id }) => id === leader);
      if (node === undefined) throw new Error(`${topic}-${partition} has no leader`);
      return node;
    },
    untilInSync: () => untilEvery(answering(nodes), isInSync),
    untilBalanced: () =>
      untilEvery(answering(nodes), (row) => isInSync(row) && row.leader === row.replicas[0]),
    async stop() {
      // Together and at once: nodes that stop one by one wait for leaders that stop as well.
      await Promise.all(nodes.map((node) => node.kill()));
      process.removeListener('exit', abandon);
      removeLogs();
    },
  };
}

class Node implements RealNode {
  readonly id: number;
  readonly address: string;
  readonly #port: number;
  readonly #start: () => JavaProcess;
  #server: JavaProcess | null = null;
  #isPaused = false;

  constructor(id: number, port: number, start: () => JavaProcess) {
    this.id = id;
    this.address = `127.0.0.1:${port}`;
    this.#port = port;
    this.#start = start;
  }

  get pid(): number {
    return this.#running.pid;
  }

  /** Whether it runs, as far as this side knows. */
  get isAnswering(): boolean {
    return this.#running.ended() === null && !this.#isPaused;
  }

  get #running(): JavaProcess {
    if (this.#server === null) throw new Error(`node ${this.id} was not started`);
    return this.#server;
  }

  launch(): void {
    this.#server = this.#start();
  }

  /** Resolves when this node answers and knows all of `ids`. */
  untilReady(ids: readonly number[]): Promise<void> {
    const what = `node ${this.id} of Kafka`;
    return untilReady(what, this.#running, READY_MS_MAX, () => answers(this.#port, ids));
  }

  kill(): Promise<void> {
    return this.#running.stop('SIGKILL');
  }

  /** SIGKILL, and nobody waits. */
  abandon(): void {
    this.#running.kill('SIGKILL');
  }

  async restart(): Promise<void> {
    this.resume();
    await this.#running.stop('SIGTERM');
    this.launch();
    await this.untilReady([this.id]);
  }

  async pause(): Promise<void> {
    this.#isPaused = true;
    await freeze(this.pid);
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#running.ended() === null) thaw(this.pid);
  }
}

const answering = (nodes: readonly Node[]): string[] =>
  nodes.filter(({ isAnswering }) => isAnswering).map(({ address }) => address);

async function withAdmin<T>(brokers: string[], ask: (admin: Admin) => Promise<T>): Promise<T> {
  const kafka = new Kafka({ brokers, logLevel: logLevel.NOTHING, requestTimeout: 5_000 });
  const admin = kafka.admin();
  await admin.connect();
  try {
    return await ask(admin);
  } finally {
    await admin.disconnect();
  }
}

const isInSync = ({ leader, isr, replicas }: PartitionMetadata): boolean =>
  leader >= 0 && isr.length === replicas.length;

/** The partitions that are not well; kafkajs throws where one has no leader. */
async function behindOf(
  admin: Admin,
  isWell: (partition: PartitionMetadata) => boolean,
): Promise<string[]> {
  try {
    const { topics } = await admin.fetchTopicMetadata();
    return topics.flatMap(({ name, partitions }) =>
      partitions
        .filter((each) => !isWell(each))
        .map(({ partitionId, leader, isr }) => `${name}-${partitionId} (${leader} of ${isr})`),
    );
  } catch (error) {
    return [String(error)];
  }
}

async function untilEvery(
  brokers: string[],
  isWell: (partition: PartitionMetadata) => boolean,
): Promise<void> {
  const deadline = performance.now() + IN_SYNC_MS_MAX;
  await withAdmin(brokers, async (admin) => {
    for (;;) {
      const behind = await behindOf(admin, isWell);
      if (behind.length === 0) return;
      if (performance.now() > deadline) throw new Error(`not in sync: ${behind.join(', ')}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  });
}
