/**
 * Produce: every partition of a request stands or falls on its own.
 *
 * I1. What is not yet part of the producer's transaction is asked about at the coordinator, all of
 *     a request at once: whether it was added (v1), or to be added (v2, Produce 12).
 * I2. With v2 a coordinator that is still finishing the transaction before is asked again every
 *     20 ms for 100 ms; the request, and with it its connection, waits meanwhile.
 */
import { KafkaErrorCode } from '../kafka/protocol/error-codes.ts';
import { produce } from '../kafka/protocol/produce.ts';
import type { Request } from '../kafka/protocol/schema.ts';
import type { ApiTable, Call } from './api-table.ts';
import type { BatchHeader } from './batch-header.ts';
import type { Appended, Partition } from './partition.ts';
import type { BrokerState } from './state.ts';
import { NO_TOPIC_ID, type Topic } from './topics.ts';
import type { ClientRules, Participant } from './transaction-state.ts';

const ACKS = new Set([-1, 0, 1]);
/** The first version whose answer may name the leader (KIP-951). */
const HINTING_VERSION = 10;
/** The first version whose clients understand TRANSACTION_ABORTABLE. */
const ABORTABLE_VERSION = 11;
/** The first version that adds its partitions to the transaction (KIP-890, part 2). */
const ADDING_VERSION = 12;

/** What is to be done with the records for one partition, and what became of it. */
interface Write {
  readonly topic: Topic;
  readonly partition: Partition;
  readonly records: Buffer;
  readonly header: BatchHeader;
}

interface Slot {
  readonly name: string;
  /** That was asked for, from version 13 on; else NO_TOPIC_ID. */
  readonly topicId: string;
  readonly index: number;
  /** Null once it is refused. */
  write: Write | null;
  answer: Appended;
}

/** The first version that names topics by their ids (KIP-516). */
const TOPIC_IDS_VERSION = 13;

const UNDECIDED: Appended = { errorCode: KafkaErrorCode.UNKNOWN_SERVER_ERROR, baseOffset: -1 };

export function serveProduce(table: ApiTable, state: BrokerState): void {
  table.serve(produce, (request, answer, call) => {
    const { acks } = request;
    const slots = request.topicData.flatMap(({ name: given, topicId, partitionData }) => {
      const name =
        call.version < TOPIC_IDS_VERSION ? given : (state.topics.findById(topicId)?.name ?? '');
      return partitionData.map(({ index, records }) =>
        slotOf(state, { name, topicId, index, records, acks }, call),
      );
    });
    const respond = () => {
      for (const slot of slots) {
        const { write } = slot;
        if (write === null) continue;
        const { topic, partition, records, header } = write;
        // The coordinator took its time, and the leader moved meanwhile.
        if (partition.leader !== call.connection.node) {
          slot.answer = refused(KafkaErrorCode.NOT_LEADER_OR_FOLLOWER);
          continue;
        }
        const rules = { ...topic, acks };
        slot.answer = partition.append(records, header, rules, state.ports.clock.now());
      }
      const responses = byTopic(state, slots, call.version);
      answer(acks === 0 ? null : { responses, throttleTimeMs: 0 });
      // Nobody waits for an answer: only a lost connection tells that something went wrong.
      const failed = slots.some((slot) => slot.answer.errorCode !== KafkaErrorCode.NONE);
      if (acks === 0 && failed) call.connection.cut();
    };
    const transactional = slots.filter(({ write }) => write?.header.transactional === true);
    // Without a producer id the flag is asked for an id of the request and means no more.
    const joins = transactional.some(({ write }) => write!.header.producerId >= 0);
    if (!joins && (transactional.length === 0 || request.transactionalId !== null)) respond();
    else joinTransaction(state, { request, slots, transactional, call, respond });
  });
}

function slotOf(
  state: BrokerState,
  request: { name: string; topicId: string; index: number; records: Buffer | null; acks: number },
  { connection, version }: Call,
): Slot {
  const { name, topicId, index, records } = request;
  const refuse = (answer: Appended): Slot => ({ name, topicId, index, write: null, answer });
  const topic = state.topics.find(name);
  const partition = topic?.partitions[index];
  if (topic === undefined && version >= TOPIC_IDS_VERSION) {
    return refuse(refused(KafkaErrorCode.UNKNOWN_TOPIC_ID));
  }
  if (topic === undefined || partition === undefined) {
    return refuse(refused(KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION));
  }
  if (partition.leader !== connection.node) {
    return refuse(refused(KafkaErrorCode.NOT_LEADER_OR_FOLLOWER));
  }
  if (!ACKS.has(request.acks)) return refuse(refused(KafkaErrorCode.INVALID_REQUIRED_ACKS));
  if (records === null || records.length === 0) {
    return refuse(refused(KafkaErrorCode.INVALID_RECORD));
  }
  const header = partition.read(records);
  return 'errorCode' in header
    ? refuse(header)
    : { name, topicId, index, write: { topic, partition, records, header }, answer: UNDECIDED };
}

interface Joining {
  readonly request: Request<typeof produce>;
  readonly slots: readonly Slot[];
  readonly transactional: readonly Slot[];
  readonly call: Call;
  respond(): void;
}

