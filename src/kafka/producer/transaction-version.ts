/**
 * The two protocols of transactions (KIP-98, KIP-890) and which versions of the requests belong to each.
 *
 * Version 2 is spoken where the cluster has finalized the feature `transaction.version` at 2. There
 * Produce and TxnOffsetCommit add partitions and group by themselves, and EndTxn answers with a new
 * epoch, so that nothing late can act on the next transaction. A cluster below keeps the old rules,
 * and a request of the new versions would add partitions where nobody expects it.
 */
import type { VersionRange } from '../cluster/versions.ts';
import { KafkaErrorCode } from '../protocol/error-codes.ts';

export type TransactionVersion = 1 | 2;

export const TRANSACTION_FEATURE = 'transaction.version';

export function transactionVersionOf(finalizedLevel: number): TransactionVersion {
  return finalizedLevel >= 2 ? 2 : 1;
}

interface Ranges {
  readonly produce: VersionRange;
  readonly txnOffsetCommit: VersionRange;
  readonly endTxn: VersionRange;
}

/** TxnOffsetCommit below 3 would drop the fence of the membership (KIP-447). */
export const RANGES: Readonly<Record<TransactionVersion, Ranges>> = {
  1: {
    produce: { versionMax: 11 },
    txnOffsetCommit: { versionMin: 3, versionMax: 4 },
    endTxn: { versionMax: 4 },
  },
  2: {
    produce: { versionMin: 12 },
    txnOffsetCommit: { versionMin: 5 },
    endTxn: { versionMin: 5 },
  },
};

/**
 * Codes that the first requests of a step meet while nothing is wrong, so that the pause is short.
 *
 * CONCURRENT_TRANSACTIONS: the markers of the step before are being written. On v2 each request adds
 * partitions for itself, and of two that reach the coordinator at once one is put off: Produce is
 * then answered NOT_ENOUGH_REPLICAS, TxnOffsetCommit COORDINATOR_LOAD_IN_PROGRESS
 * (AddPartitionsToTxnManager, ReplicaManager and CoordinatorOperationExceptionHelper of Kafka 4).
 */
export const QUICK: Readonly<Record<TransactionVersion, ReadonlySet<number>>> = {
  1: new Set([KafkaErrorCode.CONCURRENT_TRANSACTIONS]),
  2: new Set([
    KafkaErrorCode.CONCURRENT_TRANSACTIONS,
    KafkaErrorCode.NOT_ENOUGH_REPLICAS,
    KafkaErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
  ]),
};
