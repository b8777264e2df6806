/**
 * The requests of a transaction to its coordinators, each repeated as long as that is harmless.
 *
 * Used by `session.ts` alone. Transactions v1 (KIP-98): partitions and the group are added by
 * requests of their own, and the group coordinator checks the member (KIP-447, TxnOffsetCommit 3).
 *
 * I1. The nodes of both coordinators are kept until an answer or a lost connection says otherwise.
 * I2. Every code of an answer is looked at; a partition that the answer leaves out is not done.
 */
import { asEscapementError } from '../../errors.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { addOffsetsToTxn } from '../protocol/add-offsets-to-txn.ts';
import { addPartitionsToTxn } from '../protocol/add-partitions-to-txn.ts';
import { endTxn } from '../protocol/end-txn.ts';
import { KafkaErrorCode } from '../protocol/error-codes.ts';
import { initProducerId } from '../protocol/init-producer-id.ts';
import type { Api, Response } from '../protocol/schema.ts';
import { txnOffsetCommit } from '../protocol/txn-offset-commit.ts';
import type { TopicPartition } from '../topic-partition.ts';
import type { Lane } from '../transport/transport.ts';
import type { Exchange } from './exchange.ts';
import {
  decisionOn,
  graver,
  incomplete,
  type Refusal,
  refusalError,
  repeatable,
} from './refusal.ts';
import type { Membership, StepOffsets } from './step.ts';

export type SessionCluster = Pick<
  Cluster,
  'send' | 'leaderOf' | 'forgetLeader' | 'coordinator' | 'forgetCoordinator'
>;

/** What InitProducerId gave: the id of this session and its fence. */
export interface ProducerIdentity {
  readonly producerId: number;
  readonly producerEpoch: number;
}

interface Place {
  readonly kind: 'group' | 'transaction';
  readonly key: string;
}

interface Question<Req, Res> extends Place {
  readonly api: Api<Req, Res>;
  readonly body: Req;
  /** Older versions would drop the fence. */
  readonly versionMin: number;
  /** Above it the request would mean something else within a transaction of v1. */
  readonly versionMax?: number;
  readonly topicRight: 'Read' | 'Write';
  readonly refusal: (answer: Res) => Refusal | null;
}

export interface CoordinatorRequestsOptions {
  readonly cluster: SessionCluster;
  readonly transactionalId: string;
  /** Deadline of each request. */
  readonly timeoutMs: number;
  readonly lane: Lane;
}

/** Later versions belong to transactions v2 (KIP-890). */
export const V1_VERSION_MAX = { produce: 11, txnOffsetCommit: 4, endTxn: 4 } as const;

const NOWHERE = {};

export class CoordinatorRequests {
  readonly #cluster: SessionCluster;
  readonly #transactionalId: string;
  readonly #timeoutMs: number;
  readonly #lane: Lane;
  #transactionNode = -1;
  #groupNode = -1;
  #groupOfNode = '';

  constructor(options: CoordinatorRequestsOptions) {
    this.#cluster = options.cluster;
    this.#transactionalId = options.transactionalId;
    this.#timeoutMs = options.timeoutMs;
    this.#lane = options.lane;
  }

