/** What stands beside the application: it makes topics, writes input and reads what is there. */
import type { Broker } from '../broker/broker.ts';
import { addPartitionsToTxn } from '../kafka/protocol/add-partitions-to-txn.ts';
import { decodeResponse, encodeRequest } from '../kafka/protocol/codec.ts';
import { createTopics } from '../kafka/protocol/create-topics.ts';
import { endTxn } from '../kafka/protocol/end-txn.ts';
import { initProducerId } from '../kafka/protocol/init-producer-id.ts';
import { produce } from '../kafka/protocol/produce.ts';
import type { Api } from '../kafka/protocol/schema.ts';
import { type PartitionView, viewPartition } from './oracle/committed-log.ts';
import type { Input, Written } from './oracle/evidence.ts';
import { type RawBatch, rawBatches, writeRawBatch } from './oracle/raw-batches.ts';

export type SeenBatches = (
  batches: readonly RawBatch[],
  topic: string,
  partition: number,
) => readonly RawBatch[];

const asTheyAre: SeenBatches = (batches) => batches;

export class Outsider {
  readonly written: Written[] = [];
  /** Batches that were there when they were about to be deleted, by place and base offset. */
  readonly #archive = new Map<string, Map<number, RawBatch>>();
  readonly #broker: Broker;
  readonly #groupId: string;
  readonly #latest = new Map<string, { readonly last: Buffer | undefined; view: PartitionView }>();
  readonly #batches = new WeakMap<Buffer, readonly RawBatch[]>();

  constructor(broker: Broker, groupId: string) {
    this.#broker = broker;
    this.#groupId = groupId;
  }

  createTopic(name: string, numPartitions: number): void {
    const replicationFactor = this.#broker.nodes().length;
    const topic = { name, numPartitions, replicationFactor, assignments: [], configs: [] };
    const answer = this.#ask(0, createTopics, 5, { topics: [topic], timeoutMs: 1_000 });
    const errorCode = answer?.topics[0]?.errorCode;
    if (errorCode !== 0) throw new Error(`topic ${name} was not created: error ${errorCode}`);
  }

