/**
 * Writing the batches of one step to their partition leaders.
 *
 * Used by the sessions alone. Each leader gets one request with the first batch of each of its
 * partitions; the remaining batches follow in further requests. Leaders do not wait for each other.
 *
 * I1. At most one batch of a partition is in flight: a refused one is never overtaken by the next.
 *     On v2 the first request of a partition may well be refused, and a batch that overtook it would
 *     be OUT_OF_ORDER_SEQUENCE_NUMBER.
 * I2. A batch is repeated with the same bytes and the same sequence, and only after a definite
 *     answer; the leader drops what it has already appended (NOT_ENOUGH_REPLICAS_AFTER_APPEND).
 * I3. Every partition asked about must be in the answer.
 */
import { asEscapementError, type EscapementError, invariant } from '../../errors.ts';
import { type Metric, Metrics } from '../../telemetry/metrics.ts';
import type { VersionRange } from '../cluster/versions.ts';
import { KafkaErrorCode } from '../protocol/error-codes.ts';
import { produce } from '../protocol/produce.ts';
import type { Response } from '../protocol/schema.ts';
import { type PendingBatch, sealBatch } from '../records/batch-writer.ts';
import type { Lane } from '../transport/transport.ts';
import type { SessionCluster } from './coordinator-asking.ts';
import type { ProducerIdentity } from './coordinator-requests.ts';
import { allOf, type Exchange } from './exchange.ts';
import { gravest, incomplete, type Refusal, refusalError, repeatable } from './refusal.ts';
import { type PartitionSequence, Sequences, sequenceAfter } from './sequences.ts';
import type { StepOutput } from './step.ts';

/** What is left to write to one partition. */
interface Write {
  readonly place: PartitionSequence;
  readonly batches: readonly PendingBatch[];
  /** Index of the batch to write next. */
  at: number;
  /** That batch as it goes to the leader, once and again. */
  sealed: Buffer | null;
}

/** What all requests of one `write` share. */
interface Request {
  readonly exchange: Exchange;
  readonly range: VersionRange;
}

/** What the requests to one leader left to be written again, and the last reason for it. */
interface Leftover {
  readonly writes: Write[];
  reason: EscapementError | null;
}

export interface PartitionWritesOptions {
  readonly cluster: SessionCluster;
  /** `null`: idempotent only, so that what is written is visible at once. */
  readonly transactionalId: string | null;
  /** Deadline of each request. */
  readonly timeoutMs: number;
  readonly lane: Lane;
  readonly sequences?: Sequences;
  readonly metrics?: Metrics;
}

const ACKS_ALL = -1;
/** Codes to repeat on that do not mean that the leader is another one now. */
const STAYS: ReadonlySet<number> = new Set([
  KafkaErrorCode.CORRUPT_MESSAGE,
  KafkaErrorCode.NOT_ENOUGH_REPLICAS,
  KafkaErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
  KafkaErrorCode.CONCURRENT_TRANSACTIONS,
  KafkaErrorCode.THROTTLING_QUOTA_EXCEEDED,
]);

export class PartitionWrites {
  readonly #options: PartitionWritesOptions;
  readonly #sequences: Sequences;
  readonly #recordsWritten: Metric;
  readonly #bytesWritten: Metric;
  #identity: ProducerIdentity = { producerId: -1, producerEpoch: -1 };
  #range: VersionRange = {};

  constructor(options: PartitionWritesOptions) {
    this.#options = options;
    this.#sequences = options.sequences ?? new Sequences();
    const metrics = options.metrics ?? new Metrics();
    this.#recordsWritten = metrics.get('records.written');
    this.#bytesWritten = metrics.get('bytes.written');
  }

  /** The session has a new epoch; its requests are of these versions. */
  restart(identity: ProducerIdentity, range: VersionRange): void {
    this.#identity = identity;
    this.#range = range;
    this.#sequences.restart();
  }

  /** Resolves when every leader has acknowledged every batch; rejects once all have answered. */
  async write(
    exchange: Exchange,
    outputs: readonly StepOutput[],
    range = this.#range,
  ): Promise<void> {
    const writes = outputs.map((output) => this.#writeOf(output));
    await this.#writeAll({ exchange, range }, writes, 1);
  }

  /** The nodes that these outputs go to, as far as is known; an unknown one counts as a node. */
  leaders(outputs: readonly StepOutput[]): ReadonlySet<number> {
    return new Set(
      outputs.map(({ topic, partition }) => this.#sequences.of(topic, partition).leader),
    );
  }

  #writeOf({ topic, partition, batches }: StepOutput): Write {
    invariant(batches.length > 0, 'an output has no batch', { topic, partition });
    return { place: this.#sequences.of(topic, partition), batches, at: 0, sealed: null };
  }

  async #writeAll(request: Request, writes: Write[], attempt: number): Promise<void> {
    const { exchange } = request;
    let leaders: Map<number, Write[]>;
    try {
      leaders = await this.#byLeader(exchange, writes);
    } catch (cause) {
      const reason = asEscapementError(cause);
      if (reason.decision !== 'retry') throw reason;
      await this.#writeAgain(request, { writes, reason }, attempt);
      return;
    }
    exchange.assertOpen();
    await allOf(
      exchange,
      [...leaders].map(async ([node, led]) => {
        const left: Leftover = { writes: [], reason: null };
        await this.#writeTo(request, node, led, left);
        await this.#writeAgain(request, left, attempt);
      }),
    );
  }

  /** Their leaders may be others now. */
  async #writeAgain(request: Request, left: Leftover, attempt: number): Promise<void> {
    if (left.reason === null) return;
    await request.exchange.pause('Produce', 'Produce', left.reason, attempt);
    await this.#writeAll(request, left.writes, attempt + 1);
  }

