/**
 * What a broker may answer besides "done", by API, and the bytes of such an answer.
 *
 * The codes are those that Kafka 3.9 and 4.3 give to a well-formed request of an authorised client.
 * Some can come although the request was carried out: a coordinator that moves, or that times out
 * waiting for its replicas, does not know.
 */
import { addOffsetsToTxn } from '../kafka/protocol/add-offsets-to-txn.ts';
import { addPartitionsToTxn } from '../kafka/protocol/add-partitions-to-txn.ts';
import { decodeRequest, encodeResponse } from '../kafka/protocol/codec.ts';
import { endTxn } from '../kafka/protocol/end-txn.ts';
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import { fetch } from '../kafka/protocol/fetch.ts';
import { findCoordinator } from '../kafka/protocol/find-coordinator.ts';
import { heartbeat } from '../kafka/protocol/heartbeat.ts';
import { initProducerId } from '../kafka/protocol/init-producer-id.ts';
import { joinGroup } from '../kafka/protocol/join-group.ts';
import { offsetFetch } from '../kafka/protocol/offset-fetch.ts';
import { produce } from '../kafka/protocol/produce.ts';
import type { ServedApi } from '../kafka/protocol/schema.ts';
import { syncGroup } from '../kafka/protocol/sync-group.ts';
import { txnOffsetCommit } from '../kafka/protocol/txn-offset-commit.ts';
import type { TransportRequest } from '../kafka/transport/transport.ts';

const K = KafkaErrorCode;

const COORDINATOR = [
  K.COORDINATOR_LOAD_IN_PROGRESS,
  K.COORDINATOR_NOT_AVAILABLE,
  K.NOT_COORDINATOR,
];
const EPOCH = [K.INVALID_PRODUCER_EPOCH, K.PRODUCER_FENCED, K.INVALID_PRODUCER_ID_MAPPING];
const UNKNOWN = [K.UNKNOWN_SERVER_ERROR, K.REQUEST_TIMED_OUT];
const MEMBER = [K.ILLEGAL_GENERATION, K.UNKNOWN_MEMBER_ID, K.REBALANCE_IN_PROGRESS];
const LEADER = [
  K.NOT_LEADER_OR_FOLLOWER,
  K.UNKNOWN_TOPIC_OR_PARTITION,
  K.LEADER_NOT_AVAILABLE,
  K.KAFKA_STORAGE_ERROR,
];

interface Refusals {
  readonly name: string;
  /** Answered instead of doing what was asked. */
  readonly instead: readonly number[];
  /** Answered although it was done. */
  readonly after: readonly number[];
  readonly encode: (request: TransportRequest, errorCode: number) => Buffer;
}

const TABLE = new Map<number, Refusals>();

function refusals<Received, Reply>(
  api: ServedApi<unknown, unknown, Received, Reply>,
  codes: { readonly instead: readonly number[]; readonly after?: readonly number[] },
  answer: (errorCode: number, asked: Received) => NoInfer<Reply>,
): void {
  TABLE.set(api.key, {
    name: api.name,
    instead: codes.instead,
    after: codes.after ?? [],
    encode: ({ apiVersion, body }, errorCode) =>
      encodeResponse(api, apiVersion, answer(errorCode, decodeRequest(api, apiVersion, body))),
  });
}

