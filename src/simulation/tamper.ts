/** The evidence of a run, changed before it is judged: for tests of the oracle. */
import type { PartitionView } from './oracle/committed-log.ts';
import type { StoreRows, Written } from './oracle/evidence.ts';
import type { Exchange } from './oracle/transaction-trace.ts';
import type { SeenBatches } from './outsider.ts';

export interface Tamper {
  readonly batches?: SeenBatches;
  readonly committedOffset?: (offset: number, topic: string, partition: number) => number;
  readonly written?: (written: readonly Written[]) => readonly Written[];
  readonly stableEnd?: (offset: number, topic: string, partition: number) => number;
  readonly openTransactions?: (lines: readonly string[]) => readonly string[];
  /** Of what the broker has carried out. */
  readonly exchange?: (exchange: Exchange) => Exchange;
  /** Of what the reader sees while the application runs. */
  readonly readerView?: (view: PartitionView, atMs: number) => PartitionView;
  readonly stores?: (stores: readonly StoreRows[]) => readonly StoreRows[];
}
