/** A client that drives `Broker.handle` with encoded requests, one connection, no waiting. */
import type { Connection } from '../../src/broker/api-table.ts';
import { Broker } from '../../src/broker/broker.ts';
import type { BrokerOptions } from '../../src/broker/options.ts';
import { addOffsetsToTxn } from '../../src/kafka/protocol/add-offsets-to-txn.ts';
import { addPartitionsToTxn } from '../../src/kafka/protocol/add-partitions-to-txn.ts';
import { decodeResponse, encodeRequest } from '../../src/kafka/protocol/codec.ts';
import { createTopics } from '../../src/kafka/protocol/create-topics.ts';
import { endTxn } from '../../src/kafka/protocol/end-txn.ts';
import { fetch } from '../../src/kafka/protocol/fetch.ts';
import { initProducerId } from '../../src/kafka/protocol/init-producer-id.ts';
import { offsetFetch } from '../../src/kafka/protocol/offset-fetch.ts';
import { produce } from '../../src/kafka/protocol/produce.ts';
import type { Api } from '../../src/kafka/protocol/schema.ts';
import { txnOffsetCommit } from '../../src/kafka/protocol/txn-offset-commit.ts';
import { type BatchSpec, batch, readBatches } from './batch.ts';
import { VirtualPorts } from './ports.ts';

/** An answer that is there or not yet. */
export interface Later<T> {
  readonly answers: readonly T[];
}

export interface Producer {
  readonly producerId: number;
  readonly producerEpoch: number;
}

export type Isolation = 'read_committed' | 'read_uncommitted';

export class Client {
  readonly broker: Broker;
  readonly connection: Connection;

  constructor(broker: Broker, clientId = 'test', node = 0) {
    this.broker = broker;
    this.connection = broker.connect(node, '127.0.0.1');
    this.connection.clientId = clientId;
  }

  /** Sends without expecting the answer at once. */
  post<Req, Res>(api: Api<Req, Res>, version: number, body: NoInfer<Req>): Later<Res> {
    const answers: Res[] = [];
    const bytes = encodeRequest(api, version, body);
    this.broker.handle(this.connection, api.key, version, bytes, (answer) => {
      if (answer !== null) answers.push(decodeResponse(api, version, answer));
    });
    return { answers };
  }

  /** Sends and expects the answer at once. */
  ask<Req, Res>(api: Api<Req, Res>, version: number, body: NoInfer<Req>): Res {
    const { answers } = this.post(api, version, body);
    if (answers.length !== 1) throw new Error(`${api.name}: ${answers.length} answers`);
    return answers[0]!;
  }

  createTopic(
    name: string,
    partitions = 1,
    configs: Readonly<Record<string, string>> = {},
  ): number {
    const answer = this.ask(createTopics, 5, {
      topics: [
        {
          name,
          numPartitions: partitions,
          replicationFactor: 1,
          assignments: [],
          configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
        },
      ],
      timeoutMs: 1_000,
    });
    return answer.topics[0]!.errorCode;
  }

  postInit(transactionalId: string) {
    return this.post(initProducerId, 4, { transactionalId, transactionTimeoutMs: 10_000 });
  }

  init(transactionalId: string | null, expected?: Producer, timeoutMs = 10_000, version = 4) {
    return this.ask(initProducerId, version, {
      transactionalId,
      transactionTimeoutMs: timeoutMs,
      ...(expected ?? {}),
    });
  }

  addPartitions(
    transactionalId: string,
    producer: Producer,
    topic: string,
    partitions: readonly number[],
    version = 3,
  ): number[] {
    const answer = this.ask(addPartitionsToTxn, version, {
      v3AndBelowTransactionalId: transactionalId,
      v3AndBelowProducerId: producer.producerId,
      v3AndBelowProducerEpoch: producer.producerEpoch,
      v3AndBelowTopics: [{ name: topic, partitions }],
    });
    return answer.resultsByTopicV3AndBelow[0]!.resultsByPartition.map((p) => p.partitionErrorCode);
  }

  addOffsets(transactionalId: string, producer: Producer, groupId: string): number {
    const { producerId, producerEpoch } = producer;
    return this.ask(addOffsetsToTxn, 3, { transactionalId, producerId, producerEpoch, groupId })
      .errorCode;
  }

  end(
    transactionalId: string,
    producer: Producer,
    result: 'commit' | 'abort',
    version = 3,
  ): number {
    const { producerId, producerEpoch } = producer;
    const committed = result === 'commit';
    return this.ask(endTxn, version, { transactionalId, producerId, producerEpoch, committed })
      .errorCode;
  }

  /** EndTxn by the rules of v2: the answer has the next identity. */
  endV2(transactionalId: string, producer: Producer, result: 'commit' | 'abort') {
    const { answers } = this.postEndV2(transactionalId, producer, result);
    if (answers.length !== 1) throw new Error(`EndTxn: ${answers.length} answers`);
    return answers[0]!;
  }

  postEndV2(transactionalId: string, producer: Producer, result: 'commit' | 'abort') {
    const { producerId, producerEpoch } = producer;
    const committed = result === 'commit';
    return this.post(endTxn, 5, { transactionalId, producerId, producerEpoch, committed });
  }

