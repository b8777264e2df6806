/**
 * OffsetForLeaderEpoch: where an epoch of a leader ended in the log. A reader whose position lies
 * beyond has read what the log has lost.
 */
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import { offsetForLeaderEpoch } from '../kafka/protocol/offset-for-leader-epoch.ts';
import { LEADER_EPOCH } from '../kafka/records/batch-layout.ts';
import type { ApiTable } from './api-table.ts';
import type { PartitionLog } from './log.ts';
import type { BrokerState } from './state.ts';

const NOWHERE = { leaderEpoch: -1, endOffset: -1 };

export function serveEpochRequests(table: ApiTable, state: BrokerState): void {
  table.serve(offsetForLeaderEpoch, (request, answer, { connection }) => {
    const topics = request.topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition: index, currentLeaderEpoch, leaderEpoch }) => {
        const partition = state.topics.partition(topic, index);
        const refuse = (errorCode: number) => ({ partition: index, errorCode, ...NOWHERE });
        if (partition === undefined) return refuse(KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
        if (partition.leader !== connection.node) {
          return refuse(KafkaErrorCode.NOT_LEADER_OR_FOLLOWER);
        }
        const { log } = partition;
        if (currentLeaderEpoch !== -1 && currentLeaderEpoch !== log.leaderEpoch) {
          return refuse(
            currentLeaderEpoch < log.leaderEpoch
              ? KafkaErrorCode.FENCED_LEADER_EPOCH
              : KafkaErrorCode.UNKNOWN_LEADER_EPOCH,
          );
        }
        return { partition: index, errorCode: KafkaErrorCode.NONE, ...endOf(log, leaderEpoch) };
      }),
    }));
    answer({ throttleTimeMs: 0, topics });
  });
}

/** The epoch asked for, or the one before it when that wrote nothing, and the offset after it. */
function endOf(log: PartitionLog, leaderEpoch: number): typeof NOWHERE {
  if (leaderEpoch === log.leaderEpoch) return { leaderEpoch, endOffset: log.logEndOffset };
  if (leaderEpoch < 0 || leaderEpoch > log.leaderEpoch) return NOWHERE;
  let floor = leaderEpoch;
  let found: 'none' | 'some' = 'none';
  for (const { bytes, baseOffset } of log.batches) {
    const epoch = bytes.readInt32BE(LEADER_EPOCH);
    if (epoch > leaderEpoch) return { leaderEpoch: floor, endOffset: baseOffset };
    floor = epoch;
    found = 'some';
  }
  // The later epochs wrote nothing yet: they begin where the log ends.
  return { leaderEpoch: found === 'some' ? floor : leaderEpoch, endOffset: log.logEndOffset };
}
