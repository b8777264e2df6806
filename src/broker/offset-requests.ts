/** OffsetCommit, TxnOffsetCommit, OffsetFetch. */
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import { offsetCommit } from '../kafka/protocol/offset-commit.ts';
import { offsetFetch } from '../kafka/protocol/offset-fetch.ts';
import { txnOffsetCommit } from '../kafka/protocol/txn-offset-commit.ts';
import type { ApiTable, Call, Connection } from './api-table.ts';
import type { GroupOffsets, OffsetEntry } from './offsets.ts';
import type { BrokerState } from './state.ts';
import { NO_TOPIC_ID } from './topics.ts';
import type { Enlistment } from './transactions.ts';

interface Committer {
  readonly generation: number;
  readonly memberId: string;
  readonly instanceId: string | null;
}

interface OffsetTopic {
  readonly name: string;
  readonly topicId?: string;
  readonly partitions: readonly {
    readonly partitionIndex: number;
    readonly committedOffset: number;
    readonly committedLeaderEpoch: number;
    readonly committedMetadata: string | null;
  }[];
}

type Commit = (entry: OffsetEntry) => void;

const GROUPS_VERSION = 8;
/** First versions that name topics by their ids. */
const COMMIT_TOPIC_IDS_VERSION = 10;
const FETCH_TOPIC_IDS_VERSION = 10;
/** First version of OffsetCommit that tells an unknown group from an old generation. */
const UNKNOWN_GROUP_VERSION = 9;
/** First versions of TxnOffsetCommit that know TRANSACTION_ABORTABLE, and that add the group. */
const ABORTABLE_VERSION = 4;
const ADDING_VERSION = 5;

export function serveOffsetRequests(table: ApiTable, state: BrokerState): void {
  table.serve(offsetCommit, (request, answer, { connection, version }) => {
    const committer: Committer = {
      generation: request.generationIdOrMemberEpoch,
      memberId: request.memberId,
      instanceId: request.groupInstanceId,
    };
    const errorCode = checkCommit(state, connection, request.groupId, committer);
    const refusal =
      errorCode === KafkaErrorCode.GROUP_ID_NOT_FOUND && version < UNKNOWN_GROUP_VERSION
        ? KafkaErrorCode.ILLEGAL_GENERATION
        : errorCode;
    const named = request.topics.map((topic) => ({
      ...topic,
      name: nameOf(state, topic, version < COMMIT_TOPIC_IDS_VERSION ? 'name' : 'id'),
    }));
    const topics = store(state, named, refusal, (entry) =>
      state.groups.findOrCreate(request.groupId).offsets.commit(entry),
    );
    answer({ throttleTimeMs: 0, topics });
  });

  table.serve(txnOffsetCommit, (request, answer, call) => {
    const { groupId, transactionalId, producerId, producerEpoch } = request;
    const committer: Committer = {
      generation: request.generationId,
      memberId: request.memberId,
      instanceId: request.groupInstanceId,
    };
    const identified = { ...committer, transactionalId, producerId, producerEpoch };
    const commit: Commit = (entry) =>
      state.groups.findOrCreate(groupId).offsets.commitPending(producerId, producerEpoch, entry);
    const respond = (errorCode: number) => {
      const topics = store(state, request.topics, errorCode, commit);
      answer({ throttleTimeMs: 0, topics });
    };
    const isKnown = request.topics.some(({ name, partitions }) =>
      partitions.some((each) => state.topics.partition(name, each.partitionIndex) !== undefined),
    );
    // Nothing that exists: neither the group nor the transaction hears of it.
    if (isKnown) checkTransactionalCommit(state, call, groupId, identified, respond);
    else respond(KafkaErrorCode.NONE);
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
    const by = version < FETCH_TOPIC_IDS_VERSION ? 'name' : 'id';
    const groups = request.groups.map(({ groupId, topics }) => {
      const named = topics?.map((topic) => ({ ...topic, name: nameOf(state, topic, by) })) ?? null;
      return { groupId, ...offsetsOf(state, connection, groupId, named, stability) };
    });
    answer({ throttleTimeMs: 0, topics: [], errorCode: KafkaErrorCode.NONE, groups });
  });
}

/** The name of a topic that is named by its id from some version on; '' when there is none. */
function nameOf(
  state: BrokerState,
  { name, topicId }: { readonly name: string; readonly topicId: string },
  by: 'name' | 'id',
): string {
  return by === 'name' ? name : (state.topics.findById(topicId)?.name ?? '');
}

function misplaced(state: BrokerState, connection: Connection, groupId: string): number {
  return state.coordinatorFault('group', groupId, connection.node);
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
    if (generation < 0) return KafkaErrorCode.NONE;
    return state.settings.transactionVersion === 2
      ? KafkaErrorCode.GROUP_ID_NOT_FOUND
      : KafkaErrorCode.ILLEGAL_GENERATION;
  }
  const { group } = record;
  if (generation < 0 && group.state === 'Empty') return KafkaErrorCode.NONE;
  if (generation < 0 && memberId === '' && instanceId === null) {
    return KafkaErrorCode.UNKNOWN_MEMBER_ID;
  }
  const errorCode = group.check(memberId, instanceId, generation);
  if (errorCode !== KafkaErrorCode.NONE) return errorCode;
  if (group.state === 'CompletingRebalance') return KafkaErrorCode.REBALANCE_IN_PROGRESS;
  group.committed(memberId);
  return KafkaErrorCode.NONE;
}

interface TransactionalCommitter extends Committer {
  readonly transactionalId: string;
  readonly producerId: number;
  readonly producerEpoch: number;
}

