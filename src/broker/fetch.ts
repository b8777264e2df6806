/**
 * Fetch: a long poll over several partitions.
 *
 * I1. A read_committed fetch never passes the last stable offset (rule 11) and carries the aborted
 *     transactions of its range, in the order of completion (rule 12).
 * I2. The first partition with something to give hands out at least one whole batch, whatever the
 *     limits say (KIP-74); after that both limits hold.
 * I3. An error in any partition, or enough bytes, answers at once; otherwise the answer waits for
 *     an append, a marker or the maximum wait. A waiting fetch costs one timer and no polling, and
 *     is forgotten with its connection.
 */
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import { fetch } from '../kafka/protocol/fetch.ts';
import type { ApiTable, Connection } from './api-table.ts';
import type { Partition } from './partition.ts';
import type { BrokerState } from './state.ts';
import type { AbortedTransaction } from './stored-batch.ts';
import { NO_TOPIC_ID } from './topics.ts';

type Isolation = 'read_committed' | 'read_uncommitted';

interface Want {
  readonly topic: string;
  /** That was asked for, from version 13 on; else NO_TOPIC_ID. */
  readonly topicId: string;
  readonly index: number;
  readonly fetchOffset: number;
  readonly leaderEpoch: number;
  readonly bytesMax: number;
}

interface Poll {
  readonly wants: readonly Want[];
  readonly isolation: Isolation;
  readonly bytesMax: number;
  readonly bytesMin: number;
  readonly maxWaitMs: number;
  readonly connection: Connection;
}

interface Got {
  readonly topic: string;
  readonly topicId: string;
  readonly partitionIndex: number;
  readonly errorCode: number;
  readonly highWatermark: number;
  readonly lastStableOffset: number;
  readonly logStartOffset: number;
  readonly abortedTransactions: readonly AbortedTransaction[] | null;
  readonly preferredReadReplica: number;
  readonly records: Buffer;
}

const NOTHING = Buffer.alloc(0);
/** The first version that names topics by their ids (KIP-516). */
const TOPIC_IDS_VERSION = 13;
/** `fetch.max.bytes` of a broker, whatever the client asks for. */
const ANSWER_BYTES_MAX = 57_671_680;

export function serveFetch(table: ApiTable, state: BrokerState): void {
  table.serve(fetch, (request, answer, { connection, version }) => {
    if (request.sessionId !== 0) {
      // Sessions are never opened here, so an id is one of another broker's (KIP-227).
      const errorCode = KafkaErrorCode.FETCH_SESSION_ID_NOT_FOUND;
      answer({ throttleTimeMs: 0, errorCode, sessionId: 0, responses: [] });
      return;
    }
    const poll: Poll = {
      wants: request.topics.flatMap(({ topic, topicId, partitions }) =>
        partitions.map((each) => ({
          topic: version < TOPIC_IDS_VERSION ? topic : (state.topics.findById(topicId)?.name ?? ''),
          topicId,
          index: each.partition,
          fetchOffset: each.fetchOffset,
          leaderEpoch: each.currentLeaderEpoch,
          bytesMax: each.partitionMaxBytes,
        })),
      ),
      isolation: request.isolationLevel === 1 ? 'read_committed' : 'read_uncommitted',
      bytesMax: Math.min(request.maxBytes, ANSWER_BYTES_MAX),
      bytesMin: request.minBytes,
      maxWaitMs: request.maxWaitMs,
      connection,
    };
    const respond = () => {
      const responses = byTopic(read(state, poll));
      answer({ throttleTimeMs: 0, errorCode: KafkaErrorCode.NONE, sessionId: 0, responses });
    };
    if (poll.wants.length === 0 || request.maxWaitMs <= 0 || isDue(state, poll)) respond();
    else wait(state, poll, respond);
  });
}

function wait(state: BrokerState, poll: Poll, respond: () => void): void {
  const logs = poll.wants.map((want) => state.topics.partition(want.topic, want.index)!.log);
  let waiting: 'waiting' | 'answered' = 'waiting';
  const stop = () => {
    waiting = 'answered';
    poll.connection.abandon = null;
    timer.cancel();
    for (const unwatch of unwatches) unwatch();
  };
  const finish = () => {
    // An answer may lead to an append inside the announcement that is being made.
    if (waiting === 'answered') return;
    stop();
    respond();
  };
  poll.connection.abandon = stop;
  const timer = state.ports.timers.after(poll.maxWaitMs, finish);
  const unwatches = logs.map((log) =>
    log.watch(() => {
      if (isDue(state, poll)) finish();
    }),
  );
}

