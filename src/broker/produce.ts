/** Produce: every partition of a request stands or falls on its own. */
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import { produce } from '../kafka/protocol/produce.ts';
import type { ApiTable, Connection } from './api-table.ts';
import type { Appended } from './partition.ts';
import type { BrokerState } from './state.ts';

const ACKS = new Set([-1, 0, 1]);
/** The first version whose clients understand TRANSACTION_ABORTABLE. */
const ABORTABLE_VERSION = 11;

interface PartitionRequest {
  readonly topic: string;
  readonly index: number;
  readonly records: Buffer | null;
  readonly acks: number;
  readonly transactionalId: string | null;
  readonly version: number;
  readonly connection: Connection;
}

export function serveProduce(table: ApiTable, state: BrokerState): void {
  table.serve(produce, (request, answer, { connection, version }) => {
    const { acks, transactionalId } = request;
    const responses = request.topicData.map((topic) => ({
      name: topic.name,
      partitionResponses: topic.partitionData.map(({ index, records }) => {
        const appended = append(state, {
          topic: topic.name,
          index,
          records,
          acks,
          transactionalId,
          version,
          connection,
        });
        return {
          index,
          errorCode: appended.errorCode,
          baseOffset: appended.baseOffset,
          logAppendTimeMs: -1,
          logStartOffset: state.topics.partition(topic.name, index)?.log.logStartOffset ?? -1,
          recordErrors: [],
          errorMessage: appended.message ?? null,
        };
      }),
    }));
    answer(acks === 0 ? null : { responses, throttleTimeMs: 0 });
  });
}

function append(state: BrokerState, request: PartitionRequest): Appended {
  const { topic: name, index, records, transactionalId, version } = request;
  const topic = state.topics.find(name);
  const partition = topic?.partitions[index];
  if (topic === undefined || partition === undefined) {
    return refused(KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  }
  if (partition.leader !== request.connection.node) {
    return refused(KafkaErrorCode.NOT_LEADER_OR_FOLLOWER);
  }
  if (!ACKS.has(request.acks)) return refused(KafkaErrorCode.INVALID_REQUIRED_ACKS);
  if (records === null || records.length === 0) return refused(KafkaErrorCode.INVALID_RECORD);
  return partition.append(records, {
    batchBytesMax: topic.batchBytesMax,
    keys: topic.keys,
    now: state.ports.clock.now(),
    verify(producerId, producerEpoch) {
      if (transactionalId === null) return KafkaErrorCode.INVALID_TXN_STATE;
      const errorCode = state.transactions.verify(
        transactionalId,
        { producerId, producerEpoch },
        { kind: 'partition', topic: name, partition: index },
      );
      return verificationAnswer(errorCode, version);
    },
  });
}

/** Kafka 3.9 translates the coordinator's answer for clients that know fewer codes. */
function verificationAnswer(errorCode: number, version: number): number {
  switch (errorCode) {
    case KafkaErrorCode.PRODUCER_FENCED:
      return KafkaErrorCode.INVALID_PRODUCER_EPOCH;
    case KafkaErrorCode.TRANSACTION_ABORTABLE:
      return version < ABORTABLE_VERSION ? KafkaErrorCode.INVALID_TXN_STATE : errorCode;
    case KafkaErrorCode.CONCURRENT_TRANSACTIONS:
      return KafkaErrorCode.NOT_ENOUGH_REPLICAS;
    default:
      return errorCode;
  }
}

function refused(errorCode: number): Appended {
  return { errorCode, baseOffset: -1 };
}