function joinTransaction(state: BrokerState, joining: Joining): void {
  const { request, slots, transactional, call, respond } = joining;
  const { transactionalId } = request;
  if (transactionalId === null) {
    for (const slot of slots) {
      refuse(slot, refused(KafkaErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED));
    }
    respond();
    return;
  }
  const { producerId, producerEpoch } = transactional[0]!.write!.header;
  const producer = { producerId, producerEpoch };
  const isOf = ({ write }: Slot) =>
    write?.header.producerId === producerId && write.header.producerEpoch === producerEpoch;
  if (!transactional.every(isOf)) {
    for (const slot of slots) refuse(slot, refused(KafkaErrorCode.INVALID_PRODUCER_ID_MAPPING));
    respond();
    return;
  }
  const rules: ClientRules = call.version >= ADDING_VERSION ? 'v2' : 'v1';
  const { addRetryMs, addRetryMsMax } = state.settings;
  const deadline = state.ports.clock.monotonic() + addRetryMsMax;
  const attempt = () => {
    const asking = transactional.filter((slot) => needsCoordinator(state, slot, rules));
    if (asking.length === 0) {
      respond();
      return;
    }
    const participants = asking.map(participantOf);
    const enlistment = { transactionalId, producer, participants, rules };
    state.gate.ask(call.connection.node, enlistment, (errorCode) => {
      const isBusy = rules === 'v2' && errorCode === KafkaErrorCode.CONCURRENT_TRANSACTIONS;
      if (isBusy && state.ports.clock.monotonic() < deadline) {
        state.later(addRetryMs, attempt);
        return;
      }
      if (errorCode !== KafkaErrorCode.NONE) {
        const code = answerOf(errorCode, call.version);
        const message = 'the partition is not part of the ongoing transaction';
        for (const slot of asking) refuse(slot, refused(code, message));
      }
      respond();
    });
  };
  attempt();
}

/** Refuses the slot on the way when its epoch is a fenced one. */
function needsCoordinator(state: BrokerState, slot: Slot, rules: ClientRules): boolean {
  if (slot.write === null) return false;
  const { partition, header } = slot.write;
  const epochCheck = state.settings.transactionVersion === 2 ? 'early' : 'late';
  const need = partition.transactionNeed(header, rules, epochCheck);
  if (typeof need !== 'string') refuse(slot, need);
  return need === 'ask';
}

function participantOf({ name, index }: Slot): Participant {
  return { kind: 'partition', topic: name, partition: index };
}

/** The coordinator's answer as clients of the version know it. */
function answerOf(errorCode: number, version: number): number {
  switch (errorCode) {
    case KafkaErrorCode.PRODUCER_FENCED:
      return KafkaErrorCode.INVALID_PRODUCER_EPOCH;
    case KafkaErrorCode.TRANSACTION_ABORTABLE:
      return version < ABORTABLE_VERSION ? KafkaErrorCode.INVALID_TXN_STATE : errorCode;
    case KafkaErrorCode.CONCURRENT_TRANSACTIONS:
      return version < ADDING_VERSION ? KafkaErrorCode.NOT_ENOUGH_REPLICAS : errorCode;
    case KafkaErrorCode.NETWORK_EXCEPTION:
    case KafkaErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
    case KafkaErrorCode.COORDINATOR_NOT_AVAILABLE:
    case KafkaErrorCode.NOT_COORDINATOR:
      return KafkaErrorCode.NOT_ENOUGH_REPLICAS;
    default:
      return errorCode;
  }
}

function byTopic(state: BrokerState, slots: readonly Slot[], version: number) {
  type Answers = ReturnType<typeof partitionAnswer>[];
  const topics = new Map<string, { name: string; topicId: string; partitionResponses: Answers }>();
  for (const slot of slots) {
    const { name, topicId } = slot;
    const key = topicId === NO_TOPIC_ID ? name : topicId;
    const entry = topics.get(key) ?? { name, topicId, partitionResponses: [] };
    entry.partitionResponses.push(partitionAnswer(state, slot, version));
    topics.set(key, entry);
  }
  return [...topics.values()];
}

function partitionAnswer(state: BrokerState, { name, index, answer }: Slot, version: number) {
  const isElsewhere = answer.errorCode === KafkaErrorCode.NOT_LEADER_OR_FOLLOWER;
  return {
    index,
    errorCode: answer.errorCode,
    baseOffset: answer.baseOffset,
    logAppendTimeMs: -1,
    ...(isElsewhere && version >= HINTING_VERSION ? leaderHint(state, name, index) : {}),
    logStartOffset: state.topics.partition(name, index)?.log.logStartOffset ?? -1,
    recordErrors: [],
    errorMessage: answer.message ?? null,
  };
}

/** Tells who leads instead, so that the client need not ask (KIP-951). */
function leaderHint(state: BrokerState, name: string, index: number) {
  const partition = state.topics.partition(name, index);
  if (partition === undefined) return {};
  const { leader, log } = partition;
  return { currentLeader: { leaderId: leader, leaderEpoch: log.leaderEpoch } };
}

function refuse(slot: Slot, answer: Appended): void {
  slot.write = null;
  slot.answer = answer;
}

function refused(errorCode: number, message?: string): Appended {
  return message === undefined
    ? { errorCode, baseOffset: -1 }
    : { errorCode, baseOffset: -1, message };
}
