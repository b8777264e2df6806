/** What a simulation runs and how its result is judged: a topology, its input, its model. */
import type { StartInstanceOptions } from '../runtime/start-instance.ts';
import type { CommittedRecord, PartitionView } from './committed-log.ts';
import type { RawInput } from './raw-batches.ts';
import type { SeededRandom } from './seeded-random.ts';

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

/** What user code of a topology may use besides its record. */
export interface UserCode {
  /** Throws at the rate of the fault plan. Called where user code may fail. */
  readonly disturb: () => void;
  /** Resolves after a random time; at the rate of the fault plan it never does. */
  readonly call: () => Promise<void>;
}

export interface Outcome {
  readonly applicationId: string;
  /** In the order of writing, which within a partition is that of the offsets. */
  readonly written: readonly Written[];
  /** Names of the application's changelog topics. */
  readonly changelogs: readonly string[];
  /** Partition after partition; a topic that does not exist has none. */
  topic(name: string): readonly PartitionView[];
}

export interface Workload {
  readonly name: string;
  /** Created before the first instance starts; partitions by topic. */
  readonly topics: Readonly<Record<string, number>>;
  /** A new one for each process: processes share no objects. */
  topology(user: UserCode): StartInstanceOptions['topology'];
  /** Input records, in the order in which they are written. */
  inputs(random: SeededRandom, records: number): readonly Input[];
  /**
   * The input record that a committed record follows from, where that can be said: then both must
   * be of one transaction. Null: it cannot.
   */
  source(record: CommittedRecord): Source | null;
  /** What is wrong with what was committed; empty: nothing. */
  check(outcome: Outcome): readonly string[];
}