/**
 * The transaction comes first, then the membership: a commit of v2 that a zombie was refused has
 * added the group to the transaction, as in Kafka.
 */
function checkTransactionalCommit(
  state: BrokerState,
  { connection, version }: Call,
  groupId: string,
  committer: TransactionalCommitter,
  answer: (errorCode: number) => void,
): void {
  const { producerId, producerEpoch } = committer;
  const wrongNode = misplaced(state, connection, groupId);
  if (wrongNode !== KafkaErrorCode.NONE) {
    answer(wrongNode);
    return;
  }
  const offsets = () => state.groups.find(groupId)?.offsets;
  const fenced = () => offsets()?.checkEpoch(producerId, producerEpoch) ?? KafkaErrorCode.NONE;
  const isEarly = state.settings.transactionVersion === 2;
  // Kafka 3.9 makes the group before it asks whether the commit is allowed.
  if (!isEarly) state.groups.findOrCreate(groupId);
  if (isEarly && fenced() !== KafkaErrorCode.NONE) {
    answer(fenced());
    return;
  }
  const finish = (refused: number) =>
    answer(
      refused ||
        // The transaction coordinator took its time, and the group moved meanwhile.
        misplaced(state, connection, groupId) ||
        checkMembership(state, groupId, committer) ||
        fenced(),
    );
  // Kafka 3.9 does not look at the epoch here: a newer one slips into what is open.
  const openAt = isEarly ? producerEpoch : 'any';
  if (offsets()?.hasOpenTransaction(producerId, openAt) === true) {
    finish(KafkaErrorCode.NONE);
    return;
  }
  // Asked only for the first offsets of a transaction: verified (v1) or added (v2).
  const enlistment: Enlistment = {
    transactionalId: committer.transactionalId,
    producer: { producerId, producerEpoch },
    participants: [{ kind: 'offsets', group: groupId }],
    rules: version >= ADDING_VERSION ? 'v2' : 'v1',
  };
  state.gate.ask(connection.node, enlistment, (errorCode) => finish(answerOf(errorCode, version)));
}

/** The transaction coordinator's answer as clients of the version know it. */
function answerOf(errorCode: number, version: number): number {
  switch (errorCode) {
    case KafkaErrorCode.PRODUCER_FENCED:
      return KafkaErrorCode.INVALID_PRODUCER_EPOCH;
    case KafkaErrorCode.TRANSACTION_ABORTABLE:
      return version < ABORTABLE_VERSION ? KafkaErrorCode.INVALID_TXN_STATE : errorCode;
    case KafkaErrorCode.NETWORK_EXCEPTION:
      return KafkaErrorCode.COORDINATOR_LOAD_IN_PROGRESS;
    default:
      return errorCode;
  }
}

/** Rule 14: checked only when the request carries a member, and not refused amid a rebalance. */
function checkMembership(state: BrokerState, groupId: string, committer: Committer): number {
  const { generation, memberId, instanceId } = committer;
  const record = state.groups.find(groupId);
  const isAnonymous = generation < 0 && memberId === '' && instanceId === null;
  const isEmpty = record === undefined || record.group.state === 'Empty';
  if (isAnonymous || (generation < 0 && isEmpty)) return KafkaErrorCode.NONE;
  if (record !== undefined) return record.group.check(memberId, instanceId, generation);
  return state.settings.transactionVersion === 2
    ? KafkaErrorCode.ILLEGAL_GENERATION
    : KafkaErrorCode.UNKNOWN_MEMBER_ID;
}

/** One error code for all, or a code for each partition on its own. */
function store(
  state: BrokerState,
  topics: readonly OffsetTopic[],
  errorCode: number,
  commit: Commit,
) {
  return topics.map(({ name, topicId = NO_TOPIC_ID, partitions }) => ({
    name,
    topicId,
    partitions: partitions.map((each) => {
      const { partitionIndex } = each;
      // The topics are looked at first, whatever is wrong with the group.
      if (name === '' && topicId !== NO_TOPIC_ID) {
        return { partitionIndex, errorCode: KafkaErrorCode.UNKNOWN_TOPIC_ID };
      }
      if (state.topics.partition(name, partitionIndex) === undefined) {
        return { partitionIndex, errorCode: KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION };
      }
      if (errorCode !== KafkaErrorCode.NONE) return { partitionIndex, errorCode };
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

interface WantedTopic {
  readonly name: string;
  readonly topicId?: string;
  readonly partitionIndexes: readonly number[];
}

function offsetsOf(
  state: BrokerState,
  connection: Connection,
  groupId: string,
  topics: readonly WantedTopic[] | null,
  stability: 'stable' | 'any',
) {
  const errorCode = misplaced(state, connection, groupId);
  const offsets = state.groups.find(groupId)?.offsets;
  const wanted: readonly WantedTopic[] =
    topics ??
    [...(offsets?.partitions() ?? [])].map(([name, partitionIndexes]) => ({
      name,
      topicId: state.topics.find(name)?.id ?? NO_TOPIC_ID,
      partitionIndexes,
    }));
  return {
    errorCode,
    topics: wanted.map(({ name, topicId = NO_TOPIC_ID, partitionIndexes }) => {
      const isUnknown = name === '' && topicId !== NO_TOPIC_ID;
      const refusal = isUnknown ? KafkaErrorCode.UNKNOWN_TOPIC_ID : errorCode;
      return {
        name,
        topicId,
        partitions: partitionIndexes.map((partitionIndex) =>
          offsetOf(offsets, name, partitionIndex, refusal, stability),
        ),
      };
    }),
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
