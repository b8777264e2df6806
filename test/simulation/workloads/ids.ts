/** Input whose values are ids that say where they stand: each input partition has one writer. */

import type { Input, Source } from '../../../src/simulation/oracle/evidence.ts';
import type { SeededRandom } from '../../../src/simulation/seeded-random.ts';

export interface IdInputs {
  readonly random: SeededRandom;
  readonly records: number;
  readonly partitions: number;
  readonly keys: number;
}

/** Records of topic `in` with keys `k0`, `k1`, ... and values `<partition>:<offset>`. */
export function idInputs({ random, records, partitions, keys }: IdInputs): Input[] {
  const next = Array.from({ length: partitions }, () => 0);
  return Array.from({ length: records }, (_, n) => {
    const partition = random.below(partitions);
    const key = `k${random.below(keys)}`;
    const value = `${partition}:${next[partition]}`;
    next[partition]! += 1;
    return { topic: 'in', partition, key, value, timestampMs: 1_000 + n };
  });
}

export function sourceOfId(id: string): Source {
  const [partition, offset] = id.split(':').map(Number);
  return { topic: 'in', partition: partition!, offset: offset! };
}
