/**
 * The transport over kafkajs: bootstrap, TLS, SASL and sockets are its business, nothing else is.
 *
 * Owns the table of links (lane x node). kafkajs's own producer, consumer, metadata cache and
 * retries are not used: the code above owns retries and learns node addresses itself (`learn`).
 *
 * I1. One socket per lane and node, opened by its first request (transport.ts I3).
 * I2. A link that closed leaves the table before anyone hears of it, so a retry gets a new one.
 * I3. `any` prefers a connection that stands; then each bootstrap address once; then the nodes that
 *     were learned, because the bootstrap brokers may be gone while the cluster lives.
 */
import { Kafka, type KafkaConfig, logLevel } from 'kafkajs';
import type { Known } from '../../config/known-options.ts';
import { EscapementError } from '../../errors.ts';
import type { Ports } from '../../ports.ts';
import type { Log } from '../../telemetry/log.ts';
import { connectionProblems } from './kafkajs-connection.ts';
import { KafkajsLink } from './kafkajs-link.ts';
import { checkSecurity, saslOf } from './kafkajs-security.ts';
import {
  type ConsumerFactory,
  captureCluster,
  checkedPool,
  type KafkajsCluster,
  type KafkajsConnectionPool,
} from './kafkajs-shape.ts';
import { Secrets } from './secrets.ts';
import {
  type Lane,
  type Node,
  type Transport,
  TransportError,
  type TransportRequest,
} from './transport.ts';

/** Bounds the walk over a bootstrap list that kafkajs does not show us. */
const BOOTSTRAP_ADDRESSES_MAX = 32;

/** How an application says where its cluster is: a kafkajs client, or the configuration of one. */
export type KafkajsConnection = Kafka | KafkaConfig;

export interface KafkajsTransportOptions {
  readonly ports: Ports;
  readonly log: Log;
  /** Largest answer taken from a broker. Default: 100 MiB. */
  readonly frameBytesMax?: number;
}

const FRAME_BYTES_MAX = 104_857_600;

/** What kafkajs 2.2.4 takes. */
const KNOWN: Known<KafkaConfig> = {
  brokers: true,
  ssl: true,
  sasl: true,
  clientId: true,
  connectionTimeout: true,
  authenticationTimeout: true,
  reauthenticationThreshold: true,
  requestTimeout: true,
  enforceRequestTimeout: true,
  retry: true,
  socketFactory: true,
  logLevel: true,
  logCreator: true,
};

/** What is wrong with the option `kafka` of `run` and `openAdmin`, before anything is connected. */
export function kafkaProblems(given: unknown): readonly string[] {
  return connectionProblems(given, KNOWN);
}

/**
 * A transport over a kafkajs client, or over the configuration of one. Throws `OPTION_INVALID` for a
 * configuration that cannot lead to a cluster.
 */
export function kafkajsTransport(
  config: KafkajsConnection,
  options: KafkajsTransportOptions,
): Transport {
  const problems = kafkaProblems(config);
  if (problems.length > 0) throw new EscapementError('OPTION_INVALID', `${problems.join('; ')}.`);
  const secrets = new Secrets();
  const kafka = isClient(config) ? config : new Kafka(quiet(config, options.log, secrets));
  return new KafkajsTransport(captureCluster(kafka), options, secrets);
}

function isClient(config: KafkajsConnection): config is Kafka {
  return typeof (config as Partial<ConsumerFactory>).consumer === 'function';
}

/** kafkajs reports what it does to our log, at debug: errors reach the caller as errors. */
function quiet(config: KafkaConfig, log: Log, secrets: Secrets): KafkaConfig {
  checkSecurity(config, log, secrets);
  return {
    clientId: 'escapement',
    connectionTimeout: 3_000,
    logLevel: logLevel.INFO,
    logCreator:
      () =>
      ({ namespace, label, log: entry }) =>
        log.debug({ namespace, label, message: secrets.hide(entry.message) }, 'kafkajs'),
    ...config,
    ...(config.sasl === undefined ? {} : { sasl: saslOf(config.sasl, secrets) }),
    enforceRequestTimeout: false,
    retry: { ...config.retry, retries: 0 },
  };
}

