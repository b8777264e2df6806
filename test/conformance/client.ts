/**
 * Requests of the suite over one connection, each of them one attempt: what the broker answered,
 * error codes by their names. Transactions v1 unless a version is given.
 */
import { addOffsetsToTxn } from '../../src/kafka/protocol/add-offsets-to-txn.ts';
import { addPartitionsToTxn } from '../../src/kafka/protocol/add-partitions-to-txn.ts';
import { createTopics } from '../../src/kafka/protocol/create-topics.ts';
import { deleteRecords } from '../../src/kafka/protocol/delete-records.ts';
import { endTxn } from '../../src/kafka/protocol/end-txn.ts';
import { KAFKA_ERRORS } from '../../src/kafka/protocol/error-codes.ts';
import { fetch } from '../../src/kafka/protocol/fetch.ts';
import { initProducerId } from '../../src/kafka/protocol/init-producer-id.ts';
import { listOffsets } from '../../src/kafka/protocol/list-offsets.ts';
import { offsetCommit } from '../../src/kafka/protocol/offset-commit.ts';
import { offsetFetch } from '../../src/kafka/protocol/offset-fetch.ts';
import { produce } from '../../src/kafka/protocol/produce.ts';
import type { Api } from '../../src/kafka/protocol/schema.ts';
import { txnOffsetCommit } from '../../src/kafka/protocol/txn-offset-commit.ts';
import { type BatchSpec, batch, type ReadBatch, readBatches } from '../broker/batch.ts';
import type { Isolation, Producer } from '../broker/client.ts';
import { type Address, Connection } from './connection.ts';

export type { Isolation, Producer };

/** Request versions of a transaction: v1, and v2 of KIP-890. */
export const TRANSACTION_VERSIONS = {
  v1: { init: 4, addPartitions: 3, addOffsets: 3, produce: 11, commitOffsets: 4, end: 4 },
  v2: { init: 5, addPartitions: 3, addOffsets: 4, produce: 12, commitOffsets: 5, end: 5 },
} as const;

export interface Membership {
  readonly generationId?: number;
  readonly memberId?: string;
  readonly groupInstanceId?: string | null;
}

export interface OffsetEntry {
  readonly topic: string;
  readonly offset: number;
  readonly partition?: number;
  readonly metadata?: string | null;
}

export interface FetchOptions {
  readonly isolation?: Isolation;
  readonly maxWaitMs?: number;
  readonly minBytes?: number;
  readonly maxBytes?: number;
  readonly partitionMaxBytes?: number;
  readonly leaderEpoch?: number;
  readonly version?: number;
}

export interface Fetched {
  readonly error: string;
  readonly highWatermark: number;
  readonly lastStableOffset: number;
  readonly logStartOffset: number;
  readonly aborted: readonly { readonly producerId: number; readonly firstOffset: number }[] | null;
  readonly batches: readonly ReadBatch[];
}

export function nameOf(code: number): string {
  return KAFKA_ERRORS.get(code)?.name ?? `UNKNOWN(${code})`;
}

const LATEST = -1;

export class Client {
  readonly connection: Connection;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  static async open(address: Address): Promise<Client> {
    return new Client(await Connection.open(address));
  }

  ask<Req, Res>(api: Api<Req, Res>, version: number, body: NoInfer<Req>): Promise<Res> {
    return this.connection.ask(api, version, body);
  }

  async createTopic(
    name: string,
    partitions: number,
    configs: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    const answer = await this.ask(createTopics, 5, {
      topics: [
        {
          name,
          numPartitions: partitions,
          replicationFactor: 1,
          assignments: [],
          configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
        },
      ],
      timeoutMs: 30_000,
    });
    return nameOf(answer.topics[0]!.errorCode);
  }

  async init(
    transactionalId: string | null,
    options: {
      expected?: Producer | undefined;
      timeoutMs?: number | undefined;
      version?: number;
    } = {},
  ): Promise<Producer & { readonly error: string }> {
    const { expected, timeoutMs = 60_000, version = 4 } = options;
    const answer = await this.ask(initProducerId, version, {
      transactionalId,
      transactionTimeoutMs: timeoutMs,
      producerId: expected?.producerId,
      producerEpoch: expected?.producerEpoch,
    });
    const { errorCode, producerId, producerEpoch } = answer;
    return { error: nameOf(errorCode), producerId, producerEpoch };
  }