/** Whether there is an error to tell or enough to give. */
function isDue(state: BrokerState, poll: Poll): boolean {
  let bytes = 0;
  for (const want of poll.wants) {
    const partition = state.topics.partition(want.topic, want.index);
    if (partition === undefined || faultOf(partition, want, poll) !== KafkaErrorCode.NONE) {
      return true;
    }
    bytes += Math.min(
      want.bytesMax,
      partition.log.bytesBetween(want.fetchOffset, endOf(partition, poll.isolation)),
    );
  }
  return bytes >= poll.bytesMin;
}

function read(state: BrokerState, poll: Poll): Got[] {
  let left = poll.bytesMax;
  let first: 'always' | 'within' = 'always';
  return poll.wants.map((want) => {
    const partition = state.topics.partition(want.topic, want.index);
    if (partition === undefined) return failed(want, unknownCode(state, want));
    const errorCode = faultOf(partition, want, poll);
    if (errorCode !== KafkaErrorCode.NONE) return failed(want, errorCode);
    const { log } = partition;
    const end = endOf(partition, poll.isolation);
    const slice = log.read(want.fetchOffset, end, Math.min(left, want.bytesMax), first);
    if (slice.bytes > 0) first = 'within';
    left = Math.max(0, left - slice.bytes);
    return {
      topic: want.topic,
      topicId: want.topicId,
      partitionIndex: want.index,
      errorCode: KafkaErrorCode.NONE,
      highWatermark: log.highWatermark,
      lastStableOffset: log.lastStableOffset,
      logStartOffset: log.logStartOffset,
      abortedTransactions:
        poll.isolation === 'read_committed'
          ? log.abortedTransactions(want.fetchOffset, slice.abortedBound)
          : null,
      preferredReadReplica: -1,
      records: slice.batches.length === 1 ? slice.batches[0]! : Buffer.concat(slice.batches),
    };
  });
}

function faultOf(partition: Partition, want: Want, poll: Poll): number {
  const { log } = partition;
  if (partition.leader !== poll.connection.node) return KafkaErrorCode.NOT_LEADER_OR_FOLLOWER;
  const epochFault = partition.epochFault(want.leaderEpoch);
  if (epochFault !== KafkaErrorCode.NONE) return epochFault;
  return want.fetchOffset < log.logStartOffset || want.fetchOffset > log.logEndOffset
    ? KafkaErrorCode.OFFSET_OUT_OF_RANGE
    : KafkaErrorCode.NONE;
}

function endOf(partition: Partition, isolation: Isolation): number {
  const { log } = partition;
  return isolation === 'read_committed' ? log.lastStableOffset : log.highWatermark;
}

/** Kafka tells no bounds of the log beside an error, not even beside OFFSET_OUT_OF_RANGE. */
function failed(want: Want, errorCode: number): Got {
  return {
    topic: want.topic,
    topicId: want.topicId,
    partitionIndex: want.index,
    errorCode,
    highWatermark: -1,
    lastStableOffset: -1,
    logStartOffset: -1,
    abortedTransactions: null,
    preferredReadReplica: -1,
    records: NOTHING,
  };
}

function unknownCode(state: BrokerState, { topicId }: Want): number {
  return topicId === NO_TOPIC_ID || state.topics.findById(topicId) !== undefined
    ? KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    : KafkaErrorCode.UNKNOWN_TOPIC_ID;
}

function byTopic(all: readonly Got[]): { topic: string; topicId: string; partitions: Got[] }[] {
  const topics = new Map<string, { topic: string; topicId: string; partitions: Got[] }>();
  for (const got of all) {
    const { topic, topicId } = got;
    const key = topicId === NO_TOPIC_ID ? topic : topicId;
    const entry = topics.get(key) ?? { topic, topicId, partitions: [] };
    entry.partitions.push(got);
    topics.set(key, entry);
  }
  return [...topics.values()];
}
