/**
 * Which transaction each batch and each offset belongs to, and who ended it: seen on the wire, from
 * requests that the broker has carried out.
 *
 * On transactions v1 many transactions share an epoch, so the log alone does not tell them apart.
 * Here a transaction is what a producer id did between two ends (EndTxn or InitProducerId).
 *
 * What no run may show on the wire is noted at once:
 *
 * I1. Only the process that was last given a transactional id writes in its transactions and ends them.
 * I2. In one generation of the group one member alone commits steps of a transactional id, and
 *     generations do not go back. A generation counts for a process from its SyncGroup on: one in
 *     which the leader's has not come is not stored, and the next coordinator gives its number anew.
 * I3. Each time that a process takes a transactional id it has heard from the group before that it is
 *     a member.
 * I4. The offsets that it commits from were read when it had taken the id, never before: a last step
 *     of the owner before would be missing.
 * I5. Committed offsets do not go back; those of a partition are committed under one transactional
 *     id, and every step of an id names all its inputs.
 */
import type { CommittedRecord } from './committed-log.ts';
import { type CommittedStep, placeOf, type Violation } from './evidence.ts';
import type { PlainOffset } from './plain-requests.ts';
import * as plain from './plain-requests.ts';
import { rawBatches } from './raw-batches.ts';

/** A request that the broker has carried out. */
export interface Exchange {
  readonly process: string;
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly request: Buffer;
  readonly answer: Buffer;
  readonly sentAtMs: number;
  /** When it was carried out. */
  readonly atMs: number;
}

interface Pending {
  readonly process: string;
  readonly generation: number;
  /** Of a static member; one process after the other has it. */
  readonly instanceId: string | null;
  readonly offset: PlainOffset;
}

interface Batch {
  readonly transaction: string;
  readonly process: string;
}

export class TransactionTrace {
  /** Ends of a producer id so far. */
  readonly #ends = new Map<number, number>();
  /** Process that was last given a transactional id, by that id. */
  readonly #owners = new Map<string, string>();
  readonly #batches = new Map<string, Batch>();
  /** Offsets of transactions that have not ended. */
  readonly #pending = new Map<string, Pending[]>();
  readonly #steps: CommittedStep[] = [];
  readonly #positions = new Map<string, number>();
  /** The transactional id under which the offsets of a place are committed. */
  readonly #ids = new Map<string, string>();
  /** Partitions of the first step of a transactional id. */
  readonly #inputs = new Map<string, readonly string[]>();
  /** By transactional id: the highest generation, and the member that committed in it. */
  readonly #generations = new Map<string, { generation: number; member: string }>();
  /** Generation in which a process was last told its tasks. */
  readonly #synced = new Map<string, number>();
  /** When heartbeats were answered well, by process. */
  readonly #beats = new Map<string, number[]>();
  /** When the requests were sent by which a process took a transactional id. */
  readonly #fenced = new Map<string, number[]>();
  /** When a process had taken a transactional id; when it asked last for the offset of a place. */
  readonly #ownerSince = new Map<string, number>();
  readonly #readAt = new Map<string, number>();
  /** A request may be delivered twice. */
  readonly #fences = new WeakSet<Buffer>();
  /** What must never be seen. */
  readonly violations: Violation[] = [];

  /** The broker has carried out a request and answered it. */
  observe(exchange: Exchange): void {
    switch (plain.plainApiOf(exchange.apiKey, exchange.apiVersion)) {
      case 'produce':
        this.#produced(exchange);
        return;
      case 'txnOffsetCommit':
        this.#offsets(exchange);
        return;
      case 'endTxn':
        this.#ended(exchange);
        return;
      case 'initProducerId':
        this.#initialized(exchange);
        return;
      case 'offsetFetch':
        this.#read(exchange);
        return;
      case 'syncGroup':
        this.#told(exchange);
        return;
      case 'heartbeat':
        this.#beaten(exchange);
        return;
      default:
    }
  }

  /** Committed transactions that moved offsets, in the order in which they were ended. */
  get steps(): readonly CommittedStep[] {
    return this.#steps;
  }

  /** The transaction that wrote a record; null for a record of an outsider. */
  transactionOf(record: CommittedRecord): string | null {
    return this.#batchOf(record)?.transaction ?? null;
  }

  /** The process whose Produce brought it first. */
  writerOf(record: CommittedRecord): string | null {
    return this.#batchOf(record)?.process ?? null;
  }

