/**
 * One request to the leader of a partition, repeated while the leader moves or cannot be reached.
 * Only for requests that change nothing or may be repeated freely.
 */
import { isPassing, repeat } from './attempts.ts';
import type { Cluster } from './cluster.ts';

export function atLeader<T>(
  cluster: Cluster,
  topic: string,
  partition: number,
  request: (node: number, timeoutMs: number) => Promise<T>,
): Promise<T> {
  return repeat(cluster.lookups, async (timeoutMs) => {
    const node = await cluster.leaderOf(topic, partition);
    try {
      return await request(node, timeoutMs);
    } catch (error) {
      if (isPassing(error)) cluster.forgetLeader(topic, partition);
      throw error;
    }
  });
}
