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
import { apiVersions } from '../kafka/protocol/api-versions.ts';
import { encodeResponse } from '../kafka/protocol/codec.ts';
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import type { Ports, Timer } from '../ports.ts';
import { ApiTable, type Connection, type Reply } from './api-table.ts';
import type { Marker } from './batch-header.ts';
import { serveFetch } from './fetch.ts';
import { serveGroupRequests } from './group-requests.ts';
import { Groups } from './groups.ts';
import { serveLogRequests } from './log-requests.ts';
import type { MarkerOutcome } from './markers.ts';
import { offered, serveMetadata } from './metadata.ts';
import { serveOffsetRequests } from './offset-requests.ts';
import { BROKER_DEFAULTS, type BrokerOptions, type BrokerSettings } from './options.ts';
import { serveProduce } from './produce.ts';
import type { BrokerState, NodeAddress } from './state.ts';
import { serveTopicRequests } from './topic-requests.ts';
import { Topics } from './topics.ts';
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
  readonly #table: ApiTable;
  readonly #timers = new Set<Timer>();
  readonly #addresses: NodeAddress[];
  #connections = 0;

  constructor(options: BrokerOptions) {
    const settings: BrokerSettings = { ...BROKER_DEFAULTS, ...options };
    this.settings = settings;
    this.#table = new ApiTable(OFFERED_VERSIONS[settings.transactionVersion]);
    this.ports = options.ports;
    this.clusterId = this.ports.random.bytes(16).toString('base64url');
    this.#addresses = Array.from({ length: settings.nodes }, (_, id) => ({
      id,
      host: '127.0.0.1',
      port: FIRST_PORT + id,
    }));
    this.topics = new Topics({
      nodes: settings.nodes,
      partitionsDefault: settings.partitionsDefault,
      timestampAfterMaxMs: TIMESTAMP_AFTER_MAX_MS[settings.transactionVersion],
      random: this.ports.random,
    });
    this.groups = new Groups(this.ports, settings.initialRebalanceDelayMs);
    this.transactions = new TransactionCoordinator({
      ports: this.ports,
      transactionVersion: settings.transactionVersion,
      markerDelayMs: settings.markerDelayMs,
      transactionTimeoutMaxMs: settings.transactionTimeoutMaxMs,
      mark: (participant, marker) => this.#mark(participant, marker),
    });
    serveMetadata(this.#table, this);
    serveProduce(this.#table, this);
    serveFetch(this.#table, this);
    serveLogRequests(this.#table, this);
    serveTopicRequests(this.#table, this);
    serveGroupRequests(this.#table, this);
    serveOffsetRequests(this.#table, this);
    serveTransactionRequests(this.#table, this);
  }

  /** A new connection of a client to one node. */
  connect(node: number, host: string): Connection {
    this.#connections += 1;
    return { id: this.#connections, node, host, clientId: '' };
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
    return this.#addresses;
  }

  /** A door tells where a node listens. */
  announce(address: NodeAddress): void {
    this.#addresses[address.id] = address;
  }

  coordinatorOf(kind: 'group' | 'transaction', key: string): number {
    let hash = kind === 'group' ? 0 : 1;
    for (let index = 0; index < key.length; index++) {
      hash = (hash * 31 + key.charCodeAt(index)) % 2_147_483_647;
    }
    return hash % this.settings.nodes;
  }

  /** For tests and dashboards: what the coordinator knows. */
  listTransactions(): readonly TransactionView[] {
    return this.transactions.list();
  }

  later(delayMs: number, callback: () => void): void {
    const timer = this.ports.timers.after(delayMs, () => {
      this.#timers.delete(timer);
      callback();
    });
    this.#timers.add(timer);
  }

  /** Cancels every timer; waiting requests stay without an answer. */
  close(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.transactions.close();
    this.groups.close();
  }

  #mark(participant: Participant, marker: Marker): MarkerOutcome {
    if (participant.kind === 'offsets') {
      return this.groups.find(participant.group)?.offsets.mark(marker) ?? 'written';
    }
    // A topic deleted meanwhile needs no marker any more.
    const partition = this.topics.partition(participant.topic, participant.partition);
    const now = this.ports.clock.now();
    return partition?.mark(marker, now, this.settings.markerEpochs) ?? 'written';
  }
}
