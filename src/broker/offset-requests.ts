/** OffsetCommit, TxnOffsetCommit, OffsetFetch. */
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import { offsetCommit } from '../kafka/protocol/offset-commit.ts';
import { offsetFetch } from '../kafka/protocol/offset-fetch.ts';
import { txnOffsetCommit } from '../kafka/protocol/txn-offset-commit.ts';
import type { ApiTable, Connection } from './api-table.ts';
import type { GroupRecord } from './groups.ts';
import type { GroupOffsets, OffsetEntry } from './offsets.ts';
import type { BrokerState } from './state.ts';

interface Committer {
  readonly generation: number;
  readonly memberId: string;
  readonly instanceId: string | null;
}

interface OffsetTopic {
  readonly name: string;
  readonly partitions: readonly {
    readonly partitionIndex: number;
    readonly committedOffset: number;
    readonly committedLeaderEpoch: number;
    readonly committedMetadata: string | null;
  }[];
}

type Commit = (entry: OffsetEntry) => void;

const GROUPS_VERSION = 8;

export function serveOffsetRequests(table: ApiTable, state: BrokerState): void {
  table.serve(offsetCommit, (request, answer, { connection }) => {
    const committer: Committer = {
      generation: request.generationIdOrMemberEpoch,
      memberId: request.memberId,
      instanceId: request.groupInstanceId,
    };
    const errorCode = checkCommit(state, connection, request.groupId, committer);
    const topics = store(state, request.topics, errorCode, (entry) =>
      state.groups.findOrCreate(request.groupId).offsets.commit(entry),
    );
    answer({ throttleTimeMs: 0, topics });
  });

  table.serve(txnOffsetCommit, (request, answer, { connection }) => {
    const { groupId, transactionalId, producerId, producerEpoch } = request;
    const committer: Committer = {
      generation: request.generationId,
      memberId: request.memberId,
      instanceId: request.groupInstanceId,
    };
    const errorCode = checkTransactionalCommit(state, connection, groupId, {
      ...committer,
      transactionalId,
      producerId,
      producerEpoch,
    });
    const topics = store(state, request.topics, errorCode, (entry) =>
      state.groups.findOrCreate(groupId).offsets.commitPending(producerId, producerEpoch, entry),
    );
    answer({ throttleTimeMs: 0, topics });
  });

  table.serve(offsetFetch, (request, answer, { connection, version }) => {
    const stability = request.requireStable ? 'stable' : 'any';
    if (version < GROUPS_VERSION) {
      const { errorCode, topics } = offsetsOf(
        state,
        connection,
        request.groupId,
        request.topics,
        stability,
      );
      answer({ throttleTimeMs: 0, topics, errorCode, groups: [] });
      return;
    }
    const groups = request.groups.map(({ groupId, topics }) => ({
      groupId,
      ...offsetsOf(state, connection, groupId, topics, stability),
    }));
    answer({ throttleTimeMs: 0, topics: [], errorCode: KafkaErrorCode.NONE, groups });
  });
}

function misplaced(state: BrokerState, connection: Connection, groupId: string): number {
  return state.coordinatorOf('group', groupId) === connection.node
    ? KafkaErrorCode.NONE
    : KafkaErrorCode.NOT_COORDINATOR;
}

function checkCommit(
  state: BrokerState,
  connection: Connection,
  groupId: string,
  committer: Committer,
): number {
  const wrongNode = misplaced(state, connection, groupId);
  if (wrongNode !== KafkaErrorCode.NONE) return wrongNode;
  const record = state.groups.find(groupId);
  const { generation, memberId, instanceId } = committer;
  if (record === undefined) {
    return generation < 0 ? KafkaErrorCode.NONE : KafkaErrorCode.ILLEGAL_GENERATION;
  }
  const { group } = record;
  if (generation < 0 && group.state === 'Empty') return KafkaErrorCode.NONE;
  if (generation < 0 && memberId === '' && instanceId === null) {
    return KafkaErrorCode.UNKNOWN_MEMBER_ID;
  }
  const errorCode = group.check(memberId, instanceId, generation);
  if (errorCode !== KafkaErrorCode.NONE) return errorCode;
  return group.state === 'CompletingRebalance'
    ? KafkaErrorCode.REBALANCE_IN_PROGRESS
    : KafkaErrorCode.NONE;
}

/**
 * Rule 14: membership is checked only when the request carries it, and a rebalance does not refuse
 * the commit; what the transaction coordinator knows is asked only for the first offsets of it.
 */
