/**
 * What a task has fetched and not run: one cursor per input partition, lowest timestamp first.
 *
 * As in Kafka Streams (PartitionGroup): the next record is the one with the lowest event time among
 * the heads; while a partition has nothing buffered although the broker holds more, the task waits
 * (max.task.idle.ms = 0, KIP-695).
 *
 * I1. A chunk is taken over only when the schemas of its records are ready (`prepare`), so decoding
 *     is synchronous. An id that cannot be made ready fails its records, never the task.
 * I2. A position passes control batches and aborted records only after everything before them ran.
 */
import { asEscapementError, EscapementError } from '../errors.ts';
import type { PartitionFeed } from '../kafka/fetch/fetcher.ts';
import { type HeaderLimits, readHeaders } from '../kafka/records/headers.ts';
import type { FetchedRecords } from '../kafka/records/parse-fetched.ts';
import { RecordCursor } from '../kafka/records/record-cursor.ts';
import type { Ports } from '../ports.ts';
import type { Serde } from '../serde/serde.ts';
import type { Log } from '../telemetry/log.ts';
import type { SourceNode, TimestampExtractor } from '../topology/node.ts';
import { type Header, Origin, Rec } from '../topology/record.ts';
import type { Process } from './context.ts';
import type { Input } from './input.ts';
import type { LookAhead } from './look-ahead.ts';

export interface QueueEntry {
  readonly source: SourceNode;
  readonly process: Process;
  readonly feed: PartitionFeed;
  /** For a source whose keys are looked up in a store. */
  readonly lookAhead: LookAhead | null;
}

const NO_RECORD: Input['record'] = Rec.of(new Origin('', -1, -1, -1, null), -1, null, null);

/** One input of the task; while it has a head it is that record as `next` hands it out. */
class InputPartition implements Input {
  readonly index: number;
  readonly entry: QueueEntry;
  readonly #headerLimits: HeaderLimits | undefined;
  readonly source: SourceNode;
  readonly process: Process;
  readonly cursor = new RecordCursor();
  hasHead = false;
  record: Input['record'] = NO_RECORD;
  nextOffset = -1;
  extractorFailure: unknown;
  /** Chunk whose schemas are being prepared. */
  preparing: FetchedRecords | null = null;
  /** Position after the loaded chunk. */
  chunkEnd = -1;
  #keyHash = -1;

  constructor(index: number, entry: QueueEntry, headerLimits: HeaderLimits | undefined) {
    this.index = index;
    this.entry = entry;
    this.#headerLimits = headerLimits;
    this.source = entry.source;
    this.process = entry.process;
  }

  /** Makes the next record of the chunk the head; false at its end. */
  step(): boolean {
    const { cursor, source } = this;
    if (!cursor.next()) {
      this.hasHead = false;
      this.record = NO_RECORD; // lets go of the response, as the cursor did
      return false;
    }
    this.extractorFailure = undefined;
    this.#keyHash = this.entry.lookAhead === null ? -1 : this.entry.lookAhead.next();
    this.record = this.#record(
      source.timestamp === null ? cursor.timestamp : this.#extract(source.timestamp),
    );
    this.nextOffset = cursor.offset + 1;
    this.hasHead = true;
    return true;
  }

  #record(timestamp: number): Input['record'] {
    const { cursor, source } = this;
    const { feed } = this.entry;
    const origin = new Origin(
      feed.topic,
      feed.partition,
      cursor.offset,
      timestamp,
      cursor.headerCount === 0 ? null : headerReader(cursor, this.#headerLimits),
    );
    const { buffer, keyStart, keyEnd, valueStart, valueEnd } = cursor;
    return Rec.fromBytes(
      origin,
      source,
      buffer,
      keyStart,
      keyEnd,
      valueStart,
      valueEnd,
      this.#keyHash,
    );
  }

  /** The extractor's time. What it throws is kept for the run of the record: this is no place to fail. */
  #extract(extractor: TimestampExtractor): number {
    try {
      const timestamp = extractor(this.#record(this.cursor.timestamp));
      return Number.isSafeInteger(timestamp) ? timestamp : INVALID_TIME;
    } catch (cause) {
      this.extractorFailure = cause;
      return INVALID_TIME;
    }
  }
}

/** Any negative time is a record error (Kafka Streams: FailOnInvalidTimestamp). */
const INVALID_TIME = -1;

function headerReader(
  { buffer, headersStart, headerCount }: RecordCursor,
  limits: HeaderLimits | undefined,
): () => readonly Header[] {
  return () => readHeaders(buffer, headersStart, headerCount, limits);
}

export interface RecordQueueOptions {
  readonly entries: readonly QueueEntry[];
  readonly headerLimits?: HeaderLimits;
  readonly ports: Ports;
  readonly log: Log;
  /** Told when a chunk is used up: reading goes on at `offset`. */
  readonly passed: (index: number, offset: number) => void;
  /** Schemas cannot be made ready, and asking again cannot mend it. */
  readonly prepareFailed: (error: EscapementError) => void;
  readonly wake: () => void;
}

const PREPARE_PAUSE_FIRST_MS = 50;
const PREPARE_PAUSE_MOST_MS = 1_000;

export class RecordQueue {
  readonly #partitions: readonly InputPartition[];
  readonly #options: RecordQueueOptions;
  #isClosed = false;