  #batchOf(record: CommittedRecord): Batch | undefined {
    const { producerId, producerEpoch, baseSequence } = record;
    return this.#batches.get(`${placeOf(record)} ${producerId}/${producerEpoch}/${baseSequence}`);
  }

  #broken(check: Violation['check'], what: string): void {
    this.violations.push({ check, what });
  }

  #current(producerId: number): string {
    return `${producerId}#${this.#ends.get(producerId) ?? 0}`;
  }

  #produced({ request, process }: Exchange): void {
    for (const { place, records } of plain.readProduce(request)) {
      for (const { producerId, producerEpoch, baseSequence } of rawBatches(records)) {
        const batch = `${place} ${producerId}/${producerEpoch}/${baseSequence}`;
        // A batch that was repeated belongs to the transaction in which it came first.
        if (this.#batches.has(batch)) continue;
        const transaction = this.#current(producerId);
        this.#batches.set(batch, { transaction, process });
      }
    }
  }

  #offsets({ request, answer, process }: Exchange): void {
    const { transactionalId, producerId, generation, instanceId, offsets } =
      plain.readTxnOffsetCommit(request);
    const since = this.#ownerSince.get(`${process} ${transactionalId}`) ?? 0;
    const codes = plain.readTxnOffsetCommitAnswer(answer);
    const transaction = this.#current(producerId);
    const pending = this.#pending.get(transaction) ?? [];
    for (const [at, offset] of offsets.entries()) {
      if (codes[at] !== 0) continue;
      pending.push({ process, generation, instanceId, offset });
      const place = placeOf(offset);
      if ((this.#readAt.get(`${process} ${place}`) ?? -1) >= since) continue;
      this.#broken('owner', `${process} read ${place} before it had taken ${transactionalId}`);
    }
    this.#pending.set(transaction, pending);
  }

  #ended(exchange: Exchange): void {
    const { request, answer, process, atMs } = exchange;
    const { transactionalId, producerId, result } = plain.readEndTxn(request);
    if (plain.readErrorCode(answer) !== 0) return;
    const owner = this.#owners.get(transactionalId);
    if (owner !== process) {
      this.#broken(
        'owner',
        `${process} ended a transaction of ${transactionalId}, whose owner is ${owner}`,
      );
    }
    const pending = this.#end(producerId);
    if (result === 'commit' && pending.offsets.length > 0) {
      this.#committed({ ...pending, transactionalId, process, endedAtMs: atMs });
    }
  }

  #committed(ended: {
    readonly transaction: string;
    readonly offsets: readonly Pending[];
    readonly transactionalId: string;
    readonly process: string;
    readonly endedAtMs: number;
  }): void {
    const { transaction, transactionalId, endedAtMs, process } = ended;
    for (const { generation, instanceId, process: by } of ended.offsets) {
      if (by !== process) {
        this.#broken('owner', `${by} wrote offsets in a transaction that ${process} ended`);
      }
      const told = Math.min(generation, this.#synced.get(by) ?? generation);
      this.#checkGeneration(transactionalId, told, instanceId ?? by);
    }
    const places = [...new Set(ended.offsets.map(({ offset }) => placeOf(offset)))].sort();
    const expected = this.#inputs.get(transactionalId) ?? places;
    this.#inputs.set(transactionalId, expected);
    if (places.join() !== expected.join()) {
      this.#broken('offsets', `${transactionalId} committed ${places}, before that ${expected}`);
    }
    for (const { offset } of ended.offsets) {
      const place = placeOf(offset);
      const id = this.#ids.get(place) ?? transactionalId;
      this.#ids.set(place, id);
      if (id !== transactionalId) {
        this.#broken('owner', `${place} was committed as ${transactionalId}, before that as ${id}`);
      }
      const before = this.#positions.get(place) ?? -1;
      if (offset.offset < before) {
        this.#broken('offsets', `${place} went back from ${before} to ${offset.offset}`);
      }
      this.#positions.set(place, offset.offset);
    }
    this.#steps.push({
      transaction,
      transactionalId,
      process,
      endedAtMs,
      offsets: ended.offsets.map(({ offset }) => offset),
      records: [],
    });
  }

  /** I2. */
  #checkGeneration(transactionalId: string, generation: number, member: string): void {
    const last = this.#generations.get(transactionalId);
    if (generation < 0) {
      this.#broken('owner', `${member} committed ${transactionalId} without a generation`);
      return;
    }
    if (last !== undefined && generation < last.generation) {
      this.#broken(
        'owner',
        `${transactionalId} was committed in generation ${generation} after ${last.generation}`,
      );
    }
    if (last?.generation === generation && last.member !== member) {
      this.#broken(
        'owner',
        `${member} and ${last.member} committed ${transactionalId} in generation ${generation}`,
      );
    }
    this.#generations.set(transactionalId, { generation, member });
  }

  #read({ request, apiVersion, process, sentAtMs }: Exchange): void {
    for (const place of plain.readOffsetFetch(request, apiVersion)) {
      const key = `${process} ${place}`;
      this.#readAt.set(key, Math.max(sentAtMs, this.#readAt.get(key) ?? 0));
    }
  }

  #initialized({ request, answer, process, sentAtMs, atMs }: Exchange): void {
    const transactionalId = plain.readInitProducerId(request);
    const { errorCode, producerId } = plain.readInitProducerIdAnswer(answer);
    if (errorCode !== 0 || transactionalId === null) return;
    const fence = `${process} ${transactionalId}`;
    const before = this.#beats.get(process)?.filter((at) => at <= sentAtMs) ?? [];
    const fences = this.#fenced.get(fence) ?? [];
    if (!this.#fences.has(request)) fences.push(sentAtMs);
    this.#fences.add(request);
    this.#fenced.set(fence, fences);
    // One may arrive long after others that were sent later.
    if (before.length < fences.filter((at) => at <= sentAtMs).length) {
      this.#broken('owner', `${process} took ${transactionalId} without asking the group`);
    }
    this.#ownerSince.set(fence, atMs);
    this.#owners.set(transactionalId, process);
    this.#end(producerId);
  }

  #told({ process, request, answer }: Exchange): void {
    if (plain.readErrorCode(answer) !== NONE) return;
    this.#synced.set(process, plain.readSyncGroup(request));
  }

  #beaten({ process, answer, atMs }: Exchange): void {
    const code = plain.readErrorCode(answer);
    if (code === NONE || code === REBALANCE_IN_PROGRESS) {
      const beats = this.#beats.get(process) ?? [];
      beats.push(atMs);
      this.#beats.set(process, beats);
    }
  }

  #end(producerId: number): { transaction: string; offsets: readonly Pending[] } {
    const transaction = this.#current(producerId);
    const offsets = this.#pending.get(transaction) ?? [];
    this.#pending.delete(transaction);
    this.#ends.set(producerId, (this.#ends.get(producerId) ?? 0) + 1);
    return { transaction, offsets };
  }
}

const NONE = 0;
/** Still a member. */
const REBALANCE_IN_PROGRESS = 27;
