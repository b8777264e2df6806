/** What a simulation runs and how its result is judged: a topology, its input, its model. */
import type { Clock } from '../ports.ts';
import type { StartInstanceOptions } from '../runtime/start-instance.ts';
import type { Input, Model } from './oracle/evidence.ts';
import type { SeededRandom } from './seeded-random.ts';

/** What user code of a topology may use besides its record. */
export interface UserCode {
  /** Throws at the rate of the fault plan. Called where user code may fail. */
  readonly disturb: () => void;
  /** Of its process. */
  readonly clock: Clock;
  /** Resolves after a random time; at the rate of the fault plan it never does. */
  readonly call: () => Promise<void>;
}

export interface Workload extends Model {
  readonly name: string;
  /** Created before the first instance starts; partitions by topic. */
  readonly topics: Readonly<Record<string, number>>;
  /** A new one for each process: processes share no objects. */
  topology(user: UserCode): StartInstanceOptions['topology'];
  /** Input records, in the order in which they are written. */
  inputs(random: SeededRandom, records: number): readonly Input[];
}