class KafkajsTransport implements Transport {
  readonly #cluster: KafkajsCluster;
  readonly #ports: Ports;
  readonly #secrets: Secrets;
  readonly #frameBytesMax: number;
  readonly #nodes = new Map<number, Node>();
  readonly #links = new Map<Lane, Map<number, KafkajsLink>>();
  /** Links to bootstrap addresses, whose node id is not known. */
  readonly #bootstraps = new Map<Lane, KafkajsLink>();
  readonly #bootstrapping = new Map<Lane, Promise<KafkajsLink>>();
  readonly #building = new Map<Lane, Map<number, Promise<KafkajsLink>>>();
  #state: 'open' | 'closed' = 'open';

  constructor(cluster: KafkajsCluster, options: KafkajsTransportOptions, secrets: Secrets) {
    this.#cluster = cluster;
    this.#ports = options.ports;
    this.#secrets = secrets;
    this.#frameBytesMax = options.frameBytesMax ?? FRAME_BYTES_MAX;
  }

  request(node: number | 'any', request: TransportRequest): Promise<Buffer> {
    if (this.#state === 'closed') {
      return Promise.reject(new TransportError('never-sent', 'The transport is closed.'));
    }
    if (node === 'any') {
      const standing = this.#standing(request.lane);
      if (standing !== null) return standing.send(request);
      return this.#within(request.timeoutMs, this.#bootstrap(request.lane)).then((link) =>
        link.send(request),
      );
    }
    const link = this.#links.get(request.lane)?.get(node);
    if (link !== undefined) return link.send(request);
    return this.#connect(node, request.lane).then((opened) => opened.send(request));
  }

  learn(nodes: readonly Node[]): void {
    for (const node of nodes) {
      const known = this.#nodes.get(node.id);
      if (known?.host === node.host && known.port === node.port) continue;
      this.#nodes.set(node.id, node);
      if (known === undefined) continue;
      for (const lane of this.#links.values()) {
        lane.get(node.id)?.close(new Error(`node ${node.id} moved to ${node.host}:${node.port}`));
      }
    }
  }

  close(): Promise<void> {
    this.#state = 'closed';
    const reason = new Error('the transport was closed');
    for (const lane of this.#links.values()) for (const link of lane.values()) link.close(reason);
    for (const link of this.#bootstraps.values()) link.close(reason);
    return Promise.resolve();
  }

  /** The one that owes the fewest answers: a broker may be silent without closing its connections. */
  #standing(lane: Lane): KafkajsLink | null {
    const bootstrap = this.#bootstraps.get(lane);
    const links = [...(this.#links.get(lane)?.values() ?? [])];
    if (bootstrap !== undefined) links.unshift(bootstrap);
    let best: KafkajsLink | null = null;
    for (const link of links) {
      if (link.state !== 'open') continue;
      if (best === null || link.unanswered < best.unanswered) best = link;
    }
    return best;
  }

  /** The link to a node is built once, however many requests wait for it. */
  #connect(node: number, lane: Lane): Promise<KafkajsLink> {
    let building = this.#building.get(lane);
    if (building === undefined) {
      building = new Map();
      this.#building.set(lane, building);
    }
    const running = building.get(node);
    if (running !== undefined) return running;
    const address = this.#nodes.get(node);
    if (address === undefined) {
      return Promise.reject(
        new TransportError('never-sent', `Node ${node} is not among the brokers known so far.`),
      );
    }
    let links = this.#links.get(lane);
    if (links === undefined) {
      links = new Map();
      this.#links.set(lane, links);
    }
    const table = links;
    const started = this.#pool(address).then((pool) => {
      const link = this.#link(lane, pool, node, (closed) => {
        if (table.get(node) === closed) table.delete(node);
      });
      table.set(node, link);
      return link;
    });
    building.set(node, started);
    const finished = () => building.delete(node);
    started.then(finished, finished);
    return started;
  }

  #bootstrap(lane: Lane): Promise<KafkajsLink> {
    const running = this.#bootstrapping.get(lane);
    if (running !== undefined) return running;
    const started = this.#walkBootstrap(lane);
    this.#bootstrapping.set(lane, started);
    const finished = () => this.#bootstrapping.delete(lane);
    started.then(finished, finished);
    return started;
  }

  async #walkBootstrap(lane: Lane): Promise<KafkajsLink> {
    const tried = new Map<string, TransportError>();
    for (let count = 0; count < BOOTSTRAP_ADDRESSES_MAX; count++) {
      const pool = await this.#pool(null);
      const address = `${pool.host}:${pool.port}`;
      // The list is walked in rotation, so an address seen before means that all were tried.
      if (tried.has(address)) break;
      const link = this.#link(lane, pool, null, (closed) => {
        if (this.#bootstraps.get(lane) === closed) this.#bootstraps.delete(lane);
      });
      this.#bootstraps.set(lane, link);
      const failure = await failureOf(link.opened);
      if (failure === null) return link;
      tried.set(address, failure);
    }
    for (const node of this.#nodes.values()) {
      const address = `${node.host}:${node.port}`;
      if (tried.has(address)) continue;
      const link = await this.#connect(node.id, lane);
      const failure = await failureOf(link.opened);
      if (failure === null) return link;
      tried.set(address, failure);
    }
    const failures = [...tried.values()];
    const message = failures.map((failure) => failure.message).join(' ');
    throw new TransportError('never-sent', message, failures[0]);
  }

  async #pool(address: Node | null): Promise<KafkajsConnectionPool> {
    const builder = this.#cluster.connectionPoolBuilder;
    let built: unknown;
    try {
      built = await (address === null
        ? builder.build()
        : builder.build({ host: address.host, port: address.port }));
    } catch (error) {
      // The bootstrap list is empty or invalid; or it is a function, which threw.
      const cause = this.#secrets.bare(error);
      const message = `The kafkajs option \`brokers\`: ${cause.message}`;
      if (cause.name === 'KafkaJSConnectionError') {
        throw new TransportError('never-sent', message, cause);
      }
      throw new EscapementError('OPTION_INVALID', message, { cause });
    }
    if (this.#state === 'closed') {
      throw new TransportError('never-sent', 'The transport is closed.');
    }
    const pool = checkedPool(built);
    if (address === null && !(pool.port > 0)) throw notAnAddress(pool);
    return pool;
  }

  #link(
    lane: Lane,
    pool: KafkajsConnectionPool,
    nodeId: number | null,
    onClosed: (link: KafkajsLink) => void,
  ): KafkajsLink {
    const logger = this.#cluster.rootLogger;
    const secrets = this.#secrets;
    secrets.learn(pool.sasl, pool.ssl);
    const broker = this.#cluster.brokerPool.createBroker({ connectionPool: pool, logger, nodeId });
    const { timers } = this.#ports;
    const frameBytesMax = this.#frameBytesMax;
    return new KafkajsLink({ broker, pool, lane, timers, secrets, frameBytesMax, onClosed });
  }

  /** The walk over the bootstrap list goes on for others when one request runs out of time. */
  #within(timeoutMs: number, link: Promise<KafkajsLink>): Promise<KafkajsLink> {
    return new Promise((resolve, reject) => {
      const timer = this.#ports.timers.after(timeoutMs, () =>
        reject(
          new TransportError('never-sent', `No bootstrap broker answered within ${timeoutMs} ms.`),
        ),
      );
      link.then(
        (opened) => {
          timer.cancel();
          resolve(opened);
        },
        (error: unknown) => {
          timer.cancel();
          reject(error);
        },
      );
    });
  }
}

/** Of a client that somebody made, or of brokers that a function gave; a configuration is looked at. */
function notAnAddress({ host, port }: { host: string; port: number }): EscapementError {
  return new EscapementError(
    'OPTION_INVALID',
    `The kafkajs option \`brokers\` leads to '${host}:${port}', which is no address: it is a list of ` +
      "'host:port', such as ['127.0.0.1:9092'].",
  );
}

/** Only a connection that could not be made is worth another address; a refused login is not. */
async function failureOf(opened: Promise<void>): Promise<TransportError | null> {
  try {
    await opened;
    return null;
  } catch (error) {
    if (error instanceof TransportError) return error;
    throw error;
  }
}
