/**
 * The embedded broker: a Kafka cluster as one synchronous state machine.
 *
 * Bytes of a request come in through `handle`, bytes of its answer go out through `reply`, at once
 * or from a timer. The doors (`in-process.ts`, `tcp.ts`) own connections and framing; the rules are
 * in the files named after what they rule. The 24 rules cited there are those that a model of a
 * broker must keep so that a client proven against it holds against Kafka.
 *
 * I1. Time, timers and randomness come from the ports alone: same seed and requests, same answers.
 * I2. A request that was handled stays handled, whatever becomes of its connection (rule 23).
 * I3. Requests of one connection are handled and answered in order; that is the doors' part. Across
 *     connections there is no order but that of `handle` (rule 16).
 */
import { refuseMissing, refuseUnknown } from '../config/known-options.ts';
import { EscapementError } from '../errors.ts';
import { apiVersions } from '../kafka/protocol/api-versions.ts';
import { encodeResponse } from '../kafka/protocol/codec.ts';
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import type { Ports } from '../ports.ts';
import { ApiTable, type Connection, type Reply } from './api-table.ts';
import type { Marker } from './batch-header.ts';
import { serveClusterRequests } from './cluster-requests.ts';
import { serveConfigRequests } from './config-requests.ts';
import { noCounts } from './counts.ts';
import { serveEpochRequests } from './epoch-requests.ts';
import { serveFetch } from './fetch.ts';
import { serveGroupAdministration } from './group-admin-requests.ts';
import { serveGroupRequests } from './group-requests.ts';
import { Groups } from './groups.ts';
import { serveLogRequests } from './log-requests.ts';
import type { MarkerOutcome } from './markers.ts';
import { offered, serveMetadata } from './metadata.ts';
import { serveOffsetRequests } from './offset-requests.ts';
import { BROKER_DEFAULTS, type BrokerOptions, type BrokerSettings } from './options.ts';
import type { Replication } from './partition.ts';
import { type CoordinatorKind, type Move, Placement, slotOf } from './placement.ts';
import { serveProduce } from './produce.ts';
import type { BrokerState, NodeAddress } from './state.ts';
import { TimerSet } from './timer-set.ts';
import { serveTopicRequests } from './topic-requests.ts';
import { policyOf, Topics } from './topics.ts';
import { serveTransactionAdministration } from './transaction-admin-requests.ts';
import { TransactionGate } from './transaction-gate.ts';
import { serveTransactionRequests } from './transaction-requests.ts';
import type { Participant } from './transaction-state.ts';
import { TransactionCoordinator, type TransactionView } from './transactions.ts';
import { OFFERED_VERSIONS, TIMESTAMP_AFTER_MAX_MS } from './versions.ts';

const FIRST_PORT = 9_092;

export class Broker implements BrokerState {
  readonly settings: BrokerSettings;
  readonly ports: Ports;
  readonly clusterId: string;
  readonly topics: Topics;
  readonly groups: Groups;
  readonly transactions: TransactionCoordinator;
  readonly gate: TransactionGate;
  /** What was given up, and what took long. */
  readonly counts = noCounts();
  readonly #table: ApiTable;
  readonly #timers: TimerSet;
  readonly #addresses: NodeAddress[];
  readonly #placement: Placement;
  readonly #connections = new Set<Connection>();
  #nextConnection = 1;