  async #byLeader(exchange: Exchange, writes: readonly Write[]): Promise<Map<number, Write[]>> {
    const leaders = new Map<number, Write[]>();
    for (const write of writes) {
      const { place } = write;
      if (place.leader < 0) {
        const { topic, partition } = place;
        const lookup = this.#options.cluster.leaderOf(topic, partition).catch((cause: unknown) => {
          throw repeatable(cause);
        });
        const what = `Produce to ${topic}-${partition}`;
        place.leader = await exchange.within(lookup, what, { topic, partition });
      }
      const led = leaders.get(place.leader);
      if (led === undefined) leaders.set(place.leader, [write]);
      else led.push(write);
    }
    return leaders;
  }

  /** Batch after batch of all partitions of one leader, until none is left or refused. */
  async #writeTo(request: Request, node: number, writes: Write[], left: Leftover): Promise<void> {
    let active = writes;
    while (active.length > 0) {
      request.exchange.assertOpen();
      let answer: Response<typeof produce>;
      try {
        answer = await this.#send(node, active, request.range);
      } catch (cause) {
        const reason = asEscapementError(cause);
        for (const { place } of active) this.#forgetLeader(place);
        if (reason.decision !== 'retry') throw reason;
        left.writes.push(...active);
        left.reason = reason;
        return;
      }
      active = this.#settle(answer, active, left);
    }
  }

  #send(
    node: number,
    writes: readonly Write[],
    range: VersionRange,
  ): Promise<Response<typeof produce>> {
    const { cluster, transactionalId, timeoutMs, lane } = this.#options;
    const topicData: { name: string; partitionData: { index: number; records: Buffer }[] }[] = [];
    for (const write of writes) {
      const { topic, partition, next } = write.place;
      write.sealed ??= sealBatch(write.batches[write.at]!, {
        ...this.#identity,
        baseSequence: next,
        transactional: transactionalId === null ? 'idempotent' : 'transactional',
      });
      const row = { index: partition, records: write.sealed };
      const known = topicData.find(({ name }) => name === topic);
      if (known === undefined) topicData.push({ name: topic, partitionData: [row] });
      else known.partitionData.push(row);
    }
    return cluster.send(
      node,
      produce,
      {
        transactionalId,
        acks: ACKS_ALL,
        // The leader answers before the connection is given up.
        timeoutMs: Math.ceil(timeoutMs / 2),
        topicData,
      },
      { lane, timeoutMs, ...range },
    );
  }

  /** Reads the code of every partition. Returns the writes that have another batch to send. */
  #settle(answer: Response<typeof produce>, asked: readonly Write[], left: Leftover): Write[] {
    const further: Write[] = [];
    const failures: EscapementError[] = [];
    let answered = 0;
    for (const { name: topic, partitionResponses } of answer.responses) {
      for (const { index: partition, errorCode: code } of partitionResponses) {
        const write = asked.find(
          ({ place }) => place.partition === partition && place.topic === topic,
        );
        if (write === undefined) continue;
        answered += 1;
        if (code === KafkaErrorCode.NONE) {
          if (this.#advance(write) === 'further') further.push(write);
          continue;
        }
        const error = this.#refused({ code, at: { topic, partition } });
        if (error.decision === 'retry') {
          if (!STAYS.has(code)) this.#forgetLeader(write.place);
          left.writes.push(write);
          left.reason = error;
        } else failures.push(error);
      }
    }
    const missing = incomplete(answered, asked.length);
    if (missing !== null) failures.push(this.#refused(missing));
    const failure = gravest(failures);
    if (failure !== null) throw failure;
    return further;
  }

  #advance(write: Write): 'further' | 'done' {
    const { place, batches } = write;
    const { records, bytes } = batches[write.at]!;
    place.next = sequenceAfter(place.next, records);
    this.#recordsWritten.value += records;
    this.#bytesWritten.value += bytes;
    write.at += 1;
    write.sealed = null;
    return write.at < batches.length ? 'further' : 'done';
  }

  #refused(refusal: Refusal): EscapementError {
    const { transactionalId } = this.#options;
    const what =
      transactionalId === null ? 'Produce' : `Produce of transaction '${transactionalId}'`;
    return refusalError(what, refusal);
  }

  #forgetLeader(place: PartitionSequence): void {
    place.leader = -1;
    this.#options.cluster.forgetLeader(place.topic, place.partition);
  }
}
