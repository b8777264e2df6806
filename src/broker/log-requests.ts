/** Bounds of logs: ListOffsets and DeleteRecords. */
import { deleteRecords } from '../kafka/protocol/delete-records.ts';
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import { listOffsets } from '../kafka/protocol/list-offsets.ts';
import type { ApiTable } from './api-table.ts';
import type { PartitionLog } from './log.ts';
import { firstAtOrAfter } from './records.ts';
import type { BrokerState } from './state.ts';
import { configOf } from './topic-configs.ts';

const LATEST = -1;
const EARLIEST = -2;
const MAX_TIMESTAMP = -3;
/** Of a log that is kept here and elsewhere; this one is all here. */
const EARLIEST_LOCAL = -4;
const LEADER_EPOCH_VERSION = 4;
const NONE_FOUND = { timestamp: -1, offset: -1 };

export function serveLogRequests(table: ApiTable, state: BrokerState): void {
  table.serve(listOffsets, (request, answer, { connection, version }) => {
    const topics = request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex, timestamp, currentLeaderEpoch }) => {
        const partition = state.topics.partition(name, partitionIndex);
        const refuse = (errorCode: number) => ({
          partitionIndex,
          errorCode,
          ...NONE_FOUND,
        });
        if (partition === undefined) return refuse(KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
        if (partition.leader !== connection.node) {
          return refuse(KafkaErrorCode.NOT_LEADER_OR_FOLLOWER);
        }
        const epochFault = partition.epochFault(currentLeaderEpoch);
        if (epochFault !== KafkaErrorCode.NONE) return refuse(epochFault);
        const { log } = partition;
        const end = request.isolationLevel === 1 ? log.lastStableOffset : log.highWatermark;
        const place = find(log, timestamp, end);
        const knowsEpochs = version >= LEADER_EPOCH_VERSION && place.offset !== -1;
        const leaderEpoch = knowsEpochs ? log.leaderEpoch : -1;
        const errorCode: number = KafkaErrorCode.NONE;
        return { partitionIndex, errorCode, ...place, leaderEpoch };
      }),
    }));
    answer({ throttleTimeMs: 0, topics });
  });

  table.serve(deleteRecords, (request, answer, { connection }) => {
    const topics = request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex, offset }) => {
        const topic = state.topics.find(name);
        const partition = topic?.partitions[partitionIndex];
        const refuse = (errorCode: number) => ({ partitionIndex, lowWatermark: -1, errorCode });
        if (topic === undefined || partition === undefined) {
          return refuse(KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
        }
        if (partition.leader !== connection.node) {
          return refuse(KafkaErrorCode.NOT_LEADER_OR_FOLLOWER);
        }
        if (configOf(topic.configs, 'cleanup.policy') === 'compact') {
          return refuse(KafkaErrorCode.POLICY_VIOLATION);
        }
        const { log } = partition;
        const target = offset === -1 ? log.highWatermark : offset;
        if (target < 0 || target > log.highWatermark) {
          return refuse(KafkaErrorCode.OFFSET_OUT_OF_RANGE);
        }
        log.deleteBefore(target);
        const errorCode: number = KafkaErrorCode.NONE;
        return { partitionIndex, lowWatermark: log.logStartOffset, errorCode };
      }),
    }));
    answer({ throttleTimeMs: 0, topics });
  });
}

function find(
  log: PartitionLog,
  timestamp: number,
  end: number,
): { timestamp: number; offset: number } {
  if (timestamp === LATEST) return { timestamp: -1, offset: end };
  if (timestamp === EARLIEST || timestamp === EARLIEST_LOCAL) {
    return { timestamp: -1, offset: log.logStartOffset };
  }
  if (timestamp === MAX_TIMESTAMP) return newest(log, end);
  // What else is negative asks for what is kept elsewhere.
  if (timestamp < 0) return NONE_FOUND;
  for (const batch of log.batches) {
    if (batch.baseOffset >= end) break;
    if (batch.header.maxTimestamp < timestamp) continue;
    const place = firstAtOrAfter(batch.bytes, batch.header, timestamp);
    if (place === null) continue;
    const offset = batch.baseOffset + place.delta;
    if (offset < log.logStartOffset) continue;
    return offset < end ? { timestamp: place.timestamp, offset } : NONE_FOUND;
  }
  return NONE_FOUND;
}

function newest(log: PartitionLog, end: number): { timestamp: number; offset: number } {
  let best = -1;
  for (const batch of log.batches) {
    if (batch.baseOffset < end && batch.header.maxTimestamp > best) {
      best = batch.header.maxTimestamp;
    }
  }
  return best === -1 ? NONE_FOUND : find(log, best, end);
}
