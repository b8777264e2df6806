/**
 * What a partition's bytes say is committed, and in which transactions: the view of those who judge.
 *
 * A transaction is, per partition and producer id, the data since that id's last marker up to its
 * next one; the marker may carry a bumped epoch (KIP-890), so epochs are not compared.
 */
import type { RawBatch, RawRecord } from './raw-batches.ts';

export interface CommittedRecord extends RawRecord {
  readonly topic: string;
  readonly partition: number;
  /** Of its batch. */
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  /** Of the marker that ended it; -1 for data outside transactions. */
  readonly markerOffset: number;
}

export interface PartitionView {
  readonly topic: string;
  readonly partition: number;
  /** In the order of their offsets. */
  readonly committed: readonly CommittedRecord[];
  /** Records of transactions that were aborted; `markerOffset` is that of the abort. */
  readonly aborted: readonly CommittedRecord[];
  /** Records of transactions that nothing has ended. */
  readonly open: number;
  /** What is below it was deleted. */
  readonly startOffset: number;
  /** Offset after the last batch. */
  readonly endOffset: number;
}

export interface PartitionBatches {
  readonly topic: string;
  readonly partition: number;
  readonly startOffset: number;
  readonly batches: Iterable<RawBatch>;
}

/** Reads the batches of a partition from its start. Throws at offsets that do not ascend. */
export function viewPartition(given: PartitionBatches): PartitionView {
  const { topic, partition, startOffset } = given;
  const open = new Map<number, RawBatch[]>();
  const committed: CommittedRecord[] = [];
  const aborted: CommittedRecord[] = [];
  let endOffset = startOffset;
  const end = (into: CommittedRecord[], batch: RawBatch, markerOffset: number): void => {
    const { producerId, producerEpoch, baseSequence } = batch;
    const place = { topic, partition, producerId, producerEpoch, baseSequence, markerOffset };
    for (const record of batch.records) into.push({ ...record, ...place });
  };
  for (const batch of given.batches) {
    // The first batch may begin below the start: batches are deleted whole.
    if (batch.baseOffset < endOffset && endOffset > startOffset) {
      throw new Error(`${topic}-${partition}: offset ${batch.baseOffset} after ${endOffset - 1}`);
    }
    endOffset = batch.lastOffset + 1;
    const { producerId } = batch;
    if (batch.marker !== null) {
      const ended = open.get(producerId) ?? [];
      open.delete(producerId);
      const into = batch.marker === 'commit' ? committed : aborted;
      for (const each of ended) end(into, each, batch.baseOffset);
    } else if (!batch.isTransactional) end(committed, batch, -1);
    else open.set(producerId, [...(open.get(producerId) ?? []), batch]);
  }
  committed.sort((one, other) => one.offset - other.offset);
  return {
    topic,
    partition,
    startOffset,
    committed,
    aborted,
    open: countOf([...open.values()].flat()),
    endOffset,
  };
}

function countOf(batches: readonly RawBatch[]): number {
  return batches.reduce((sum, { records }) => sum + records.length, 0);
}
