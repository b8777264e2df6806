/**
 * What is known of a Kafka cluster, and the way every typed request takes to it.
 *
 * Used by producer, group, fetch, admin and state. Owns the caches of versions, leaders and
 * coordinators. `send` itself repeats nothing: whether a request may be sent again depends on what
 * it changes, which only its caller knows.
 *
 * I1. A cached leader or coordinator is a guess: a broker that refuses it makes the caller forget it
 *     (`forgetLeader`, `forgetCoordinator`) and ask again.
 * I2. Looking a topic up never creates it.
 * I3. Every lookup ends: it succeeds, or throws after twice `requestTimeoutMs`. A request of it that is
 *     lost without a word is missed after `lookupAttemptMs`, and another one is sent.
 */
import { EscapementError } from '../../errors.ts';
import type { Ports } from '../../ports.ts';
import type { Log } from '../../telemetry/log.ts';
import { type Metric, Metrics } from '../../telemetry/metrics.ts';
import { decodeResponse, encodeRequest } from '../protocol/codec.ts';
import { brokerError, KafkaErrorCode } from '../protocol/error-codes.ts';
import { findCoordinator } from '../protocol/find-coordinator.ts';
import { metadata } from '../protocol/metadata.ts';
import type { Api, Response } from '../protocol/schema.ts';
import { type Lane, type Transport, TransportError } from '../transport/transport.ts';
import { type Attempts, repeat } from './attempts.ts';
import { type CoordinatorKind, Coordinators } from './coordinators.ts';
import { type NodeId, NodeVersions, type VersionRange } from './versions.ts';

export interface ClusterOptions {
  readonly transport: Transport;
  readonly ports: Ports;
  readonly log: Log;
  /** Deadline of one request; a lookup with its repetitions has twice as long. Default 30,000. */
  readonly requestTimeoutMs?: number;
  /**
   * Deadline of the first request of a lookup, and of questions for versions; a Fetch has three times
   * as long. At most 5,000, which is the default, and at most `requestTimeoutMs`.
   */
  readonly lookupAttemptMs?: number;
  readonly metrics?: Metrics;
  /** How long `start` tries to reach a bootstrap broker. Default 5,000: a wrong address is told soon. */
  readonly startTimeoutMs?: number;
}

export interface SendOptions extends VersionRange {
  readonly lane: Lane;
  /** Default: `requestTimeoutMs`. A request that waits on the broker adds its waiting time. */
  readonly timeoutMs?: number;
}

export interface TopicState {
  readonly partitions: number;
  /** Node id by partition; -1: no leader now. */
  readonly leaders: number[];
  /** Copies of the partition that has the fewest. */
  readonly replicas: number;
}

/** FindCoordinator 4 asks for many keys at once, which nobody here needs. */
const FIND_COORDINATOR_VERSION_MAX = 3;
/** Brokers answer lookups from memory. */
const LOOKUP_ATTEMPT_MS = 5_000;

export class Cluster {
  readonly requestTimeoutMs: number;
  /** Of a Fetch beyond its long poll: records stand still for as long when one is lost. */
  readonly fetchTimeoutMs: number;
  /**
   * How everything is repeated that changes nothing, or may be repeated freely. In all as long as
   * `default.api.timeout.ms` of the Java clients: twice the time of a request.
   */
  readonly lookups: Attempts;
  readonly ports: Ports;
  readonly log: Log;
  readonly #transport: Transport;
  readonly #startTimeoutMs: number;
  readonly #versions: NodeVersions;
  readonly #coordinators: Coordinators;
  readonly #leaders = new Map<string, readonly number[]>();
  readonly #sent: Metric;
  readonly #lostRequests: Metric;
  readonly #looking = new Map<string, Promise<TopicState>>();
  #nodes: readonly number[] = [];
  #controller: NodeId = 'any';
  #state: 'open' | 'closed' = 'open';