  constructor(options: RecordQueueOptions) {
    this.#options = options;
    this.#partitions = options.entries.map(
      (entry, index) => new InputPartition(index, entry, options.headerLimits),
    );
  }

  /**
   * Removes and returns the next record to run, or null when there is none now. The input that holds
   * the record is used again for the next one: who keeps it copies it.
   */
  next(): Input | null {
    let lowest: InputPartition | null = null;
    for (let i = 0; i < this.#partitions.length; i += 1) {
      const partition = this.#partitions[i]!;
      if (!partition.hasHead && !this.#fill(partition)) {
        if (this.#partitions.length > 1 && isBehind(partition)) return null;
        continue;
      }
      if (lowest === null || partition.record.timestamp < lowest.record.timestamp) {
        lowest = partition;
      }
    }
    if (lowest === null) return null;
    lowest.hasHead = false;
    return lowest;
  }

  /**
   * True when fetched data waits, a record is at hand, or the chunk of the last one was not seen to its
   * end: a step that is committed in the middle of a chunk is one too many.
   */
  get hasMore(): boolean {
    return this.#partitions.some(
      ({ hasHead, chunkEnd, entry, preparing }) =>
        hasHead || chunkEnd >= 0 || (preparing === null && entry.feed.bufferedBytes > 0),
    );
  }

  /** Moves to the next record of the partition, through as many chunks as that takes. */
  #fill(partition: InputPartition): boolean {
    for (;;) {
      if (partition.step()) return true;
      if (partition.chunkEnd >= 0) {
        this.#options.passed(partition.index, partition.chunkEnd);
        partition.chunkEnd = -1;
      }
      if (partition.preparing !== null) return false;
      const { feed } = partition.entry;
      if (feed.error !== null) throw feed.error;
      const chunk = feed.take();
      if (chunk === null) return false;
      if (!this.#isReady(partition, chunk)) return false;
      load(partition, chunk);
    }
  }

  /** I1. True when every schema id of the chunk is ready; otherwise preparing has begun. */
  #isReady(partition: InputPartition, chunk: FetchedRecords): boolean {
    const { key, value } = partition.entry.source as {
      readonly key: Serde<unknown>;
      readonly value: Serde<unknown>;
    };
    if (key.schemas === undefined && value.schemas === undefined) return true;
    const keyIds = new Set<number>();
    const valueIds = new Set<number>();
    const cursor = new RecordCursor();
    cursor.load(chunk);
    while (cursor.next()) {
      collect(key, cursor.buffer, cursor.keyStart, cursor.keyEnd, keyIds);
      collect(value, cursor.buffer, cursor.valueStart, cursor.valueEnd, valueIds);
    }
    if (keyIds.size === 0 && valueIds.size === 0) return true;
    partition.preparing = chunk;
    void this.#prepare(partition, chunk, () =>
      Promise.all([prepareIds(key, [...keyIds]), prepareIds(value, [...valueIds])]),
    );
    return false;
  }

  /** A registry that is away may come back: the input waits for it, as it does for its broker. */
  async #prepare(
    partition: InputPartition,
    chunk: FetchedRecords,
    prepare: () => Promise<unknown>,
  ): Promise<void> {
    const { ports, log, prepareFailed, wake } = this.#options;
    for (let pause = PREPARE_PAUSE_FIRST_MS; ; pause = Math.min(2 * pause, PREPARE_PAUSE_MOST_MS)) {
      try {
        await prepare();
        break;
      } catch (cause) {
        if (this.#isClosed) return;
        if (!(cause instanceof EscapementError) || cause.decision !== 'retry') {
          prepareFailed(located(asEscapementError(cause), partition.entry.feed));
          return;
        }
        const { topic } = partition.entry.feed;
        log.warn({ topic, code: cause.code, reason: cause.message }, 'schemas asked for again');
      }
      await ports.timers.sleep(pause);
      if (this.#isClosed) return;
    }
    partition.preparing = null;
    load(partition, chunk);
    wake();
  }

  /** What is being prepared is of no interest any more. */
  close(): void {
    this.#isClosed = true;
  }
}

function load(partition: InputPartition, chunk: FetchedRecords): void {
  partition.cursor.load(chunk);
  partition.entry.lookAhead?.load(chunk);
  partition.chunkEnd = chunk.nextOffset;
}

function collect(
  serde: Serde<unknown>,
  buffer: Buffer,
  start: number,
  end: number,
  missing: Set<number>,
): void {
  if (serde.schemas === undefined || start < 0) return;
  const id = serde.schemas.idOf(buffer, start, end);
  if (id >= 0 && !serde.schemas.isReady(id)) missing.add(id);
}

/**
 * Makes ids ready. What is wrong with one id is left to `decode`, which refuses it record by record:
 * the source's policy decides about the records that name it, and the others go on.
 */
async function prepareIds(serde: Serde<unknown>, ids: readonly number[]): Promise<void> {
  try {
    await serde.schemas?.prepare(ids);
  } catch (cause) {
    if (!(cause instanceof EscapementError) || cause.decision !== 'record') throw cause;
    if (ids.length > 1) for (const id of ids) await prepareIds(serde, [id]);
  }
}

/** The error with the input that met it. */
function located(error: EscapementError, { topic, partition }: PartitionFeed): EscapementError {
  return new EscapementError(error.code, `${topic}-${partition}: ${error.message}`, {
    cause: error,
    decision: error.decision,
    at: { topic, partition, ...error.at },
  });
}

/** True when the broker is known to hold records that were not fetched, or nothing is known yet. */
function isBehind({ entry: { feed }, preparing }: InputPartition): boolean {
  return preparing !== null || feed.lastStableOffset < 0 || feed.position < feed.lastStableOffset;
}
