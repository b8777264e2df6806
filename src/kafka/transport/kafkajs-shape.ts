/**
 * The part of kafkajs 2.2.4 that the transport relies on and that its types do not show.
 *
 * A partition-assigner factory receives the Cluster object while `kafka.consumer()` runs, before
 * anything connects. From that object only two things are used: the builder of connections (which
 * holds the bootstrap list, TLS, SASL, socket factory) and the factory of brokers (which performs
 * ApiVersions and the SASL handshake on a connection). kafkajs is pinned exactly, and everything
 * that is used is checked here, so that another version fails at start and not in a transaction.
 */
import { EscapementError } from '../../errors.ts';

export interface KafkajsSocket {
  destroy(error?: Error): unknown;
  once(event: 'close', listener: () => void): unknown;
  setNoDelay?(noDelay: boolean): unknown;
  write(bytes: Buffer): unknown;
  cork?(): void;
  uncork?(): void;
}

export interface KafkajsRequest {
  readonly request: {
    readonly apiKey: number;
    readonly apiVersion: number;
    readonly apiName: string;
    /** Called right before the bytes are written; `buf` only has to be a Buffer. */
    readonly encode: () => { readonly buf: Buffer; readonly buffer: Buffer };
  };
  readonly response: {
    readonly decode: (payload: Buffer) => Buffer;
    readonly parse: (payload: Buffer) => Buffer;
  };
  /** kafkajs waits for the longer of this and its client's request timeout. */
  readonly requestTimeout: number;
}

/** Which answer belongs to which request, and requests that wait because of throttling. */
export interface KafkajsRequestQueue {
  readonly pending: readonly unknown[];
  scheduleCheckPendingRequests(): void;
  push(request: {
    readonly entry: {
      readonly apiKey: number;
      readonly apiVersion: number;
      readonly apiName: string;
      readonly correlationId: number;
      readonly resolve: (answer: { readonly payload: unknown }) => void;
      readonly reject: (error: unknown) => void;
    };
    readonly expectResponse: boolean;
    readonly requestTimeout: number;
    /** Called when the bytes are to be written, at once or later. */
    readonly sendRequest: () => void;
  }): void;
}

export interface KafkajsConnection {
  readonly connectionStatus: string;
  readonly socket?: KafkajsSocket;
  readonly requestQueue: KafkajsRequestQueue;
  readonly clientId: string;
  readonly sasl?: unknown;
  /** False as well when the session of a login is about to end. */
  isAuthenticated(): boolean;
  nextCorrelationId(): number;
  send(request: KafkajsRequest): Promise<unknown>;
  rejectRequests(error: Error): void;
  /** Called with each piece that the socket gives. */
  processData(piece: Buffer): void;
  disconnect(): Promise<unknown>;
}

export interface KafkajsConnectionPool {
  readonly host: string;
  readonly port: number;
  /** Looked at for secrets to hide, wherever the client came from. */
  readonly sasl?: unknown;
  readonly ssl?: unknown;
  readonly pool: readonly KafkajsConnection[];
}

export interface KafkajsBroker {
  connect(): Promise<void>;
}

export interface KafkajsCluster {
  readonly rootLogger: unknown;
  readonly connectionPoolBuilder: {
    /** Without an address: the next one of the bootstrap list, in rotation. */
    build(address?: { host: string; port: number }): Promise<unknown>;
  };
  readonly brokerPool: {
    createBroker(options: {
      connectionPool: KafkajsConnectionPool;
      logger: unknown;
      nodeId: number | null;
    }): KafkajsBroker;
  };
}

/** What `kafka.consumer` must offer; a Kafka object of another copy of kafkajs fits too. */
export interface ConsumerFactory {
  consumer(options: never): unknown;
}

/** Takes the Cluster object out of a Kafka client, without connecting. */
export function captureCluster(kafka: ConsumerFactory): KafkajsCluster {
  let captured: unknown;
  const consumer = kafka.consumer as (options: unknown) => unknown;
  consumer.call(kafka, {
    groupId: 'escapement-transport',
    partitionAssigners: [
      (context: { cluster?: unknown }) => {
        captured = context.cluster;
        return { name: 'escapement-transport', version: 0, protocol: unused, assign: unused };
      },
    ],
  });
  return checkedCluster(captured);
}

export function checkedCluster(value: unknown): KafkajsCluster {
  const cluster = fieldsOf(value, 'Cluster');
  const builder = fieldsOf(cluster.connectionPoolBuilder, 'Cluster.connectionPoolBuilder');
  requireFunction(builder, 'build', 'ConnectionPoolBuilder');
  const brokers = fieldsOf(cluster.brokerPool, 'Cluster.brokerPool');
  requireFunction(brokers, 'createBroker', 'BrokerPool');
  fieldsOf(cluster.rootLogger, 'Cluster.rootLogger');
  return value as KafkajsCluster;
}

const CONNECTION_METHODS = [
  ...['send', 'rejectRequests', 'disconnect', 'connect', 'processData'],
  ...['isAuthenticated', 'nextCorrelationId'],
];

export function checkedPool(value: unknown): KafkajsConnectionPool {
  const pool = fieldsOf(value, 'ConnectionPool');
  const connections = pool.pool;
  if (typeof pool.host !== 'string' || typeof pool.port !== 'number') {
    throw unexpected('ConnectionPool', 'host and port');
  }
  if (!Array.isArray(connections) || connections.length === 0) {
    throw unexpected('ConnectionPool', 'an array `pool` of connections');
  }
  const connection = fieldsOf(connections[0], 'Connection');
  for (const name of CONNECTION_METHODS) requireFunction(connection, name, 'Connection');
  const queue = fieldsOf(connection.requestQueue, 'Connection.requestQueue');
  for (const name of ['scheduleCheckPendingRequests', 'push']) {
    requireFunction(queue, name, 'RequestQueue');
  }
  if (!Array.isArray(queue.pending)) throw unexpected('RequestQueue', 'an array `pending`');
  if (typeof connection.connectionStatus !== 'string') {
    throw unexpected('Connection', '`connectionStatus`');
  }
  return value as KafkajsConnectionPool;
}

function fieldsOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  if (typeof value === 'function') return value as unknown as Record<string, unknown>;
  throw unexpected('kafkajs', what);
}

function requireFunction(owner: Record<string, unknown>, name: string, what: string): void {
  if (typeof owner[name] !== 'function') throw unexpected(what, `a method \`${name}\``);
}

function unexpected(what: string, missing: string): EscapementError {
  return new EscapementError(
    'KAFKAJS_SHAPE',
    `${what} of the installed kafkajs has not ${missing}, which the transport relies on. ` +
      'Install kafkajs 2.2.4 exactly (npm install kafkajs@2.2.4).',
  );
}

function unused(): never {
  throw new EscapementError('INVARIANT_VIOLATED', 'the kafkajs consumer is never run');
}
