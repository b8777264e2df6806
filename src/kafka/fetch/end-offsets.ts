/**
 * The end of a log as one answer shows it: two answers could straddle a commit.
 */
import { listOffsets } from '../admin/list-offsets.ts';
import { atLeader } from '../cluster/at-leader.ts';
import { repeat } from '../cluster/attempts.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { BrokerError, brokerError, KafkaErrorCode } from '../protocol/error-codes.ts';
import { fetchOne } from './fetch-request.ts';

export interface EndOffsets {
  /** Below it every transaction has ended. Equal to the high watermark when none is open. */
  readonly lastStableOffset: number;
  readonly highWatermark: number;
  readonly logStartOffset: number;
}

/**
 * Last stable offset, high watermark and log start of a partition, from one Fetch answer. The fetch
 * asks at the high watermark, where there is no data; ListOffsets finds that position first, since
 * a fetch outside of the log is refused without telling its ends.
 */
export function endOffsets(
  cluster: Cluster,
  topic: string,
  partition: number,
): Promise<EndOffsets> {
  return repeat(cluster.lookups, async () => {
    const position = await listOffsets(cluster, topic, partition, 'latest');
    try {
      return await atLeader(cluster, topic, partition, async (node, timeoutMs) => {
        const terms = {
          isolation: 'read_committed',
          maxWaitMs: 0,
          bytesPerPartitionMax: 1,
          timeoutMs,
        } as const;
        const fetched = await fetchOne(cluster, node, { topic, partition, position }, terms);
        const { lastStableOffset, highWatermark, logStartOffset } = fetched;
        return { lastStableOffset, highWatermark, logStartOffset };
      });
    } catch (error) {
      // The log was cut between the two answers (unclean election, topic made anew): look again.
      if (!(error instanceof BrokerError)) throw error;
      if (error.kafkaCode !== KafkaErrorCode.OFFSET_OUT_OF_RANGE) throw error;
      throw brokerError(
        KafkaErrorCode.OFFSET_NOT_AVAILABLE,
        `End of ${topic}-${partition}, which moved below ${position}`,
        { topic, partition },
      );
    }
  });
}
