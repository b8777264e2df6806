/**
 * The requests of a transaction to its coordinators, each repeated as long as that is harmless.
 *
 * Used by `session.ts` alone. On transactions v1 (KIP-98) partitions and the group are added by
 * requests of their own; on both versions the group coordinator checks the member (KIP-447).
 *
 * I1. Every code of an answer is looked at; a partition that the answer leaves out is not done.
 */
import { invariant } from '../../errors.ts';
import type { VersionRange } from '../cluster/versions.ts';
import { addOffsetsToTxn } from '../protocol/add-offsets-to-txn.ts';
import { addPartitionsToTxn } from '../protocol/add-partitions-to-txn.ts';
import { endTxn } from '../protocol/end-txn.ts';
import { initProducerId } from '../protocol/init-producer-id.ts';
import type { Response } from '../protocol/schema.ts';
import { txnOffsetCommit } from '../protocol/txn-offset-commit.ts';
import type { TopicPartition } from '../topic-partition.ts';
import {
  CoordinatorAsking,
  type CoordinatorAskingOptions,
  type SessionCluster,
} from './coordinator-asking.ts';
import type { Exchange } from './exchange.ts';
import { graver, incomplete, type Refusal, repeatable } from './refusal.ts';
import type { Membership, StepOffsets } from './step.ts';
import {
  RANGES,
  TRANSACTION_FEATURE,
  type TransactionVersion,
  transactionVersionOf,
} from './transaction-version.ts';

/** The id of a session and its fence: from InitProducerId, on v2 also from EndTxn. */
export interface ProducerIdentity {
  readonly producerId: number;
  readonly producerEpoch: number;
}

export interface CoordinatorRequestsOptions extends CoordinatorAskingOptions {
  readonly transactionalId: string;
  readonly versionMax: TransactionVersion;
}

const NOWHERE = {};
/** Every version that both sides speak. */
const ANY: VersionRange = {};

export class CoordinatorRequests {
  readonly #cluster: SessionCluster;
  readonly #transactionalId: string;
  readonly #timeoutMs: number;
  readonly #versionMax: TransactionVersion;
  readonly #asking: CoordinatorAsking;
  #version: TransactionVersion = 1;

  constructor(options: CoordinatorRequestsOptions) {
    this.#cluster = options.cluster;
    this.#transactionalId = options.transactionalId;
    this.#timeoutMs = options.timeoutMs;
    this.#asking = new CoordinatorAsking(options);
    this.#versionMax = options.versionMax;
  }

  /** The node that coordinates the group, as far as is known; -1: it will be looked up. */
  groupNode(groupId: string): number {
    return this.#asking.nodeOf({ kind: 'group', key: groupId });
  }

  /** Which transactions are spoken since the last `init`. */
  get version(): TransactionVersion {
    return this.#version;
  }

  /**
   * Fences every older epoch and has the open transaction of the previous owner aborted. Decides
   * the version of the transactions that follow, by what the coordinator tells of the cluster.
   */
  async init(exchange: Exchange): Promise<ProducerIdentity> {
    const answer = await this.#asking.ask(exchange, {
      kind: 'transaction',
      key: this.#transactionalId,
      api: initProducerId,
      body: {
        transactionalId: this.#transactionalId,
        transactionTimeoutMs: this.#timeoutMs,
        producerId: -1,
        producerEpoch: -1,
      },
      range: ANY,
      refusal: ofCode,
    });
    this.#version = await this.#versionNow(exchange);
    return { producerId: answer.producerId, producerEpoch: answer.producerEpoch };
  }

  async #versionNow(exchange: Exchange): Promise<TransactionVersion> {
    const node = this.#asking.nodeOf({ kind: 'transaction', key: this.#transactionalId });
    for (let attempt = 1; ; attempt++) {
      const level = this.#cluster.finalizedFeature(node, TRANSACTION_FEATURE);
      try {
        const offered = transactionVersionOf(await exchange.within(level, 'ApiVersions'));
        return offered < this.#versionMax ? offered : this.#versionMax;
      } catch (cause) {
        const passing = repeatable(cause);
        if (passing.decision !== 'retry') throw passing;
        await exchange.pause('ApiVersions', `ApiVersions of node ${node}`, passing, attempt);
      }
    }
  }

  async addPartitions(
    exchange: Exchange,
    identity: ProducerIdentity,
    partitions: readonly TopicPartition[],
  ): Promise<void> {
    await this.#asking.ask(exchange, {
      kind: 'transaction',
      key: this.#transactionalId,
      api: addPartitionsToTxn,
      body: {
        v3AndBelowTransactionalId: this.#transactionalId,
        v3AndBelowProducerId: identity.producerId,
        v3AndBelowProducerEpoch: identity.producerEpoch,
        v3AndBelowTopics: partitionsByTopic(partitions),
      },
      range: ANY,
      refusal: (answer) => addPartitionsRefusal(answer, partitions.length),
    });
  }

  async addOffsets(exchange: Exchange, identity: ProducerIdentity, groupId: string): Promise<void> {
    await this.#asking.ask(exchange, {
      kind: 'transaction',
      key: this.#transactionalId,
      api: addOffsetsToTxn,
      about: ` for group '${groupId}'`,
      body: { transactionalId: this.#transactionalId, ...identity, groupId },
      range: ANY,
      refusal: ofCode,
    });
  }

  async commitOffsets(
    exchange: Exchange,
    identity: ProducerIdentity,
    offsets: StepOffsets,
    membership: Membership,
  ): Promise<void> {
    await this.#asking.ask(exchange, {
      kind: 'group',
      key: offsets.groupId,
      api: txnOffsetCommit,
      about: ` in transaction '${this.#transactionalId}'`,
      body: {
        transactionalId: this.#transactionalId,
        groupId: offsets.groupId,
        ...identity,
        generationId: membership.generation,
        memberId: membership.memberId,
        groupInstanceId: membership.instanceId,
        topics: offsetsByTopic(offsets),
      },
      range: RANGES[this.#version].txnOffsetCommit,
      refusal: (answer) => offsetsRefusal(answer, offsets.partitions.length),
    });
  }

  /**
   * Resolves with the identity of the next transaction. Repeated with the same result and the same
   * epoch only: an answer of NOT_COORDINATOR may follow a stored Prepare. On v2 the coordinator has
   * raised the epoch with it, and knows the repeated request by the epoch before (KIP-890).
   */
  async end(
    exchange: Exchange,
    identity: ProducerIdentity,
    result: 'commit' | 'abort',
  ): Promise<ProducerIdentity> {
    const answer = await this.#asking.ask(exchange, {
      kind: 'transaction',
      key: this.#transactionalId,
      api: endTxn,
      body: {
        transactionalId: this.#transactionalId,
        ...identity,
        committed: result === 'commit',
      },
      range: RANGES[this.#version].endTxn,
      refusal: ofCode,
    });
    if (this.#version === 1) return identity;
    const { producerId, producerEpoch } = answer;
    invariant(producerId >= 0 && producerEpoch >= 0, 'EndTxn gave no producer id', {
      producerId,
      producerEpoch,
    });
    return { producerId, producerEpoch };
  }
}

export function ofCode(answer: { readonly errorCode: number }): Refusal | null {
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

interface OffsetsAnswer {
  readonly topics: readonly {
    readonly name: string;
    readonly partitions: readonly { readonly partitionIndex: number; readonly errorCode: number }[];
  }[];
}

export function offsetsRefusal(answer: OffsetsAnswer, asked: number): Refusal | null {
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

export function offsetsByTopic(offsets: StepOffsets): TopicOffsets[] {
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