  /**
   * Returns whether the record was written. A partition without a leader takes none; one that has too
   * few replicas is not asked, since it may append what it refuses, and this writer has no producer
   * id by which that would be noticed.
   */
  write(input: Input): 'written' | 'refused' {
    const { topic, partition } = input;
    const place = this.#broker.topics.partition(topic, partition);
    if (place === undefined || place.replication !== 'enough') return 'refused';
    const { leader } = place;
    if (leader < 0) return 'refused';
    const answer = this.#ask(leader, produce, 9, {
      transactionalId: null,
      acks: -1,
      timeoutMs: 1_000,
      topicData: [
        { name: topic, partitionData: [{ index: partition, records: writeRawBatch([input]) }] },
      ],
    });
    const found = answer?.responses[0]?.partitionResponses[0];
    if (found?.errorCode !== 0) return 'refused';
    this.written.push({ ...input, offset: Number(found.baseOffset) });
    return 'written';
  }

  /** Names of all topics. */
  topics(): string[] {
    return this.#broker.topics.all().map(({ name }) => name);
  }

  /**
   * What is in a topic, partition after partition, as `seen` lets it be seen; `ever`: with what was
   * deleted since.
   */
  views(
    name: string,
    seen: SeenBatches = asTheyAre,
    part: 'present' | 'ever' = 'present',
  ): PartitionView[] {
    const topic = this.#broker.topics.find(name);
    if (topic === undefined) return [];
    return topic.partitions.map(({ log }, partition) => {
      const present = log.batches.flatMap(({ bytes }) => this.#parsed(bytes));
      const first = present[0]?.baseOffset ?? log.logEndOffset;
      const archived = [...(this.#archive.get(`${name}-${partition}`)?.values() ?? [])];
      const gone = archived.filter(({ baseOffset }) => part === 'ever' && baseOffset < first);
      return viewPartition({
        topic: name,
        partition,
        startOffset: gone[0]?.baseOffset ?? log.logStartOffset,
        batches: seen([...gone, ...present], name, partition),
      });
    });
  }

  /** As `views`, for those who look often: what has not changed is not read again. */
  latest(name: string): PartitionView[] {
    const topic = this.#broker.topics.find(name);
    if (topic === undefined) return [];
    return topic.partitions.map(({ log }, partition) => {
      const place = `${name}-${partition}`;
      const last = log.batches.at(-1)?.bytes;
      const known = this.#latest.get(place);
      if (known?.last === last && known?.view.startOffset === log.logStartOffset) return known.view;
      const view = viewPartition({
        topic: name,
        partition,
        startOffset: log.logStartOffset,
        batches: log.batches.flatMap(({ bytes }) => this.#parsed(bytes)),
      });
      this.#latest.set(place, { last, view });
      return view;
    });
  }

  #parsed(bytes: Buffer): readonly RawBatch[] {
    const known = this.#batches.get(bytes);
    if (known !== undefined) return known;
    const batches = [...rawBatches(bytes)];
    this.#batches.set(bytes, batches);
    return batches;
  }

  /** Keeps what is there now, before somebody deletes it. */
  archive(): void {
    for (const { name, partitions } of this.#broker.topics.all()) {
      for (const [partition, { log }] of partitions.entries()) {
        const place = `${name}-${partition}`;
        const kept = this.#archive.get(place) ?? new Map<number, RawBatch>();
        this.#archive.set(place, kept);
        for (const { bytes } of log.batches) {
          for (const batch of this.#parsed(bytes)) kept.set(batch.baseOffset, batch);
        }
      }
    }
  }

  stableEnd(topic: string, partition: number): number {
    return this.#broker.topics.partition(topic, partition)?.log.lastStableOffset ?? 0;
  }

  /** Of the application's group; -1: none. */
  committedOffset(topic: string, partition: number): number {
    const group = this.#broker.groups.find(this.#groupId);
    return group?.offsets.find(topic, partition)?.offset ?? -1;
  }

  /** Transactions of the application that have not come to their end, as lines for people. */
  openTransactions(): string[] {
    return this.#broker
      .listTransactions()
      .filter(({ transactionalId }) => transactionalId.startsWith(`${this.#groupId}-`))
      .filter(({ state }) => state.startsWith('Prepare') || state === 'Ongoing')
      .map(({ transactionalId, state }) => `${transactionalId} ${state}`);
  }

  /** Opens a transaction of somebody else that has written into a partition; returns its abort. */
  hold(
    topic: string,
    partition: number,
    { transactionalId = 'foreign', valueBytes = 8 } = {},
  ): () => void {
    const { producerId, producerEpoch } = this.#fence(transactionalId);
    const who = { transactionalId, producerId, producerEpoch };
    const { leader } = this.#broker.topics.partition(topic, partition)!;
    const added = this.#ask(0, addPartitionsToTxn, 3, {
      v3AndBelowTransactionalId: transactionalId,
      v3AndBelowProducerId: producerId,
      v3AndBelowProducerEpoch: producerEpoch,
      v3AndBelowTopics: [{ name: topic, partitions: [partition] }],
    });
    if (added === null) throw new Error('a foreign transaction has no partition');
    const input = { key: 'foreign', value: Buffer.alloc(valueBytes), timestampMs: 0 };
    const records = writeRawBatch([input], {
      producerId: Number(producerId),
      producerEpoch,
      baseSequence: 0,
    });
    const answer = this.#ask(leader, produce, 9, {
      transactionalId,
      acks: -1,
      timeoutMs: 1_000,
      topicData: [{ name: topic, partitionData: [{ index: partition, records }] }],
    });
    const errorCode = answer?.responses[0]?.partitionResponses[0]?.errorCode;
    if (errorCode !== 0) throw new Error(`a foreign record was refused: error ${errorCode}`);
    return () => void this.#ask(0, endTxn, 3, { ...who, committed: false });
  }

  /** The group's offsets are gone, as if they had expired; returns what puts them back. */
  forgetOffsets(): () => void {
    const { offsets } = this.#broker.groups.find(this.#groupId)!;
    const gone = [...offsets.partitions()].flatMap(([topic, partitions]) =>
      partitions.map((partition) => ({ topic, partition, ...offsets.find(topic, partition)! })),
    );
    for (const { topic, partition } of gone) offsets.delete(topic, partition);
    return () => {
      for (const entry of gone) {
        if (offsets.find(entry.topic, entry.partition) === undefined) offsets.commit(entry);
      }
    };
  }

  /** A transactional id has been taken so often that the epochs of its producer id are nearly used up. */
  wearOut(transactionalId: string, times: number): void {
    for (let left = times; left > 0; left--) this.#fence(transactionalId);
  }

  #fence(transactionalId: string) {
    const answer = this.#ask(0, initProducerId, 4, {
      transactionalId,
      transactionTimeoutMs: 60_000,
    });
    if (answer?.errorCode !== 0) throw new Error(`${transactionalId}: error ${answer?.errorCode}`);
    return answer;
  }

  #ask<Req, Res>(
    node: number,
    api: Api<Req, Res>,
    version: number,
    body: NoInfer<Req>,
  ): Res | null {
    let answer: Res | null = null;
    const connection = this.#broker.connect(node, '127.0.0.1');
    const bytes = encodeRequest(api, version, body);
    this.#broker.handle(connection, api.key, version, bytes, (found) => {
      if (found !== null) answer = decodeResponse(api, version, found);
    });
    return answer;
  }
}
