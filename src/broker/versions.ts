/**
 * What Kafka 3.9.1 and 4.3.1 say of themselves in ApiVersions, for the APIs that this broker serves:
 * version ranges, and the features that clients look at. Asked of the two brokers.
 */
import type { OfferedVersions } from './api-table.ts';

type Range = readonly [min: number, max: number];

/** Key, range in 3.9.1, range in 4.3.1 where it is another one. */
const RANGES: readonly (readonly [key: number, kafka39: Range, kafka43?: Range])[] = [
  [0, [0, 11], [0, 13]], // Produce
  [1, [0, 17], [4, 18]], // Fetch
  [2, [0, 9], [1, 11]], // ListOffsets
  [3, [0, 12], [0, 13]], // Metadata
  [8, [0, 9], [2, 10]], // OffsetCommit
  [9, [0, 9], [1, 10]], // OffsetFetch
  [10, [0, 6]], // FindCoordinator
  [11, [0, 9]], // JoinGroup
  [12, [0, 4]], // Heartbeat
  [13, [0, 5]], // LeaveGroup
  [14, [0, 5]], // SyncGroup
  [15, [0, 5], [0, 6]], // DescribeGroups
  [16, [0, 5]], // ListGroups
  [17, [0, 1]], // SaslHandshake
  [18, [0, 4]], // ApiVersions
  [19, [0, 7], [2, 7]], // CreateTopics
  [20, [0, 6], [1, 6]], // DeleteTopics
  [21, [0, 2]], // DeleteRecords
  [22, [0, 5]], // InitProducerId
  [23, [0, 4], [2, 4]], // OffsetForLeaderEpoch
  [24, [0, 5]], // AddPartitionsToTxn
  [25, [0, 4]], // AddOffsetsToTxn
  [26, [0, 4], [0, 5]], // EndTxn
  [27, [0, 1], [1, 2]], // WriteTxnMarkers
  [28, [0, 4], [0, 5]], // TxnOffsetCommit
  [29, [0, 3], [1, 3]], // DescribeAcls
  [32, [0, 4], [1, 4]], // DescribeConfigs
  [33, [0, 2]], // AlterConfigs
  [36, [0, 2]], // SaslAuthenticate
  [37, [0, 3]], // CreatePartitions
  [42, [0, 2]], // DeleteGroups
  [44, [0, 1]], // IncrementalAlterConfigs
  [47, [0, 0]], // OffsetDelete
  [60, [0, 1], [0, 2]], // DescribeCluster
  [61, [0, 0]], // DescribeProducers
  [65, [0, 0]], // DescribeTransactions
  [66, [0, 1], [0, 2]], // ListTransactions
  [75, [0, 0]], // DescribeTopicPartitions
];

/** By `transactionVersion`. */
export const OFFERED_VERSIONS: Readonly<Record<1 | 2, OfferedVersions>> = {
  1: new Map(RANGES.map(([key, kafka39]) => [key, kafka39])),
  2: new Map(RANGES.map(([key, kafka39, kafka43]) => [key, kafka43 ?? kafka39])),
};

/** Kafka 3.9 does not know the feature, which clients take for transactions v1. */
const NONE = { supportedFeatures: [], finalizedFeaturesEpoch: 1, finalizedFeatures: [] };

/**
 * By `transactionVersion`. Version 3 of the answer cannot say that a feature starts at 0, so Kafka
 * leaves it out of the supported ones; what is finalized it names in every version.
 */
export const FEATURES = {
  1: NONE,
  2: {
    ...NONE,
    finalizedFeatures: [{ name: 'transaction.version', maxVersionLevel: 2, minVersionLevel: 2 }],
  },
} as const;

/** `log.message.timestamp.after.max.ms`: without a limit in 3.9, an hour in 4 (KIP-1030). */
export const TIMESTAMP_AFTER_MAX_MS: Readonly<Record<1 | 2, number>> = {
  1: Number.POSITIVE_INFINITY,
  2: 3_600_000,
};