  constructor(options: ClusterOptions) {
    this.ports = options.ports;
    this.log = options.log;
    this.requestTimeoutMs = options.requestTimeoutMs ?? 30_000;
    const { lookupAttemptMs = LOOKUP_ATTEMPT_MS } = options;
    const attemptMs = Math.min(lookupAttemptMs, LOOKUP_ATTEMPT_MS, this.requestTimeoutMs);
    this.fetchTimeoutMs = Math.min(attemptMs * 3, this.requestTimeoutMs);
    this.lookups = {
      ports: options.ports,
      timeoutMs: this.requestTimeoutMs * 2,
      attemptMs: [attemptMs, this.requestTimeoutMs],
    };
    this.#startTimeoutMs = options.startTimeoutMs ?? 5_000;
    this.#transport = options.transport;
    const metrics = options.metrics ?? new Metrics();
    this.#sent = metrics.get('requests.sent');
    this.#lostRequests = metrics.get('requests.lost');
    this.#versions = new NodeVersions(options.transport, attemptMs);
    this.#coordinators = new Coordinators({
      find: (body, timeoutMs) =>
        this.send('any', findCoordinator, body, {
          lane: 'transaction',
          versionMax: FIND_COORDINATOR_VERSION_MAX,
          timeoutMs,
        }),
      learn: (nodes) => this.#transport.learn(nodes),
      repeat: (lookup) => repeat(this.lookups, lookup),
    });
  }

  /** Reaches a bootstrap broker and learns the nodes. */
  async start(): Promise<void> {
    const timeoutMs = this.#startTimeoutMs;
    await repeat(
      {
        ports: this.ports,
        timeoutMs,
        attemptMs: [this.lookups.attemptMs[0], timeoutMs / 2],
        onFailure: (error, attempt) => {
          if (attempt === 1) this.log.warn({ error: error.message }, 'cluster.unreachable');
        },
      },
      (attemptMs) => this.#metadata([], attemptMs),
    );
  }

  /** Closes the transport: requests under way reject, and lookups that go on repeating end. */
  close(): Promise<void> {
    this.#state = 'closed';
    return this.#transport.close();
  }

  /** Brokers of the last metadata answer. */
  get brokerCount(): number {
    return this.#nodes.length;
  }

  /** Ids of the brokers that are up, fresh from one of them. */
  async nodes(): Promise<readonly number[]> {
    await this.topics([]);
    return this.#nodes;
  }

  /** Where topics are created and deleted; in KRaft mode every broker passes that on. */
  get controller(): NodeId {
    return this.#controller;
  }

  /**
   * One request, one answer, no repetition. A body that differs by version is given as a function.
   * Rejects with `TransportError`, `BROKER_TOO_OLD` or `PROTOCOL_MALFORMED`; `CLOSED` after `close`.
   */
  send<Req, Res>(
    node: NodeId,
    api: Api<Req, Res>,
    body: NoInfer<Req> | ((version: number) => NoInfer<Req>),
    options: SendOptions,
  ): Promise<Res> {
    if (this.#state === 'closed') {
      return Promise.reject(new EscapementError('CLOSED', 'The connection to Kafka was closed.'));
    }
    let version: number | null;
    try {
      version = this.#versions.known(node, api, options);
    } catch (error) {
      return Promise.reject(error);
    }
    if (version !== null) return this.#request(node, api, version, body, options);
    const asked = this.#versions.ask(node).catch((cause: unknown) => {
      // Of the question for the versions; the request itself was not sent.
      if (!(cause instanceof TransportError)) throw cause;
      throw new TransportError('never-sent', cause.message, cause);
    });
    return asked.then(() => {
      // Forgotten again between the answer and here: the connection failed.
      const version = this.#versions.known(node, api, options);
      if (version !== null) return this.#request(node, api, version, body, options);
      throw new TransportError('never-sent', `The connection to node ${node} was lost.`);
    });
  }

  /** Fresh from a broker. Topics that do not exist are absent. */
  topics(names: readonly string[]): Promise<ReadonlyMap<string, TopicState>> {
    return repeat(this.lookups, (timeoutMs) => this.#metadata(names, timeoutMs));
  }

  /** Waits for an election, and for a topic that was just created, for as long as a lookup takes. */
  leaderOf(topic: string, partition: number): Promise<number> {
    const leader = this.#leaders.get(topic)?.[partition];
    if (leader !== undefined && leader >= 0) return Promise.resolve(leader);
    return repeat(this.lookups, async (timeoutMs) => {
      const { leaders } = await this.#look(topic, timeoutMs);
      const found = leaders[partition];
      const at = { topic, partition };
      if (found === undefined) {
        throw new EscapementError(
          'TOPIC_MISMATCH',
          `Topic '${topic}' has ${leaders.length} partitions, so there is no partition ${partition}.`,
          { at },
        );
      }
      if (found >= 0) return found;
      throw brokerError(KafkaErrorCode.LEADER_NOT_AVAILABLE, `Leader of ${topic}-${partition}`, at);
    });
  }

  forgetLeader(topic: string, _partition: number): void {
    // One answer names the leaders of all partitions, so all are asked for again.
    this.#leaders.delete(topic);
  }

  /**
   * Level of a feature that the cluster has finalized (KIP-584), as the node told with its versions:
   * 0 when it has not. Asked again once a connection to the node failed.
   */
  async finalizedFeature(node: NodeId, name: string): Promise<number> {
    const known = this.#versions.feature(node, name);
    if (known !== null) return known;
    await this.#versions.ask(node);
    return this.#versions.feature(node, name) ?? 0;
  }

  coordinator(kind: CoordinatorKind, key: string): Promise<number> {
    return this.#coordinators.of(kind, key);
  }

  forgetCoordinator(kind: CoordinatorKind, key: string): void {
    this.#coordinators.forget(kind, key);
  }

  #request<Req, Res>(
    node: NodeId,
    api: Api<Req, Res>,
    apiVersion: number,
    body: Req | ((version: number) => Req),
    options: SendOptions,
  ): Promise<Res> {
    let encoded: Buffer;
    try {
      const given = typeof body === 'function' ? (body as (v: number) => Req)(apiVersion) : body;
      encoded = encodeRequest(api, apiVersion, given as NoInfer<Req>);
    } catch (error) {
      return Promise.reject(error);
    }
    const timeoutMs = options.timeoutMs ?? this.requestTimeoutMs;
    this.#sent.of(api.name).value += 1;
    return this.#transport
      .request(node, {
        apiKey: api.key,
        apiVersion,
        body: encoded,
        timeoutMs,
        lane: options.lane,
      })
      .then(
        (answer) => decodeResponse(api, apiVersion, answer),
        (error: unknown) => {
          if (error instanceof TransportError) this.#lost(node, api);
          throw error;
        },
      );
  }

  #lost(node: NodeId, api: Api): void {
    this.#lostRequests.of(api.name).value += 1;
    this.#versions.forget(node);
    if (node !== 'any') this.#coordinators.forgetNode(node);
  }

  /** Lookups of one topic at the same time share one request. */
  #look(topic: string, timeoutMs: number): Promise<TopicState> {
    const running = this.#looking.get(topic);
    if (running !== undefined) return running;
    const looking = this.#metadata([topic], timeoutMs).then((topics) => {
      const state = topics.get(topic);
      if (state !== undefined) return state;
      throw brokerError(KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `Topic '${topic}'`, { topic });
    });
    this.#looking.set(topic, looking);
    const finished = () => this.#looking.delete(topic);
    looking.then(finished, finished);
    return looking;
  }

  async #metadata(
    names: readonly string[],
    timeoutMs: number,
  ): Promise<ReadonlyMap<string, TopicState>> {
    const answer = await this.send(
      'any',
      metadata,
      { topics: names.map((name) => ({ name })), allowAutoTopicCreation: false },
      { lane: 'transaction', versionMin: 4, timeoutMs },
    );
    this.#transport.learn(
      answer.brokers.map(({ nodeId, host, port }) => ({ id: nodeId, host, port })),
    );
    this.#nodes = answer.brokers.map(({ nodeId }) => nodeId);
    this.#controller = answer.controllerId >= 0 ? answer.controllerId : 'any';
    const topics = new Map<string, TopicState>();
    for (const topic of answer.topics) {
      const state = stateOf(topic);
      if (topic.name === null) continue;
      if (state === null) {
        this.#leaders.delete(topic.name);
        continue;
      }
      topics.set(topic.name, state);
      this.#leaders.set(topic.name, state.leaders);
    }
    return topics;
  }
}

/** Null: the topic does not exist. */
function stateOf(topic: Response<typeof metadata>['topics'][number]): TopicState | null {
  const { errorCode, name, partitions } = topic;
  if (errorCode === KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION) return null;
  // While leaders are being elected the topic carries this code, and its partitions are listed.
  const electing = errorCode === KafkaErrorCode.LEADER_NOT_AVAILABLE && partitions.length > 0;
  if (errorCode !== 0 && !electing) {
    throw brokerError(errorCode, `Metadata of topic '${name}'`, { topic: name ?? '' });
  }
  const leaders: number[] = new Array(partitions.length).fill(-1);
  const replicas = Math.min(...partitions.map(({ replicaNodes }) => replicaNodes.length));
  for (const { partitionIndex, leaderId, errorCode: code } of partitions) {
    if (partitionIndex < leaders.length && code !== KafkaErrorCode.LEADER_NOT_AVAILABLE) {
      leaders[partitionIndex] = leaderId;
    }
  }
  return { partitions: partitions.length, leaders, replicas };
}
