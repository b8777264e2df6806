/**
 * The scope of one step: everything that a task's next transaction will write.
 *
 * Owned by one task. Operators append outputs and changelog writes through it; the task marks and
 * rolls back single records; `seal` hands the content over to the producer session.
 *
 * I1. Only released slots are in here: a record that fails is rolled back before the next begins.
 * I2. A record is encoded once, straight into the batch that travels to the broker.
 * I3. `seal` leaves the scope empty, so that the next step fills while this one commits.
 */
import { EscapementError } from '../errors.ts';
import type { PendingBatch } from '../kafka/records/batch-writer.ts';
import { BatchWriter } from '../kafka/records/batch-writer.ts';
import type { Compression } from '../kafka/records/codecs.ts';
import type { Header } from '../kafka/records/headers.ts';

/** What was written to one partition in one step. */
export interface StagedOutput {
  readonly topic: string;
  readonly partition: number;
  readonly batches: PendingBatch[];
}

class PartitionWriter {
  readonly topic: string;
  readonly partition: number;
  readonly batches: BatchWriter;
  /** The slot whose first append marked the writer. */
  markedSlot = -1;

  constructor(topic: string, partition: number, options: ScopeOptions) {
    this.topic = topic;
    this.partition = partition;
    this.batches = new BatchWriter(options);
  }
}

/** One topic that the task writes to: a sink, a repartition topic, a changelog, a dead-letter topic. */
export class OutputTopic {
  readonly name: string;
  readonly partitions: number;
  readonly writers: (PartitionWriter | undefined)[];

  constructor(name: string, partitions: number) {
    this.name = name;
    this.partitions = partitions;
    this.writers = new Array(partitions).fill(undefined);
  }
}

export interface ScopeOptions {
  /** Bytes at which a batch is closed and the next begun. */
  readonly batchBytesMax: number;
  /** Largest encoded record: key, value and headers together. */
  readonly recordBytesMax: number;
  /** Of every batch. Default: `none`. */
  readonly compression?: Compression;
}

/** Encoded overhead of a record beside key and value, roughly; for the byte bound only. */
const RECORD_OVERHEAD_BYTES = 16;

/** What `recordBytesMax` bounds. */
export function encodedBytes(
  keyBytes: number,
  valueBytes: number,
  headers: readonly Header[] | null,
): number {
  let bytes = keyBytes + valueBytes;
  if (headers === null) return bytes;
  for (const { key, value } of headers) {
    bytes += Buffer.byteLength(key) + (value === null ? 0 : value.length);
  }
  return bytes;
}

export class StepScope {
  readonly #options: ScopeOptions;
  readonly #topics = new Map<string, OutputTopic>();
  readonly #writers: PartitionWriter[] = [];
  #slot = 0;
  #bytes = 0;
  #bytesAtMark = 0;

  constructor(options: ScopeOptions) {
    this.#options = options;
  }

  /** Bytes staged since the last seal, roughly. */
  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#bytes === 0;
  }

  /** The same object for the same name. */
  topic(name: string, partitions: number): OutputTopic {
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      topic = new OutputTopic(name, partitions);
      this.#topics.set(name, topic);
    }
    return topic;
  }

  /** Everything appended from here on belongs to the next record. */
  mark(): void {
    this.#slot += 1;
    this.#bytesAtMark = this.#bytes;
  }

  /** Undoes what was appended since `mark`. */
  rollback(): void {
    for (const writer of this.#writers) {
      if (writer.markedSlot === this.#slot) writer.batches.rollback();
    }
    this.#bytes = this.#bytesAtMark;
    this.#slot += 1;
  }

  append(
    topic: OutputTopic,
    partition: number,
    timestamp: number,
    key: Buffer | null,
    keyStart: number,
    keyEnd: number,
    value: Buffer | null,
    valueStart: number,
    valueEnd: number,
    headers: readonly Header[] | null,
  ): void {
    const bytes = encodedBytes(keyEnd - keyStart, valueEnd - valueStart, headers);
    this.checkSize(topic, partition, bytes);
    const writer = topic.writers[partition] ?? this.#writerOf(topic, partition);
    if (writer.markedSlot !== this.#slot) {
      writer.markedSlot = this.#slot;
      writer.batches.mark();
    }
    writer.batches.append(timestamp, key, keyStart, keyEnd, value, valueStart, valueEnd, headers);
    this.#bytes += bytes + RECORD_OVERHEAD_BYTES;
  }

  /** Hands over everything staged, and begins anew. */
  seal(): StagedOutput[] {
    const outputs: StagedOutput[] = [];
    for (const writer of this.#writers) {
      if (writer.batches.count === 0) continue;
      outputs.push({
        topic: writer.topic,
        partition: writer.partition,
        batches: writer.batches.take(),
      });
      writer.markedSlot = -1;
    }
    this.#bytes = 0;
    this.#bytesAtMark = 0;
    return outputs;
  }

  #writerOf(topic: OutputTopic, partition: number): PartitionWriter {
    const writer = new PartitionWriter(topic.name, partition, this.#options);
    topic.writers[partition] = writer;
    this.#writers.push(writer);
    return writer;
  }

  /** Throws `RECORD_TOO_LARGE` for more than `recordBytesMax`. */
  checkSize(topic: OutputTopic, partition: number, bytes: number): void {
    if (bytes <= this.#options.recordBytesMax) return;
    throw new EscapementError(
      'RECORD_TOO_LARGE',
      `A result of ${bytes} bytes for ${topic.name}-${partition} exceeds recordBytesMax ` +
        `(${this.#options.recordBytesMax}): make it smaller, or raise recordBytesMax together ` +
        `with the topic's max.message.bytes.`,
      { at: { topic: topic.name, partition } },
    );
  }
}
