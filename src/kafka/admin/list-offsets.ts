/** Where a log starts and ends. */
import { atLeader } from '../cluster/at-leader.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { brokerError } from '../protocol/error-codes.ts';
import { listOffsets as listOffsetsApi } from '../protocol/list-offsets.ts';

const TIMESTAMPS = { latest: -1, earliest: -2 } as const;
const CONSUMER = -1;

/** `latest` is the high watermark, open transactions included. */
export function listOffsets(
  cluster: Cluster,
  topic: string,
  partition: number,
  which: 'earliest' | 'latest',
): Promise<number> {
  return atLeader(cluster, topic, partition, async (node, timeoutMs) => {
    const asked = { partitionIndex: partition, timestamp: TIMESTAMPS[which] };
    const answer = await cluster.send(
      node,
      listOffsetsApi,
      { replicaId: CONSUMER, isolationLevel: 0, topics: [{ name: topic, partitions: [asked] }] },
      { lane: 'transaction', versionMin: 2, timeoutMs },
    );
    const found = answer.topics[0]?.partitions[0];
    if (found?.errorCode === 0) return found.offset;
    const what = `ListOffsets (${which}) of ${topic}-${partition}`;
    throw brokerError(found?.errorCode ?? -1, what, { topic, partition });
  });
}