  /** Fences every older epoch and has the open transaction of the previous owner aborted. */
  async init(exchange: Exchange): Promise<ProducerIdentity> {
    const answer = await this.#ask(exchange, {
      kind: 'transaction',
      key: this.#transactionalId,
      api: initProducerId,
      body: {
        transactionalId: this.#transactionalId,
        transactionTimeoutMs: this.#timeoutMs,
        producerId: -1,
        producerEpoch: -1,
      },
      versionMin: 0,
      topicRight: 'Write',
      refusal: ofCode,
    });
    return { producerId: answer.producerId, producerEpoch: answer.producerEpoch };
  }

  async addPartitions(
    exchange: Exchange,
    identity: ProducerIdentity,
    partitions: readonly TopicPartition[],
  ): Promise<void> {
    await this.#ask(exchange, {
      kind: 'transaction',
      key: this.#transactionalId,
      api: addPartitionsToTxn,
      body: {
        v3AndBelowTransactionalId: this.#transactionalId,
        v3AndBelowProducerId: identity.producerId,
        v3AndBelowProducerEpoch: identity.producerEpoch,
        v3AndBelowTopics: partitionsByTopic(partitions),
      },
      versionMin: 0,
      topicRight: 'Write',
      refusal: (answer) => addPartitionsRefusal(answer, partitions.length),
    });
  }

  async addOffsets(exchange: Exchange, identity: ProducerIdentity, groupId: string): Promise<void> {
    await this.#ask(exchange, {
      kind: 'transaction',
      key: this.#transactionalId,
      api: addOffsetsToTxn,
      body: { transactionalId: this.#transactionalId, ...identity, groupId },
      versionMin: 0,
      topicRight: 'Read',
      refusal: ofCode,
    });
  }

  async commitOffsets(
    exchange: Exchange,
    identity: ProducerIdentity,
    offsets: StepOffsets,
    membership: Membership,
  ): Promise<void> {
    await this.#ask(exchange, {
      kind: 'group',
      key: offsets.groupId,
      api: txnOffsetCommit,
      body: {
        transactionalId: this.#transactionalId,
        groupId: offsets.groupId,
        ...identity,
        generationId: membership.generation,
        memberId: membership.memberId,
        groupInstanceId: membership.instanceId,
        topics: offsetsByTopic(offsets),
      },
      versionMin: 3,
      versionMax: V1_VERSION_MAX.txnOffsetCommit,
      topicRight: 'Read',
      refusal: (answer) => offsetsRefusal(answer, offsets.partitions.length),
    });
  }

  /** Repeated with the same result only: an answer of NOT_COORDINATOR may follow a stored Prepare. */
  async end(
    exchange: Exchange,
    identity: ProducerIdentity,
    result: 'commit' | 'abort',
  ): Promise<void> {
    await this.#ask(exchange, {
      kind: 'transaction',
      key: this.#transactionalId,
      api: endTxn,
      body: {
        transactionalId: this.#transactionalId,
        ...identity,
        committed: result === 'commit',
      },
      versionMin: 0,
      versionMax: V1_VERSION_MAX.endTxn,
      topicRight: 'Write',
      refusal: ofCode,
    });
  }

  async #ask<Req, Res>(exchange: Exchange, question: Question<Req, Res>): Promise<Res> {
    const what = `${question.api.name} of ${question.kind} '${question.key}'`;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(exchange, question, what);
      } catch (cause) {
        const error = asEscapementError(cause);
        if (error.decision !== 'retry') throw error;
        await exchange.pause(what, error, attempt);
      }
    }
  }

  /** Throws an error with the decision `retry` when the request may be sent again. */
  async #attempt<Req, Res>(
    exchange: Exchange,
    question: Question<Req, Res>,
    what: string,
  ): Promise<Res> {
    const { api, body, versionMin, versionMax } = question;
    let node = this.#knownNode(question);
    if (node < 0) node = await this.#findNode(exchange, question, what);
    exchange.assertOpen();
    let answer: Res;
    try {
      answer = await this.#cluster.send(node, api, body as NoInfer<Req>, {
        lane: this.#lane,
        timeoutMs: this.#timeoutMs,
        versionMin,
        ...(versionMax === undefined ? {} : { versionMax }),
      });
    } catch (cause) {
      this.#forgetNode(question);
      throw cause;
    }
    const refusal = question.refusal(answer);
    if (refusal === null) return answer;
    if (decisionOn(refusal.code) === 'retry' && movedCoordinator(refusal.code)) {
      this.#forgetNode(question);
    }
    throw refusalError(what, refusal, {
      topic: question.topicRight,
      transactionalId: this.#transactionalId,
      groupId: question.key,
    });
  }

  #knownNode({ kind, key }: Place): number {
    if (kind === 'transaction') return this.#transactionNode;
    return key === this.#groupOfNode ? this.#groupNode : -1;
  }

  async #findNode(exchange: Exchange, { kind, key }: Place, what: string): Promise<number> {
    const lookup = this.#cluster.coordinator(kind, key).catch((cause: unknown) => {
      throw repeatable(cause);
    });
    const node = await exchange.within(lookup, what);
    if (kind === 'transaction') this.#transactionNode = node;
    else {
      this.#groupNode = node;
      this.#groupOfNode = key;
    }
    return node;
  }

  #forgetNode({ kind, key }: Place): void {
    if (kind === 'transaction') this.#transactionNode = -1;
    else this.#groupNode = -1;
    this.#cluster.forgetCoordinator(kind, key);
  }
}

function movedCoordinator(code: number): boolean {
  // While it loads its state the coordinator stays where it is.
  return (
    code === KafkaErrorCode.NOT_COORDINATOR ||
    code === KafkaErrorCode.COORDINATOR_NOT_AVAILABLE ||
    code === KafkaErrorCode.COORDINATOR_LOAD_IN_PROGRESS ||
    code === KafkaErrorCode.TRANSACTION_COORDINATOR_FENCED
  );
}

function ofCode(answer: { readonly errorCode: number }): Refusal | null {
  return graver(null, answer.errorCode, NOWHERE);
}

function addPartitionsRefusal(
  answer: Response<typeof addPartitionsToTxn>,
  asked: number,
): Refusal | null {
  let found: Refusal | null = null;
  let answered = 0;
  for (const { name: topic, resultsByPartition } of answer.resultsByTopicV3AndBelow) {
    for (const { partitionIndex: partition, partitionErrorCode } of resultsByPartition) {
      found = graver(found, partitionErrorCode, { topic, partition });
      answered += 1;
    }
  }
  return found ?? incomplete(answered, asked);
}

function offsetsRefusal(answer: Response<typeof txnOffsetCommit>, asked: number): Refusal | null {
  let found: Refusal | null = null;
  let answered = 0;
  for (const { name: topic, partitions } of answer.topics) {
    for (const { partitionIndex: partition, errorCode } of partitions) {
      found = graver(found, errorCode, { topic, partition });
      answered += 1;
    }
  }
  return found ?? incomplete(answered, asked);
}

function partitionsByTopic(
  partitions: readonly TopicPartition[],
): { name: string; partitions: number[] }[] {
  const topics: { name: string; partitions: number[] }[] = [];
  for (const { topic, partition } of partitions) {
    const known = topics.find(({ name }) => name === topic);
    if (known === undefined) topics.push({ name: topic, partitions: [partition] });
    else known.partitions.push(partition);
  }
  return topics;
}

interface TopicOffsets {
  readonly name: string;
  readonly partitions: {
    partitionIndex: number;
    committedOffset: number;
    committedMetadata: string;
  }[];
}

function offsetsByTopic(offsets: StepOffsets): TopicOffsets[] {
  const topics: TopicOffsets[] = [];
  for (const { topic, partition, offset, metadata } of offsets.partitions) {
    const row = {
      partitionIndex: partition,
      committedOffset: offset,
      committedMetadata: metadata,
    };
    const known = topics.find(({ name }) => name === topic);
    if (known === undefined) topics.push({ name: topic, partitions: [row] });
    else known.partitions.push(row);
  }
  return topics;
}
