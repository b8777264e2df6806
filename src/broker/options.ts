/** Options of the embedded broker, with the names that Kafka gives them in the comments. */
import type { Ports } from '../ports.ts';

export interface BrokerOptions {
  readonly ports: Ports;
  /** Nodes that this one object plays, 1 to 9; partitions and coordinators are spread over them. */
  readonly nodes?: number;
  /**
   * How long the new coordinator of a group or a transactional id loads after a move and answers
   * COORDINATOR_LOAD_IN_PROGRESS. Milliseconds, default 5.
   */
  readonly coordinatorLoadMs?: number;
  /**
   * How long the transaction coordinator takes to write a record of its log. Until then others that
   * want something of the same transactional id are answered CONCURRENT_TRANSACTIONS, or displace
   * each other on the way. Milliseconds, default 0: within the request.
   */
  readonly coordinatorAppendMs?: number;
  /**
   * Whose rules hold: 1 those of Kafka 3.9, 2 those of Kafka 4.3 with the cluster feature
   * `transaction.version` 2 (KIP-890): an epoch for every transaction, and Produce 12 and
   * TxnOffsetCommit 5 add to the transaction what they write to. Clients with older requests get
   * their older rules from either. Offered versions and features are those of the two. Default 2.
   */
  readonly transactionVersion?: 1 | 2;
  /**
   * How the epoch of a marker of transactions v2 is held against that of the producer: `newer`
   * since Kafka 4.3 (KAFKA-19999), `not-older` before. Default `newer`.
   */
  readonly markerEpochs?: 'newer' | 'not-older';
  /**
   * `add.partitions.to.txn.retry.backoff.ms`: after which a Produce 12 that met the end of the
   * transaction before asks the coordinator again. Milliseconds, default 20.
   */
  readonly addRetryMs?: number;
  /**
   * `add.partitions.to.txn.retry.backoff.max.ms`: after which it is answered
   * CONCURRENT_TRANSACTIONS. Milliseconds, default 100; 0 never asks again.
   */
  readonly addRetryMsMax?: number;
  /**
   * Mean delay in milliseconds between the answer to EndTxn and a transaction marker; each marker
   * takes its own between 0 and twice of it. Default 1. Never synchronous, 0 included.
   */
  readonly markerDelayMs?: number;
  /** `auto.create.topics.enable`; default `refuse`. */
  readonly unknownTopics?: 'create' | 'refuse';
  /** `num.partitions`, for topics created without a count; default 1. */
  readonly partitionsDefault?: number;
  /** `group.initial.rebalance.delay.ms`; default 0. */
  readonly initialRebalanceDelayMs?: number;
  /** `group.min.session.timeout.ms`; default 1,000. */
  readonly sessionTimeoutMinMs?: number;
  /** `group.max.session.timeout.ms`; default 1,800,000. */
  readonly sessionTimeoutMaxMs?: number;
  /** `transaction.max.timeout.ms`; default 900,000. */
  readonly transactionTimeoutMaxMs?: number;
  /**
   * `offsets.retention.minutes`, here in milliseconds: after which committed offsets that nobody
   * reads on from are gone. Default 604,800,000 (7 days).
   */
  readonly offsetsRetentionMs?: number;
  /**
   * `producer.id.expiration.ms`: after which `Broker.clean` makes a partition forget a producer that
   * has nothing open there, by the timestamps of its records. Default 86,400,000.
   */
  readonly producerIdExpirationMs?: number;
  /**
   * `transactional.id.expiration.ms`: after which `Broker.clean` forgets a transactional id that has
   * nothing going on. Default 604,800,000 (7 days).
   */
  readonly transactionalIdExpirationMs?: number;
  /** `offset.metadata.max.bytes`; default 4,096. Like Kafka it counts UTF-16 units. */
  readonly offsetMetadataMax?: number;
}

export type BrokerSettings = Required<BrokerOptions>;

export const BROKER_DEFAULTS: Omit<BrokerSettings, 'ports'> = Object.freeze({
  nodes: 1,
  coordinatorLoadMs: 5,
  coordinatorAppendMs: 0,
  transactionVersion: 2,
  markerEpochs: 'newer',
  addRetryMs: 20,
  addRetryMsMax: 100,
  markerDelayMs: 1,
  unknownTopics: 'refuse',
  partitionsDefault: 1,
  initialRebalanceDelayMs: 0,
  sessionTimeoutMinMs: 1_000,
  sessionTimeoutMaxMs: 1_800_000,
  transactionTimeoutMaxMs: 900_000,
  offsetsRetentionMs: 604_800_000,
  producerIdExpirationMs: 86_400_000,
  transactionalIdExpirationMs: 604_800_000,
  offsetMetadataMax: 4_096,
});