function checkTransactionalCommit(
  state: BrokerState,
  connection: Connection,
  groupId: string,
  committer: Committer & {
    readonly transactionalId: string;
    readonly producerId: number;
    readonly producerEpoch: number;
  },
): number {
  const wrongNode = misplaced(state, connection, groupId);
  if (wrongNode !== KafkaErrorCode.NONE) return wrongNode;
  const record = state.groups.find(groupId);
  const { generation, memberId, instanceId, producerId, producerEpoch } = committer;
  const refused = checkMembership(record, { generation, memberId, instanceId });
  if (refused !== KafkaErrorCode.NONE) return refused;
  const fenced = record?.offsets.checkEpoch(producerId, producerEpoch) ?? KafkaErrorCode.NONE;
  if (fenced !== KafkaErrorCode.NONE) return fenced;
  if (record?.offsets.hasOpenTransaction(producerId, producerEpoch) === true) {
    return KafkaErrorCode.NONE;
  }
  const errorCode = state.transactions.verify(
    committer.transactionalId,
    { producerId, producerEpoch },
    { kind: 'offsets', group: groupId },
  );
  switch (errorCode) {
    case KafkaErrorCode.PRODUCER_FENCED:
      return KafkaErrorCode.INVALID_PRODUCER_EPOCH;
    case KafkaErrorCode.TRANSACTION_ABORTABLE:
      return KafkaErrorCode.INVALID_TXN_STATE;
    case KafkaErrorCode.CONCURRENT_TRANSACTIONS:
      return KafkaErrorCode.COORDINATOR_LOAD_IN_PROGRESS;
    default:
      return errorCode;
  }
}

function checkMembership(record: GroupRecord | undefined, committer: Committer): number {
  const { generation, memberId, instanceId } = committer;
  if (generation < 0 && memberId === '' && instanceId === null) return KafkaErrorCode.NONE;
  if (record === undefined) {
    return generation < 0 ? KafkaErrorCode.UNKNOWN_MEMBER_ID : KafkaErrorCode.ILLEGAL_GENERATION;
  }
  if (generation < 0 && record.group.state === 'Empty') return KafkaErrorCode.NONE;
  return record.group.check(memberId, instanceId, generation);
}

/** One error code for all, or a code for each partition on its own. */
function store(
  state: BrokerState,
  topics: readonly OffsetTopic[],
  errorCode: number,
  commit: Commit,
) {
  return topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map((each) => {
      const { partitionIndex } = each;
      if (errorCode !== KafkaErrorCode.NONE) return { partitionIndex, errorCode };
      if (state.topics.partition(name, partitionIndex) === undefined) {
        return { partitionIndex, errorCode: KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION };
      }
      const metadata = each.committedMetadata ?? '';
      if (metadata.length > state.settings.offsetMetadataMax) {
        return { partitionIndex, errorCode: KafkaErrorCode.OFFSET_METADATA_TOO_LARGE };
      }
      commit({
        topic: name,
        partition: partitionIndex,
        offset: each.committedOffset,
        leaderEpoch: each.committedLeaderEpoch,
        metadata,
      });
      return { partitionIndex, errorCode: KafkaErrorCode.NONE };
    }),
  }));
}

function offsetsOf(
  state: BrokerState,
  connection: Connection,
  groupId: string,
  topics: readonly { readonly name: string; readonly partitionIndexes: readonly number[] }[] | null,
  stability: 'stable' | 'any',
) {
  const errorCode = misplaced(state, connection, groupId);
  const offsets = state.groups.find(groupId)?.offsets;
  const wanted =
    topics ??
    [...(offsets?.partitions() ?? [])].map(([name, partitionIndexes]) => ({
      name,
      partitionIndexes,
    }));
  return {
    errorCode,
    topics: wanted.map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((partitionIndex) =>
        offsetOf(offsets, name, partitionIndex, errorCode, stability),
      ),
    })),
  };
}

function offsetOf(
  offsets: GroupOffsets | undefined,
  topic: string,
  partitionIndex: number,
  errorCode: number,
  stability: 'stable' | 'any',
) {
  const unstable = stability === 'stable' && offsets?.isPending(topic, partitionIndex) === true;
  const refusal =
    errorCode === KafkaErrorCode.NONE && unstable
      ? KafkaErrorCode.UNSTABLE_OFFSET_COMMIT
      : errorCode;
  const committed =
    refusal === KafkaErrorCode.NONE ? offsets?.find(topic, partitionIndex) : undefined;
  return {
    partitionIndex,
    committedOffset: committed?.offset ?? -1,
    committedLeaderEpoch: committed?.leaderEpoch ?? -1,
    metadata: committed?.metadata ?? '',
    errorCode: refusal,
  };
}
