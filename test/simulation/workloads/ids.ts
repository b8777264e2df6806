/** Ids of input records that say where they will stand: each input partition has one writer. */
import type { Source } from '../../../src/simulation/workload.ts';

/** The next id of a partition: `<partition>:<offset>`. */
export function idsByPartition(): (partition: number) => string {
  const next = new Map<number, number>();
  return (partition) => {
    const offset = next.get(partition) ?? 0;
    next.set(partition, offset + 1);
    return `${partition}:${offset}`;
  };
}

export function sourceOfId(topic: string, id: string): Source {
  const [partition, offset] = id.split(':').map(Number);
  return { topic, partition: partition!, offset: offset! };
}
