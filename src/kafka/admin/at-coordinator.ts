/**
 * One request to a coordinator, repeated while it moves, loads or cannot be reached. Only for requests
 * that change nothing or may be repeated freely.
 */
import { isPassing, repeat } from '../cluster/attempts.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { CoordinatorKind } from '../cluster/coordinators.ts';

export function atCoordinator<T>(
  cluster: Cluster,
  kind: CoordinatorKind,
  key: string,
  request: (node: number, timeoutMs: number) => Promise<T>,
): Promise<T> {
  return repeat(cluster.lookups, async (timeoutMs) => {
    const node = await cluster.coordinator(kind, key);
    try {
      return await request(node, timeoutMs);
    } catch (error) {
      if (isPassing(error)) cluster.forgetCoordinator(kind, key);
      throw error;
    }
  });
}