refusals(
  initProducerId,
  { instead: [...COORDINATOR, K.CONCURRENT_TRANSACTIONS, ...UNKNOWN], after: UNKNOWN },
  (errorCode) => ({ errorCode, producerEpoch: -1 }),
);
refusals(
  addPartitionsToTxn,
  {
    instead: [...COORDINATOR, K.CONCURRENT_TRANSACTIONS, ...EPOCH, K.INVALID_TXN_STATE, ...UNKNOWN],
    after: UNKNOWN,
  },
  (partitionErrorCode, { v3AndBelowTopics }) => ({
    resultsByTopicV3AndBelow: v3AndBelowTopics.map(({ name, partitions }) => ({
      name,
      resultsByPartition: partitions.map((partitionIndex) => ({
        partitionIndex,
        partitionErrorCode,
      })),
    })),
  }),
);
refusals(
  addOffsetsToTxn,
  {
    instead: [...COORDINATOR, K.CONCURRENT_TRANSACTIONS, ...EPOCH, K.INVALID_TXN_STATE, ...UNKNOWN],
    after: UNKNOWN,
  },
  (errorCode) => ({ errorCode }),
);
refusals(
  produce,
  {
    instead: [
      ...LEADER,
      ...EPOCH,
      K.INVALID_TXN_STATE,
      K.NOT_ENOUGH_REPLICAS,
      K.OUT_OF_ORDER_SEQUENCE_NUMBER,
      K.UNKNOWN_PRODUCER_ID,
      K.TRANSACTION_ABORTABLE,
      ...UNKNOWN,
    ],
    after: [K.NOT_ENOUGH_REPLICAS_AFTER_APPEND, ...UNKNOWN],
  },
  (errorCode, { topicData }) => ({
    responses: topicData.map(({ name, partitionData }) => ({
      name,
      partitionResponses: partitionData.map(({ index }) => ({ index, errorCode, baseOffset: -1 })),
    })),
  }),
);
refusals(
  txnOffsetCommit,
  { instead: [...COORDINATOR, ...MEMBER, ...EPOCH, ...UNKNOWN], after: UNKNOWN },
  (errorCode, { topics }) => ({
    topics: topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
    })),
  }),
);
refusals(
  endTxn,
  {
    instead: [...COORDINATOR, K.CONCURRENT_TRANSACTIONS, ...EPOCH, K.INVALID_TXN_STATE, ...UNKNOWN],
    // The coordinator that has stored Prepare may find that it is none any more.
    after: [K.NOT_COORDINATOR, ...UNKNOWN],
  },
  (errorCode) => ({ errorCode }),
);
refusals(
  offsetFetch,
  { instead: [...COORDINATOR, K.UNSTABLE_OFFSET_COMMIT] },
  (errorCode, { topics, groups }) => {
    const isOfPartition = errorCode === K.UNSTABLE_OFFSET_COMMIT;
    const rows = (asked: readonly { name: string; partitionIndexes: readonly number[] }[] | null) =>
      (asked ?? []).map(({ name, partitionIndexes }) => ({
        name,
        partitions: partitionIndexes.map((partitionIndex) => ({
          partitionIndex,
          committedOffset: -1,
          metadata: '',
          errorCode: isOfPartition ? errorCode : 0,
        })),
      }));
    const whole = isOfPartition ? 0 : errorCode;
    return {
      topics: rows(topics),
      errorCode: whole,
      groups: groups.map((group) => ({
        groupId: group.groupId,
        topics: rows(group.topics),
        errorCode: whole,
      })),
    };
  },
);
refusals(
  findCoordinator,
  { instead: [K.COORDINATOR_NOT_AVAILABLE, K.UNKNOWN_SERVER_ERROR] },
  (errorCode) => ({ errorCode, nodeId: -1, host: '', port: -1, coordinators: [] }),
);
refusals(
  joinGroup,
  { instead: [...COORDINATOR, K.UNKNOWN_MEMBER_ID], after: [K.NOT_COORDINATOR] },
  (errorCode) => ({ errorCode, protocolName: '', leader: '', memberId: '', members: [] }),
);
refusals(
  syncGroup,
  { instead: [...COORDINATOR, ...MEMBER], after: [K.NOT_COORDINATOR] },
  (errorCode) => ({ errorCode, assignment: Buffer.alloc(0) }),
);
refusals(heartbeat, { instead: [...COORDINATOR, ...MEMBER] }, (errorCode) => ({ errorCode }));
refusals(
  fetch,
  { instead: [...LEADER, K.FENCED_LEADER_EPOCH, K.UNKNOWN_LEADER_EPOCH, K.UNKNOWN_SERVER_ERROR] },
  (errorCode, { topics }) => ({
    errorCode: 0,
    responses: topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition: partitionIndex }) => ({
        partitionIndex,
        errorCode,
        highWatermark: -1,
        abortedTransactions: null,
        records: null,
      })),
    })),
  }),
);

export interface Refusal {
  readonly when: 'instead' | 'after';
  readonly errorCode: number;
}

/** Everything that a broker may refuse a request with; empty for an API that is not in the table. */
export function refusalsOf(apiKey: number): readonly Refusal[] {
  const found = TABLE.get(apiKey);
  if (found === undefined) return [];
  return [
    ...found.instead.map((errorCode) => ({ when: 'instead', errorCode }) as const),
    ...found.after.map((errorCode) => ({ when: 'after', errorCode }) as const),
  ];
}

export function refusalBytes(request: TransportRequest, errorCode: number): Buffer {
  return TABLE.get(request.apiKey)!.encode(request, errorCode);
}

/** For people: the name of an API in the table, else its key. */
export function apiName(apiKey: number): string {
  return TABLE.get(apiKey)?.name ?? `api ${apiKey}`;
}