  constructor(options: BrokerOptions) {
    refuseUnknown('new Broker', options, { ports: true, ...BROKER_DEFAULTS });
    refuseMissing('new Broker', options, ['ports']);
    const settings: BrokerSettings = { ...BROKER_DEFAULTS, ...options };
    this.settings = settings;
    this.#table = new ApiTable(OFFERED_VERSIONS[settings.transactionVersion]);
    this.ports = options.ports;
    this.#timers = new TimerSet(options.ports.timers);
    this.clusterId = this.ports.random.bytes(16).toString('base64url');
    this.#addresses = Array.from({ length: settings.nodes }, (_, id) => ({
      id,
      host: '127.0.0.1',
      port: FIRST_PORT + id,
    }));
    this.#placement = new Placement({
      nodes: settings.nodes,
      loadMs: settings.coordinatorLoadMs,
      clock: this.ports.clock,
    });
    this.topics = new Topics({
      nodes: settings.nodes,
      partitionsDefault: settings.partitionsDefault,
      timestampAfterMaxMs: TIMESTAMP_AFTER_MAX_MS[settings.transactionVersion],
      random: this.ports.random,
    });
    this.groups = new Groups(this.ports, { ...settings, counts: this.counts });
    this.transactions = new TransactionCoordinator({
      ports: this.ports,
      counts: this.counts,
      transactionVersion: settings.transactionVersion,
      markerDelayMs: settings.markerDelayMs,
      coordinatorAppendMs: settings.coordinatorAppendMs,
      transactionTimeoutMaxMs: settings.transactionTimeoutMaxMs,
      mark: (participant, marker) => this.#mark(participant, marker),
      fault: (transactionalId) => this.#placement.fault('transaction', transactionalId),
      epochOf: (transactionalId) => this.#placement.epochOf('transaction', transactionalId),
    });
    this.gate = new TransactionGate(this.transactions, (kind, key) =>
      this.coordinatorOf(kind, key),
    );
    serveMetadata(this.#table, this);
    serveProduce(this.#table, this);
    serveFetch(this.#table, this);
    serveLogRequests(this.#table, this);
    serveEpochRequests(this.#table, this);
    serveTopicRequests(this.#table, this);
    serveClusterRequests(this.#table, this);
    serveConfigRequests(this.#table, this);
    serveGroupRequests(this.#table, this);
    serveGroupAdministration(this.#table, this);
    serveOffsetRequests(this.#table, this);
    serveTransactionRequests(this.#table, this);
    serveTransactionAdministration(this.#table, this);
  }

  /** A new connection of a client to one node; `cut` is called when the node goes down. */
  connect(node: number, host: string, cut: () => void = () => {}): Connection {
    const id = this.#nextConnection;
    const connection: Connection = { id, node, host, clientId: '', cut, abandon: null };
    this.#nextConnection += 1;
    this.#connections.add(connection);
    return connection;
  }

  /** The door closed the connection. */
  disconnect(connection: Connection): void {
    this.#connections.delete(connection);
    connection.abandon?.();
  }

  /**
   * Handles one request body (without its header). `reply` is called exactly once, with null when
   * the request has no answer. Throws `PROTOCOL_MALFORMED` for bytes or versions that are not
   * served: the door closes the connection, as Kafka does.
   */
  handle(
    connection: Connection,
    apiKey: number,
    apiVersion: number,
    body: Buffer,
    reply: Reply,
  ): void {
    if (apiKey === apiVersions.key && !this.#table.supports(apiKey, apiVersion)) {
      // The one refusal that every client can read: version 0 with the list (KIP-511).
      const errorCode = KafkaErrorCode.UNSUPPORTED_VERSION;
      reply(encodeResponse(apiVersions, 0, { ...offered(this.#table, this), errorCode }));
      return;
    }
    this.#table.handle(apiKey, { connection, version: apiVersion }, body, reply);
  }

  nodes(): readonly NodeAddress[] {
    return this.#addresses.filter(({ id }) => this.#placement.isUp(id));
  }

  isUp(node: number): boolean {
    return this.#placement.isUp(node);
  }

  /** A door tells where a node listens. */
  announce(address: NodeAddress): void {
    this.#addresses[address.id] = address;
  }

  coordinatorOf(kind: CoordinatorKind, key: string): number {
    return this.#placement.coordinatorOf(kind, key);
  }

  coordinatorFault(kind: CoordinatorKind, key: string, node: number): number {
    return this.#placement.fault(kind, key, node);
  }

  /**
   * Gives a group or a transactional id, and what shares its slot, to another node: `to`, or the
   * next one that is up. Waiting members are told NOT_COORDINATOR; a transaction whose outcome
   * stands goes on with the new coordinator after `coordinatorLoadMs`.
   */
  moveCoordinator(kind: CoordinatorKind, key: string, to?: number): void {
    this.#checkUp(to);
    this.#moved([this.#placement.move(kind, key, to)]);
  }

  /** Gives a partition to another leader: `to`, or its next replica, or the next node. */
  moveLeader(topic: string, index: number, to?: number): void {
    this.#checkUp(to);
    const partition = this.topics.partition(topic, index);
    if (partition === undefined) throw unknown(`partition ${topic}-${index}`);
    const { replicas, leader } = partition;
    const isOther = (node: number) => node !== leader && this.isUp(node);
    const others = [...replicas, ...this.nodes().map(({ id }) => id)].filter(isOther);
    partition.lead(to ?? others[0] ?? leader);
  }

  /**
   * Lets a partition have too few replicas in sync, or enough again: with `too-few` a Produce of
   * acks -1 is answered NOT_ENOUGH_REPLICAS, with `too-few-after-append` the same _AFTER_APPEND.
   * Markers wait.
   */
  setReplication(topic: string, index: number, replication: Replication): void {
    const partition = this.topics.partition(topic, index);
    if (partition === undefined) throw unknown(`partition ${topic}-${index}`);
    partition.replication = replication;
  }

  /**
   * A node goes down: its connections close without answers, and other nodes lead and coordinate
   * what it did. A partition without another replica in sync has no leader until it is back. What
   * the node was sent before stays handled, and nothing that was acknowledged is lost.
   */
  stopNode(node: number): void {
    if (!this.isUp(node)) return;
    const moves = this.#placement.down(node);
    for (const connection of [...this.#connections]) {
      if (connection.node !== node) continue;
      this.#connections.delete(connection);
      connection.cut();
    }
    this.#followNodes();
    this.#moved(moves);
  }

  /** The node is back: it follows, leads what nobody led, and takes connections. */
  startNode(node: number): void {
    if (this.#addresses[node] === undefined) throw unknown(`node ${node}`);
    if (this.isUp(node)) return;
    const moves = this.#placement.up(node);
    this.#followNodes();
    this.#moved(moves);
  }

  /** For tests and dashboards: what the coordinator knows. */
  listTransactions(): readonly TransactionView[] {
    return this.transactions.list();
  }

  /**
   * Does now what Kafka's threads do every few minutes, for one topic or for all: deletes what
   * `retention.ms` and `retention.bytes` let go, compacts where `cleanup.policy` says so, and forgets
   * producers that were not seen for `producerIdExpirationMs`; for all topics also transactional ids
   * that expired. Nothing of it happens by itself.
   */
  clean(topic?: string): void {
    const now = this.ports.clock.now();
    const { producerIdExpirationMs, transactionalIdExpirationMs } = this.settings;
    for (const each of this.topics.all()) {
      if (topic !== undefined && each.name !== topic) continue;
      const policy = policyOf(each, producerIdExpirationMs);
      for (const partition of each.partitions) partition.clean(policy, now);
    }
    if (topic === undefined) this.transactions.expire(now - transactionalIdExpirationMs);
  }

  later(delayMs: number, callback: () => void): void {
    this.#timers.after(delayMs, callback);
  }

  /** Cancels every timer; waiting requests stay without an answer. */
  close(): void {
    this.#timers.close();
    this.transactions.close();
    this.groups.close();
  }

  #followNodes(): void {
    for (const topic of this.topics.all()) {
      for (const partition of topic.partitions) {
        partition.followNodes((node) => this.isUp(node));
        partition.log.announce();
      }
    }
  }

  #moved(moves: readonly Move[]): void {
    for (const { kind, slot } of moves) {
      const belongs = (key: string) => slotOf(key) === slot;
      if (kind === 'group') this.groups.moved(belongs);
      else this.transactions.moved(belongs, this.settings.coordinatorLoadMs);
    }
  }

  #checkUp(node: number | undefined): void {
    if (node !== undefined && !this.isUp(node)) throw unknown(`node ${node} that is up`);
  }

  #mark(participant: Participant, marker: Marker): MarkerOutcome {
    if (participant.kind === 'offsets') {
      const isAway = this.#placement.fault('group', participant.group) !== KafkaErrorCode.NONE;
      if (isAway) return 'unavailable';
      return (
        this.groups.find(participant.group)?.offsets.mark(marker, this.settings.markerEpochs) ??
        'written'
      );
    }
    const topic = this.topics.find(participant.topic);
    const partition = topic?.partitions[participant.partition];
    // A topic deleted meanwhile needs no marker any more.
    if (topic === undefined || partition === undefined) return 'written';
    if (!partition.takesMarkers(topic.replicasMin)) return 'unavailable';
    return partition.mark(marker, this.ports.clock.now(), this.settings.markerEpochs);
  }
}

function unknown(what: string): EscapementError {
  return new EscapementError('OPTION_INVALID', `the embedded broker has no ${what}`);
}
