/** Every case of the suite. */
import type { Case } from '../case.ts';
import { CLUSTER } from './cluster.ts';
import { COMPACTION } from './compaction.ts';
import { COORDINATOR } from './coordinator.ts';
import { GROUPS } from './groups.ts';
import { KAFKA_TRANSACTIONS } from './kafka-transactions.ts';
import { OFFSETS } from './offsets.ts';
import { PRODUCE } from './produce.ts';
import { READING } from './reading.ts';
import { TRANSACTIONS_V2 } from './transactions-v2.ts';

export const CASES: readonly Case[] = [
  ...KAFKA_TRANSACTIONS,
  ...COORDINATOR,
  ...PRODUCE,
  ...READING,
  ...OFFSETS,
  ...GROUPS,
  ...TRANSACTIONS_V2,
  ...CLUSTER,
  ...COMPACTION,
];