  /** Answers by topic and partition, in the order of the request. */
  async addPartitionsOf(
    transactionalId: string,
    { producerId, producerEpoch }: Producer,
    topics: readonly { readonly name: string; readonly partitions: readonly number[] }[],
    version = 3,
  ): Promise<string[]> {
    const answer = await this.ask(addPartitionsToTxn, version, {
      v3AndBelowTransactionalId: transactionalId,
      v3AndBelowProducerId: producerId,
      v3AndBelowProducerEpoch: producerEpoch,
      v3AndBelowTopics: topics,
    });
    const byTopic = new Map(
      answer.resultsByTopicV3AndBelow.map(({ name, resultsByPartition }) => [
        name,
        new Map(resultsByPartition.map((each) => [each.partitionIndex, each.partitionErrorCode])),
      ]),
    );
    return topics.flatMap(({ name, partitions }) =>
      partitions.map((each) => nameOf(byTopic.get(name)!.get(each)!)),
    );
  }

  async addPartition(
    transactionalId: string,
    producer: Producer,
    topic: string,
    partition = 0,
    version = 3,
  ): Promise<string> {
    const topics = [{ name: topic, partitions: [partition] }];
    return (await this.addPartitionsOf(transactionalId, producer, topics, version))[0]!;
  }

  async addOffsets(
    transactionalId: string,
    { producerId, producerEpoch }: Producer,
    groupId: string,
    version = 3,
  ): Promise<string> {
    const body = { transactionalId, producerId, producerEpoch, groupId };
    return nameOf((await this.ask(addOffsetsToTxn, version, body)).errorCode);
  }

  /** The identity of the next transaction is in the answers of version 5 only. */
  async end(
    transactionalId: string,
    { producerId, producerEpoch }: Producer,
    result: 'commit' | 'abort',
    version = 3,
  ): Promise<Producer & { readonly error: string }> {
    const committed = result === 'commit';
    const answer = await this.ask(endTxn, version, {
      transactionalId,
      producerId,
      producerEpoch,
      committed,
    });
    const next = answer as Partial<Producer>;
    return {
      error: nameOf(answer.errorCode),
      producerId: next.producerId ?? -1,
      producerEpoch: next.producerEpoch ?? -1,
    };
  }

  async produce(
    topic: string,
    partition: number,
    records: BatchSpec | Buffer | null,
    options: { transactionalId?: string; version?: number; acks?: number } = {},
  ): Promise<{
    readonly error: string;
    readonly baseOffset: number;
    readonly logStartOffset: number;
  }> {
    const { transactionalId = null, version = 9, acks = -1 } = options;
    const answer = await this.ask(
      produce,
      version,
      produceBody({ topic, partition, records, acks, transactionalId }),
    );
    const { errorCode, baseOffset, logStartOffset } = answer.responses[0]!.partitionResponses[0]!;
    return { error: nameOf(errorCode), baseOffset, logStartOffset };
  }

  async fetch(
    topic: string,
    partition: number,
    fetchOffset: number,
    options: FetchOptions = {},
  ): Promise<Fetched> {
    const { isolation = 'read_committed', maxWaitMs = 0, minBytes = 1, version = 11 } = options;
    const answer = await this.ask(fetch, version, {
      maxWaitMs,
      minBytes,
      maxBytes: options.maxBytes ?? 50_000_000,
      isolationLevel: isolation === 'read_committed' ? 1 : 0,
      topics: [
        {
          topic,
          partitions: [
            {
              partition,
              fetchOffset,
              currentLeaderEpoch: options.leaderEpoch ?? -1,
              partitionMaxBytes: options.partitionMaxBytes ?? 10_000_000,
            },
          ],
        },
      ],
    });
    if (answer.errorCode !== 0) throw new Error(`Fetch: ${nameOf(answer.errorCode)}`);
    const got = answer.responses[0]!.partitions[0]!;
    return {
      error: nameOf(got.errorCode),
      highWatermark: got.highWatermark,
      lastStableOffset: got.lastStableOffset,
      logStartOffset: got.logStartOffset,
      aborted: got.abortedTransactions,
      batches: readBatches(wholeBatches(got.records)),
    };
  }

  /** Every batch of a partition, markers included, as `a b`, `commit@0` or `abort@0`. */
  async log(topic: string, partition = 0): Promise<string[]> {
    const { batches } = await this.fetch(topic, partition, 0, { isolation: 'read_uncommitted' });
    return batches.map((each) =>
      each.kind === 'data' ? each.values.join(' ') : `${each.kind}@${each.epoch}`,
    );
  }

