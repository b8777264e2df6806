/**
 * What an operator asks of a cluster about an application: its group and offsets, and transactions
 * that hold its readers back.
 *
 * Part of the public door: it joins `kafka/admin` with the default transport, kafkajs.
 */
import { type Known, refuseUnknown, shown } from './config/known-options.ts';
import { EscapementError } from './errors.ts';
import {
  alterGroupOffsets,
  deleteGroup,
  deleteGroupOffsets,
  describeGroup,
  type GroupDescription,
  type GroupOffset,
  groupOffsets,
} from './kafka/admin/groups.ts';
import { deleteTopics } from './kafka/admin/topics.ts';
import {
  abortHanging,
  describeTransaction,
  endTransaction,
  hangingTransactions,
  type ListedTransaction,
  listTransactions,
  type OpenTransaction,
  openTransactions,
  type TransactionDescription,
  type TransactionFilter,
} from './kafka/admin/transactions.ts';
import { Cluster } from './kafka/cluster/cluster.ts';
import type { TopicPartition } from './kafka/topic-partition.ts';
import {
  type KafkajsConnection,
  kafkajsTransport,
  kafkaProblems,
} from './kafka/transport/kafkajs.ts';
import type { Transport } from './kafka/transport/transport.ts';
import { type Ports, systemPorts } from './ports.ts';
import { type Log, logProblems, printableLog, silentLog } from './telemetry/log.ts';

export interface AdminOptions {
  /** A kafkajs client or its configuration (brokers, TLS, SASL), or another transport. */
  readonly kafka: KafkajsConnection | { readonly transport: Transport };
  /** Any pino-shaped logger. Default: silent. */
  readonly log?: Log;
  /** Deadline of one call with its repetitions, in milliseconds. Default 60,000. */
  readonly timeoutMs?: number;
  /** Clock, timers and randomness; for tests. */
  readonly ports?: Ports;
}

/** All calls reject with an `EscapementError`; a missing right is `NOT_AUTHORIZED`, which names it. */
export interface Admin {
  /** State and members of a group; one that does not exist is `Dead`. */
  describeGroup(groupId: string): Promise<GroupDescription>;
  /** Every committed offset. Waits while a transaction holds one. */
  groupOffsets(groupId: string): Promise<readonly GroupOffset[]>;
  /** Sets offsets. `GROUP_ACTIVE` while the group has members. */
  alterGroupOffsets(groupId: string, offsets: readonly GroupOffset[]): Promise<void>;
  /** Deletes offsets. `GROUP_ACTIVE` while the group has members. */
  deleteGroupOffsets(groupId: string, partitions: readonly TopicPartition[]): Promise<void>;
  /** Removes a group and its offsets. `GROUP_ACTIVE` while it has members. */
  deleteGroup(groupId: string): Promise<void>;
  /** Removes topics; those that do not exist are passed over. */
  deleteTopics(topics: readonly string[]): Promise<void>;
  /** Transactions that the coordinators know. Java: `kafka-transactions.sh list`. */
  listTransactions(filter?: TransactionFilter): Promise<readonly ListedTransaction[]>;
  /** One of them. `TRANSACTION_UNKNOWN` for an id that no coordinator knows. */
  describeTransaction(transactionalId: string): Promise<TransactionDescription>;
  /** Transactions that are open in a partition. Java: `kafka-transactions.sh describe-producers`. */
  openTransactions(topic: string, partition: number): Promise<readonly OpenTransaction[]>;
  /**
   * Transactions that are open in a topic, idle for `idleMs`, and of which no coordinator knows. Java:
   * `kafka-transactions.sh find-hanging`, whose default is 15 minutes.
   */
  hangingTransactions(topic: string, idleMs?: number): Promise<readonly OpenTransaction[]>;
  /** Aborts the open transaction of an id and fences its producer. */
  endTransaction(transactionalId: string): Promise<void>;
  /**
   * Ends a transaction that hangs, as `hangingTransactions` gave it, in its partition. Needs
   * `ClusterAction` on the cluster. Java: `kafka-transactions.sh abort`.
   */
  abortHanging(transaction: OpenTransaction): Promise<void>;
  close(): Promise<void>;
}

const KNOWN: Known<AdminOptions> = { kafka: true, log: true, timeoutMs: true, ports: true };
const ELSEWHERE = { brokers: "brokers belongs into kafka: { brokers: ['127.0.0.1:9092'] }" };
const FILTER: Known<TransactionFilter> = { states: true, openForMs: true };

/** Throws `OPTION_INVALID` with every problem. */
function check(options: AdminOptions): void {
  const { kafka, log, timeoutMs = 1 }: Partial<AdminOptions> = options ?? {};
  refuseUnknown('openAdmin', options, KNOWN, ELSEWHERE);
  const problems = [...kafkaProblems(kafka), ...logProblems(log)];
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 1) {
    problems.push(`timeoutMs must be a whole number from 1, not ${shown(timeoutMs)}`);
  }
  if (problems.length === 0) return;
  throw new EscapementError('OPTION_INVALID', `openAdmin: ${problems.join('; ')}.`);
}

const HANGING_MS = 900_000;

/** Connects. Rejects with `OPTION_INVALID`, and like `run` when no broker can be reached, or a login is refused. */
export async function openAdmin(options: AdminOptions): Promise<Admin> {
  check(options);
  const { kafka, ports = systemPorts, timeoutMs = 60_000 } = options;
  const log = options.log === undefined ? silentLog : printableLog(options.log);
  const transport =
    'transport' in kafka ? kafka.transport : kafkajsTransport(kafka, { ports, log });
  const cluster = new Cluster({ transport, ports, log, requestTimeoutMs: timeoutMs / 2 });
  try {
    await cluster.start();
  } catch (cause) {
    await cluster.close().catch(() => {});
    throw cause;
  }
  return {
    describeGroup: (groupId) => describeGroup(cluster, groupId),
    groupOffsets: (groupId) => groupOffsets(cluster, groupId),
    alterGroupOffsets: (groupId, offsets) => alterGroupOffsets(cluster, groupId, offsets),
    deleteGroupOffsets: (groupId, partitions) => deleteGroupOffsets(cluster, groupId, partitions),
    deleteGroup: (groupId) => deleteGroup(cluster, groupId),
    deleteTopics: (topics) => deleteTopics(cluster, topics),
    listTransactions: async (filter) => {
      refuseUnknown('listTransactions', filter, FILTER);
      return listTransactions(cluster, filter);
    },
    describeTransaction: (id) => describeTransaction(cluster, id),
    openTransactions: (topic, partition) => openTransactions(cluster, topic, partition),
    hangingTransactions: (topic, idleMs = HANGING_MS) =>
      hangingTransactions(cluster, topic, idleMs),
    endTransaction: (id) => endTransaction(cluster, id),
    abortHanging: (transaction) => abortHanging(cluster, transaction),
    close: () => cluster.close(),
  };
}