  /** Produces one batch to one partition. */
  produce(
    topic: string,
    index: number,
    spec: BatchSpec | Buffer,
    transactionalId: string | null = null,
    version = 9,
  ) {
    const records = Buffer.isBuffer(spec) ? spec : batch(spec);
    const answer = this.ask(produce, version, {
      transactionalId,
      acks: -1,
      timeoutMs: 1_000,
      topicData: [{ name: topic, partitionData: [{ index, records }] }],
    });
    return answer.responses[0]!.partitionResponses[0]!;
  }

  /** A batch of the producer's ongoing transaction. */
  produceIn(
    transactionalId: string,
    producer: Producer,
    topic: string,
    index: number,
    spec: Pick<BatchSpec, 'values' | 'sequence'>,
    version = 9,
  ) {
    return this.produce(
      topic,
      index,
      {
        ...spec,
        producerId: producer.producerId,
        epoch: producer.producerEpoch,
        transactional: 'transactional',
      },
      transactionalId,
      version,
    );
  }

  /** By the rules of v2, which add the partition and may take their time. */
  postProduceV2(
    transactionalId: string,
    { producerId, producerEpoch: epoch }: Producer,
    topic: string,
    indexes: readonly number[],
    spec: Pick<BatchSpec, 'values' | 'sequence'>,
  ) {
    const transactional = 'transactional';
    const records = batch({ ...spec, producerId, epoch, transactional });
    const partitionData = indexes.map((index) => ({ index, records }));
    return this.post(produce, 12, {
      transactionalId,
      acks: -1,
      timeoutMs: 1_000,
      topicData: [{ name: topic, partitionData }],
    });
  }

  postFetch(
    topic: string,
    partition: number,
    fetchOffset: number,
    options: {
      isolation?: Isolation;
      maxWaitMs?: number;
      minBytes?: number;
      maxBytes?: number;
      partitionMaxBytes?: number;
    } = {},
  ) {
    return this.post(fetch, 11, {
      maxWaitMs: options.maxWaitMs ?? 0,
      minBytes: options.minBytes ?? 1,
      maxBytes: options.maxBytes ?? 50_000_000,
      isolationLevel: (options.isolation ?? 'read_committed') === 'read_committed' ? 1 : 0,
      topics: [
        {
          topic,
          partitions: [
            { partition, fetchOffset, partitionMaxBytes: options.partitionMaxBytes ?? 1_000_000 },
          ],
        },
      ],
    });
  }

  fetch(...args: Parameters<Client['postFetch']>) {
    const { answers } = this.postFetch(...args);
    if (answers.length !== 1) throw new Error(`Fetch: ${answers.length} answers`);
    const got = answers[0]!.responses[0]!.partitions[0]!;
    return { ...got, batches: readBatches(got.records) };
  }

  /** Everything of a partition, markers included. */
  log(topic: string, partition = 0) {
    const { batches } = this.fetch(topic, partition, 0, { isolation: 'read_uncommitted' });
    return batches.map((each) =>
      each.kind === 'data' ? each.values.join(' ') : `${each.kind}@${each.epoch}`,
    );
  }

  postTxnOffsetCommit(
    transactionalId: string,
    { producerId, producerEpoch }: Producer,
    groupId: string,
    committedOffset: number,
    version: number,
  ) {
    const partitions = [{ partitionIndex: 0, committedOffset, committedMetadata: '' }];
    return this.post(txnOffsetCommit, version, {
      transactionalId,
      groupId,
      producerId,
      producerEpoch,
      topics: [{ name: 'in', partitions }],
    });
  }

  txnOffsetCommit(
    transactionalId: string,
    producer: Producer,
    groupId: string,
    offset: number,
    options: {
      topic?: string;
      generationId?: number;
      memberId?: string;
      groupInstanceId?: string | null;
      metadata?: string;
      version?: number;
    } = {},
  ): number {
    const { topic = 'in', metadata = '', version = 3, ...membership } = options;
    const answer = this.ask(txnOffsetCommit, version, {
      transactionalId,
      groupId,
      producerId: producer.producerId,
      producerEpoch: producer.producerEpoch,
      ...membership,
      topics: [
        {
          name: topic,
          partitions: [{ partitionIndex: 0, committedOffset: offset, committedMetadata: metadata }],
        },
      ],
    });
    return answer.topics[0]!.partitions[0]!.errorCode;
  }

  committed(groupId: string, stability: 'stable' | 'any' = 'stable', topic = 'in') {
    const answer = this.ask(offsetFetch, 7, {
      groupId,
      topics: [{ name: topic, partitionIndexes: [0] }],
      requireStable: stability === 'stable',
    });
    const { committedOffset, errorCode, metadata } = answer.topics[0]!.partitions[0]!;
    return { committedOffset, errorCode, metadata };
  }
}

/** A broker in virtual time with one client. */
export function stage(options: Partial<BrokerOptions> = {}, seed = 1) {
  const ports = new VirtualPorts(seed);
  const broker = new Broker({ markerDelayMs: 10, ...options, ports });
  return { ports, broker, client: new Client(broker) };
}