  async listOffset(
    topic: string,
    partition = 0,
    options: {
      timestamp?: number;
      isolation?: Isolation;
      leaderEpoch?: number;
      version?: number;
    } = {},
  ): Promise<{ readonly error: string; readonly offset: number; readonly timestamp: number }> {
    const { timestamp = LATEST, isolation = 'read_committed', version = 7 } = options;
    const answer = await this.ask(listOffsets, version, {
      replicaId: -1,
      isolationLevel: isolation === 'read_committed' ? 1 : 0,
      topics: [
        {
          name: topic,
          partitions: [
            {
              partitionIndex: partition,
              timestamp,
              currentLeaderEpoch: options.leaderEpoch ?? -1,
            },
          ],
        },
      ],
    });
    const found = answer.topics[0]!.partitions[0]!;
    return { error: nameOf(found.errorCode), offset: found.offset, timestamp: found.timestamp };
  }

  async deleteRecords(
    topic: string,
    offset: number,
    partition = 0,
  ): Promise<{ readonly error: string; readonly lowWatermark: number }> {
    const answer = await this.ask(deleteRecords, 2, {
      topics: [{ name: topic, partitions: [{ partitionIndex: partition, offset }] }],
      timeoutMs: 30_000,
    });
    const { errorCode, lowWatermark } = answer.topics[0]!.partitions[0]!;
    return { error: nameOf(errorCode), lowWatermark };
  }

  async commitOffset(
    groupId: string,
    entry: OffsetEntry,
    membership: Membership = {},
  ): Promise<string> {
    const answer = await this.ask(offsetCommit, 7, {
      groupId,
      generationIdOrMemberEpoch: membership.generationId ?? -1,
      memberId: membership.memberId ?? '',
      groupInstanceId: membership.groupInstanceId ?? null,
      topics: [offsetTopic(entry)],
    });
    return nameOf(answer.topics[0]!.partitions[0]!.errorCode);
  }

  async commitOffsetIn(
    transactionalId: string,
    { producerId, producerEpoch }: Producer,
    groupId: string,
    entry: OffsetEntry,
    options: Membership & { readonly version?: number } = {},
  ): Promise<string> {
    const { version = 3, ...membership } = options;
    const answer = await this.ask(txnOffsetCommit, version, {
      transactionalId,
      groupId,
      producerId,
      producerEpoch,
      ...membership,
      topics: [offsetTopic(entry)],
    });
    return nameOf(answer.topics[0]!.partitions[0]!.errorCode);
  }

  async committed(
    groupId: string,
    topic: string,
    options: { partition?: number; stability?: 'stable' | 'any' } = {},
  ): Promise<{
    readonly error: string;
    readonly offset: number;
    readonly metadata: string | null;
  }> {
    const { partition = 0, stability = 'stable' } = options;
    const answer = await this.ask(offsetFetch, 7, {
      groupId,
      topics: [{ name: topic, partitionIndexes: [partition] }],
      requireStable: stability === 'stable',
    });
    if (answer.errorCode !== 0) {
      return { error: nameOf(answer.errorCode), offset: -1, metadata: '' };
    }
    const { errorCode, committedOffset, metadata } = answer.topics[0]!.partitions[0]!;
    return { error: nameOf(errorCode), offset: committedOffset, metadata };
  }
}

export function produceBody(options: {
  readonly topic: string;
  readonly partition: number;
  readonly records: BatchSpec | Buffer | null;
  readonly acks: number;
  readonly transactionalId: string | null;
}) {
  const { topic, partition, records, acks, transactionalId } = options;
  const isSpec = records !== null && !Buffer.isBuffer(records);
  return {
    transactionalId,
    acks,
    timeoutMs: 30_000,
    topicData: [
      {
        name: topic,
        partitionData: [{ index: partition, records: isSpec ? freshBatch(records) : records }],
      },
    ],
  };
}

/** A batch of now: real brokers delete old segments by the time of their records. */
export function freshBatch(spec: BatchSpec): Buffer {
  return batch({ timestamp: Date.now(), ...spec });
}

function offsetTopic({ topic, offset, partition = 0, metadata = '' }: OffsetEntry) {
  return {
    name: topic,
    partitions: [
      { partitionIndex: partition, committedOffset: offset, committedMetadata: metadata },
    ],
  };
}

/** A fetch may end amid a batch, which the reader drops. */
function wholeBatches(records: Buffer | null): Buffer | null {
  if (records === null) return null;
  let end = 0;
  while (records.length - end >= 12) {
    const next = end + 12 + records.readInt32BE(end + 8);
    if (next > records.length) break;
    end = next;
  }
  return records.subarray(0, end);
}
