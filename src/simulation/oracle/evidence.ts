/** What the judges of a run are shown, and what a judge says. */
import type { CommittedRecord, PartitionView } from './committed-log.ts';
import type { PlainOffset } from './plain-requests.ts';
import type { RawInput } from './raw-batches.ts';

export interface Input extends RawInput {
  readonly topic: string;
  readonly partition: number;
}

/** An input record that was written: its offset is known. */
export interface Written extends Input {
  readonly offset: number;
}

export interface Source {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

export interface CommittedStep {
  readonly transaction: string;
  readonly transactionalId: string;
  /** Who ended it. */
  readonly process: string;
  readonly endedAtMs: number;
  /** Where the group stands after it. */
  readonly offsets: readonly PlainOffset[];
  /** Of all topics; filled in when the run is judged. */
  readonly records: readonly CommittedRecord[];
}

/** What an application has left: what its model judges. */
export interface Outcome {
  readonly applicationId: string;
  /** In the order of writing, which within a partition is that of the offsets. */
  readonly written: readonly Written[];
  /** Names of the application's changelog topics. */
  readonly changelogs: readonly string[];
  /** Partition after partition; a topic that does not exist has none. */
  topic(name: string): readonly PartitionView[];
  /** Committed transactions with their records, in the order in which they were ended. */
  readonly steps: readonly CommittedStep[];
}

/** What a model knows of the run of its application. */
export interface Model {
  /**
   * What other runs over the same input leave as well, whatever their timing: every record, the last
   * one of each key, or nothing that can be said (default).
   */
  readonly repeatable?: 'records' | 'last-of-key' | 'nothing';
  /**
   * The input record that a committed record follows from, where that can be said: then both must
   * be of one transaction. Null: it cannot.
   */
  source(record: CommittedRecord): Source | null;
  /** What is wrong with what was committed; empty: nothing. */
  check(outcome: Outcome): readonly string[];
  /** What must hold after each committed transaction, and is broken; left out: nothing. */
  conserved?(outcome: Outcome): readonly string[];
}

/** Rows of a store of a running process, as a reader of committed state was given them. */
export interface StoreRows {
  readonly atMs: number;
  readonly process: string;
  readonly changelog: string;
  readonly partition: number;
  /** A window store drops rows that are over; its changelog keeps them. */
  readonly kind: 'key-value' | 'window';
  /** Bytes of the changelog's key and value, hexadecimal. */
  readonly rows: ReadonlyMap<string, string>;
  /** `rest`: nothing is under way, so everything that is committed is there. */
  readonly moment: 'busy' | 'rest';
}

export interface Evidence extends Outcome {
  readonly model: Model;
  /** Names of all topics of the broker. */
  readonly topics: readonly string[];
  /** Topics that the application reads. */
  readonly inputs: readonly string[];
  /** Of the application's group; -1: none. */
  committedOffset(topic: string, partition: number): number;
  /** What a reader of committed records sees ends before it. */
  stableEnd(topic: string, partition: number): number;
  /** Transactions that the coordinators hold for unfinished, as lines for people. */
  readonly openTransactions: readonly string[];
  /** Broken while the run was going on: what the trace of the requests and the reader have seen. */
  readonly seen: readonly Violation[];
  readonly stores: readonly StoreRows[];
  /** The transaction that wrote a record; null for a record of an outsider. */
  transactionOf(record: CommittedRecord): string | null;
  /** The process that wrote a record; null for one of an outsider. */
  writerOf(record: CommittedRecord): string | null;
}

/** Each check has a name, which its violations begin with. */
export const CHECKS = [
  'model',
  'stores',
  'offsets',
  'atomicity',
  'conservation',
  'reader',
  'open',
  'owner',
  'undisturbed',
  'replay',
  'rest',
  'leak',
] as const;
export type Check = (typeof CHECKS)[number];

export interface Violation {
  readonly check: Check;
  readonly what: string;
}

export function placeOf({ topic, partition }: { topic: string; partition: number }): string {
  return `${topic}-${partition}`;
}
