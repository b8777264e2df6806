import { addOffsetsToTxn } from '../../src/kafka/protocol/add-offsets-to-txn.ts';
import { addPartitionsToTxn } from '../../src/kafka/protocol/add-partitions-to-txn.ts';
import { endTxn } from '../../src/kafka/protocol/end-txn.ts';
import { produce } from '../../src/kafka/protocol/produce.ts';
import { txnOffsetCommit } from '../../src/kafka/protocol/txn-offset-commit.ts';

/** The requests of a step on transactions v1 and v2. */
export const STEP = {
  1: [addPartitionsToTxn, addOffsetsToTxn, produce, txnOffsetCommit, endTxn],
  2: [produce, txnOffsetCommit, endTxn],
} as const;
