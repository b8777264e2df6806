/**
 * Which transaction each batch and each offset belongs to, and who ended it: seen on the wire, from
 * requests that the broker has carried out.
 *
 * On transactions v1 many transactions share an epoch, so the log alone does not tell them apart.
 * Here a transaction is what a producer id did between two ends (EndTxn or InitProducerId).
 */
import { decodeRequest, decodeResponse } from '../kafka/protocol/codec.ts';
import { endTxn } from '../kafka/protocol/end-txn.ts';
import { initProducerId } from '../kafka/protocol/init-producer-id.ts';
import { produce } from '../kafka/protocol/produce.ts';
import { txnOffsetCommit } from '../kafka/protocol/txn-offset-commit.ts';
import type { CommittedRecord } from './committed-log.ts';
import type { Passage } from './network.ts';
import { rawBatches } from './raw-batches.ts';
import type { Source } from './workload.ts';

interface Position {
  readonly transaction: string;
  readonly offset: number;
}

export class TransactionTrace {
  /** Ends of a producer id so far. */
  readonly #ends = new Map<number, number>();
  /** Process that was last given a transactional id, by that id. */
  readonly #owners = new Map<string, string>();
  readonly #batches = new Map<string, string>();
  /** Offsets of transactions that have not ended. */
  readonly #pending = new Map<string, { place: string; offset: number }[]>();
  readonly #positions = new Map<string, Position[]>();
  /** What must never be seen. */
  readonly violations: string[] = [];

  /** The broker has carried out a request and answered it. */
  observe(passage: Passage, answer: Buffer): void {
    switch (passage.request.apiKey) {
      case produce.key:
        this.#produced(passage);
        return;
      case txnOffsetCommit.key:
        this.#offsets(passage, answer);
        return;
      case endTxn.key:
        this.#ended(passage, answer);
        return;
      case initProducerId.key:
        this.#initialized(passage, answer);
    }
  }

  /** The transaction that wrote a record; null for a record of an outsider. */
  transactionOf(record: CommittedRecord): string | null {
    const { topic, partition, producerId, producerEpoch, baseSequence } = record;
    const batch = `${topic}-${partition} ${producerId}/${producerEpoch}/${baseSequence}`;
    return this.#batches.get(batch) ?? null;
  }

  /** The committed transaction that moved the group's offset past a record; null: none did. */
  transactionPast({ topic, partition, offset }: Source): string | null {
    const positions = this.#positions.get(`${topic}-${partition}`) ?? [];
    return positions.find((each) => each.offset > offset)?.transaction ?? null;
  }

  #current(producerId: number): string {
    return `${producerId}#${this.#ends.get(producerId) ?? 0}`;
  }

  #produced({ request }: Passage): void {
    const { topicData } = decodeRequest(produce, request.apiVersion, request.body);
    for (const { name, partitionData } of topicData) {
      for (const { index, records } of partitionData) {
        if (records === null) continue;
        for (const { producerId, producerEpoch, baseSequence } of rawBatches(records)) {
          const batch = `${name}-${index} ${producerId}/${producerEpoch}/${baseSequence}`;
          // A batch that was repeated belongs to the transaction in which it came first.
          if (!this.#batches.has(batch)) this.#batches.set(batch, this.#current(producerId));
        }
      }
    }
  }

  #offsets({ request }: Passage, answer: Buffer): void {
    const asked = decodeRequest(txnOffsetCommit, request.apiVersion, request.body);
    const told = decodeResponse(txnOffsetCommit, request.apiVersion, answer);
    const transaction = this.#current(asked.producerId);
    for (const [at, { name, partitions }] of asked.topics.entries()) {
      for (const [row, { partitionIndex, committedOffset }] of partitions.entries()) {
        if (told.topics[at]?.partitions[row]?.errorCode !== 0) continue;
        const pending = this.#pending.get(transaction) ?? [];
        pending.push({ place: `${name}-${partitionIndex}`, offset: Number(committedOffset) });
        this.#pending.set(transaction, pending);
      }
    }
  }

  #ended(passage: Passage, answer: Buffer): void {
    const { request, process } = passage;
    const asked = decodeRequest(endTxn, request.apiVersion, request.body);
    if (decodeResponse(endTxn, request.apiVersion, answer).errorCode !== 0) return;
    const owner = this.#owners.get(asked.transactionalId);
    if (owner !== process.name) {
      this.violations.push(
        `${process.name} ended a transaction of ${asked.transactionalId}, whose owner is ${owner}`,
      );
    }
    this.#end(asked.producerId, asked.committed ? 'commit' : 'abort');
  }

  #initialized(passage: Passage, answer: Buffer): void {
    const { request, process } = passage;
    const asked = decodeRequest(initProducerId, request.apiVersion, request.body);
    const told = decodeResponse(initProducerId, request.apiVersion, answer);
    if (told.errorCode !== 0 || asked.transactionalId === null) return;
    this.#owners.set(asked.transactionalId, process.name);
    this.#end(Number(told.producerId), 'abort');
  }

  #end(producerId: number, result: 'commit' | 'abort'): void {
    const transaction = this.#current(producerId);
    const offsets = this.#pending.get(transaction) ?? [];
    this.#pending.delete(transaction);
    this.#ends.set(producerId, (this.#ends.get(producerId) ?? 0) + 1);
    if (result === 'abort') return;
    for (const { place, offset } of offsets) {
      const positions = this.#positions.get(place) ?? [];
      positions.push({ transaction, offset });
      this.#positions.set(place, positions);
    }
  }
}
