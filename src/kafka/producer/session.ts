/**
 * The transactional session: one task's transactional id and everything sent under it.
 *
 * Owned by a task. The task calls `init` when it becomes or must prove to be the owner, `commit`
 * once per step, and `abort` after a definite failure.
 *
 *   v1:  AddPartitionsToTxn ─► Produce to all leaders ──────────┬─► EndTxn
 *                          └─► AddOffsetsToTxn ─► TxnOffsetCommit┘
 *
 *   v2:  Produce to all leaders ─┬─► EndTxn ─► the next epoch
 *        TxnOffsetCommit ────────┘     (how these two follow each other: `step-order.ts`)
 *
 * I1. A step is committed if and only if `commit` resolved, or it rejected with `indefinite` or
 *     `fenced` and its step id is found in the committed offsets after `init`.
 * I2. After an indefinite answer not one request is sent until `init`: on v1 a late EndTxn could
 *     end the next transaction of the same epoch (KIP-890).
 * I3. EndTxn(commit) is sent only when every code of every answer before it was checked.
 * I4. Each transaction starts empty: no partition is known to it before AddPartitionsToTxn, or on v2
 *     before the first Produce to it was acknowledged.
 * I5. A commit is asked for only by a process that the group has proven to be a member of late: what
 *     was sent before a stall longer than the session is not ended after it.
 * I6. No broker transaction is opened while a JoinGroup is under way: what it has written would hold
 *     back all readers until the group has settled.
 * I7. The version is decided by `init` and kept until the next one, never changed within a
 *     transaction.
 * I8. On v2 nothing is sealed before the answer of the EndTxn before it: that brings the epoch.
 */
import { asEscapementError, type EscapementError } from '../../errors.ts';
import type { Ports } from '../../ports.ts';
import type { Log } from '../../telemetry/log.ts';
import { Metrics } from '../../telemetry/metrics.ts';
import { brokerError, KafkaErrorCode } from '../protocol/error-codes.ts';
import type { Lane } from '../transport/transport.ts';
import type { SessionCluster } from './coordinator-asking.ts';
import { CoordinatorRequests, type ProducerIdentity } from './coordinator-requests.ts';
import { allOf, Exchange, Late } from './exchange.ts';
import { PartitionWrites } from './partition-writes.ts';
import type { ProducerSession } from './producer-session.ts';
import { definitive, type SessionState, stateAfter, successor } from './session-state.ts';
import type { Membership, SessionStep, StepOffsets } from './step.ts';
import { type StepOrder, StepOrders } from './step-order.ts';
import { QUICK, RANGES, type TransactionVersion } from './transaction-version.ts';

export interface TransactionalSessionOptions {
  readonly cluster: SessionCluster;
  readonly transactionalId: string;
  /** The coordinator aborts a transaction that is open longer. Also the deadline of each request. */
  readonly transactionTimeoutMs: number;
  /** Default `transaction`. Sessions on different lanes do not wait for each other's requests. */
  readonly lane?: Lane;
  readonly ports: Ports;
  readonly log: Log;
  readonly metrics?: Metrics;
  /** On v2, for measurements. Default: chosen by where the requests go (docs/decisions/0011). */
  readonly stepOrder?: StepOrder;
  /** Default 2. With 1 transactions v1 are spoken whatever the cluster offers. */
  readonly transactionVersionMax?: TransactionVersion;
}

/** Answers of the markers of the previous transaction: short, for each step may meet one. */
const STEP_CONCURRENT_PAUSE_MS = [2, 20] as const;
/** While the previous owner's transaction is being aborted. */
const INIT_CONCURRENT_PAUSE_MS = [20, 100] as const;

export class TransactionalSession implements ProducerSession {
  readonly transactionalId: string;
  readonly #options: TransactionalSessionOptions;
  readonly #metrics: Metrics;
  readonly #orders: StepOrders;
  readonly #coordinators: CoordinatorRequests;
  readonly #writes: PartitionWrites;
  #identity: ProducerIdentity = { producerId: -1, producerEpoch: -1 };
  #state: SessionState = 'new';
  /** On v1 whether the coordinator has added anything to the transaction, on v2 whether it may have. */
  #content: 'empty' | 'added' = 'empty';
  #announced: TransactionVersion | null = null;
  #failure: EscapementError | null = null;

  constructor(options: TransactionalSessionOptions) {
    const { cluster, transactionalId, transactionTimeoutMs, lane = 'transaction' } = options;
    this.#metrics = options.metrics ?? new Metrics();
    this.#orders = new StepOrders(options.stepOrder ?? null);
    this.transactionalId = transactionalId;
    this.#options = options;
    this.#coordinators = new CoordinatorRequests({
      cluster,
      transactionalId,
      timeoutMs: transactionTimeoutMs,
      lane,
      versionMax: options.transactionVersionMax ?? 2,
    });
    this.#writes = new PartitionWrites({
      cluster,
      transactionalId,
      timeoutMs: transactionTimeoutMs,
      lane,
      metrics: this.#metrics,
    });
  }

  /** Of the transactions since the last `init`; 1 before the first. */
  get transactionVersion(): TransactionVersion {
    return this.#coordinators.version;
  }

  get state(): SessionState {
    return this.#state;
  }

  /**
   * Becomes the owner of the transactional id: every older epoch is fenced, and the transaction that
   * was open is aborted or finished, its markers on their way. Rejects with `indefinite` when that
   * did not succeed within the transaction timeout; it may be called again from any state of rest.
   */
  async init(): Promise<void> {
    this.#state = successor(this.#state, 'initializing');
    const exchange = this.#exchange(this.#options.transactionTimeoutMs, INIT_CONCURRENT_PAUSE_MS);
    let identity: ProducerIdentity;
    try {
      identity = await this.#coordinators.init(exchange);
    } catch (cause) {
      throw this.#failed(asEscapementError(cause), 'refused');
    }
    this.#begin(identity);
    this.#failure = null;
    this.#metrics.get('producer.initialized').add();
    this.#announce();
    this.#state = successor(this.#state, 'ready');
  }

  /**
   * Commits one step. Rejects with an error whose `decision` is one of `indefinite`, `fenced`,
   * `abort`, `record`, `lost`, `stop`.
   */
  async commit(step: SessionStep): Promise<void> {
    const { clock } = this.#options.ports;
    const began = clock.monotonic();
    let ended: 'ended' | 'nothing';
    this.#state = successor(this.#state, 'committing');
    try {
      // I6.
      if (step.offsets.partitions.length > 0) await step.offsets.membership();
      const exchange = this.#exchange(
        this.#options.transactionTimeoutMs / 2,
        STEP_CONCURRENT_PAUSE_MS,
      );
      if (this.transactionVersion === 1) await this.#writeV1(exchange, step);
      else await this.#writeV2(exchange, step);
      await exchange.within(step.offsets.proof(), 'EndTxn');
      ended = await this.#end(exchange, 'commit');
    } catch (cause) {
      const error = this.#failed(asEscapementError(cause), 'abortable');
      this.#metrics.get('transactions.failed').of(error.decision).add();
      throw error;
    }
    this.#state = successor(this.#state, 'ready');
    if (ended === 'nothing') return;
    this.#metrics.get('transactions.committed').add();
    this.#metrics.get('transactions.commitMs').add(clock.monotonic() - began);
  }

  /**
   * Ends the transaction of a step that failed definitely. Sends nothing when the transaction is
   * empty; rejects without sending when only `init` may follow.
   */
  async abort(): Promise<void> {
    if (this.#state === 'ready') return;
    if (this.#state !== 'abortable' && this.#failure !== null) throw this.#failure;
    this.#state = successor(this.#state, 'aborting');
    const exchange = this.#exchange(
      this.#options.transactionTimeoutMs / 2,
      STEP_CONCURRENT_PAUSE_MS,
    );
    try {
      const ended = await this.#end(exchange, 'abort');
      if (ended === 'ended') this.#metrics.get('transactions.aborted').add();
    } catch (cause) {
      throw this.#failed(asEscapementError(cause), 'abortable');
    }
    this.#state = successor(this.#state, 'ready');
  }

  async #writeV1(exchange: Exchange, { outputs, offsets }: SessionStep): Promise<void> {
    const branches: Promise<void>[] = [];
    if (outputs.length > 0) {
      await this.#coordinators.addPartitions(exchange, this.#identity, outputs);
      this.#content = 'added';
      branches.push(this.#writes.write(exchange, outputs));
    }
    if (offsets.partitions.length > 0) branches.push(this.#addAndCommitOffsets(exchange, offsets));
    await allOf(exchange, branches);
  }

  async #addAndCommitOffsets(exchange: Exchange, offsets: StepOffsets): Promise<void> {
    await this.#coordinators.addOffsets(exchange, this.#identity, offsets.groupId);
    this.#content = 'added';
    await this.#commitOffsets(exchange, offsets);
  }

  async #writeV2(exchange: Exchange, { outputs, offsets }: SessionStep): Promise<void> {
    const hasOffsets = offsets.partitions.length > 0;
    if (outputs.length === 0 && !hasOffsets) return;
    // Even a refused request may have added its partitions.
    this.#content = 'added';
    const commit = () => (hasOffsets ? this.#commitOffsets(exchange, offsets) : Promise.resolve());
    if (outputs.length === 0) return commit();
    const order = this.#orders.next({
      leaders: this.#writes.leaders(outputs),
      groupNode: hasOffsets ? this.#coordinators.groupNode(offsets.groupId) : null,
    });
    const { clock } = this.#options.ports;
    const began = clock.monotonic();
    const isAnnounced = order === 'announced';
    if (isAnnounced) await this.#coordinators.addPartitions(exchange, this.#identity, outputs);
    const range = RANGES[isAnnounced ? 1 : 2].produce;
    const write = () => this.#writes.write(exchange, outputs, range);
    if (order === 'offsets-first') await commit();
    if (order === 'beside' || isAnnounced) await allOf(exchange, [write(), commit()]);
    else await write();
    if (order === 'after') await commit();
    this.#orders.went(order, clock.monotonic() - began, exchange.repeats);
  }

  async #commitOffsets(exchange: Exchange, offsets: StepOffsets): Promise<void> {
    const membership = await this.#membership(exchange, offsets);
    await this.#coordinators.commitOffsets(exchange, this.#identity, offsets, membership);
  }

  /** A JoinGroup that began after the transaction may outlast it: then the records run again. */
  async #membership(exchange: Exchange, offsets: StepOffsets): Promise<Membership> {
    try {
      return await exchange.within(offsets.membership(), 'TxnOffsetCommit');
    } catch (cause) {
      if (!(cause instanceof Late)) throw cause;
      throw brokerError(
        KafkaErrorCode.REBALANCE_IN_PROGRESS,
        `TxnOffsetCommit of group '${offsets.groupId}'`,
      );
    }
  }

  /**
   * Without content nothing is sent: on v1 EndTxn is refused then, and so is a commit on v2, where
   * an abort would be taken but spend an epoch on nothing.
   */
  async #end(exchange: Exchange, result: 'commit' | 'abort'): Promise<'ended' | 'nothing'> {
    if (this.#content === 'empty') return 'nothing';
    const before = this.#identity;
    const next = await this.#coordinators.end(exchange, before, result);
    this.#content = 'empty';
    if (next === before) return 'ended';
    this.#begin(next);
    if (next.producerId !== before.producerId) this.#metrics.get('producer.rotated').add();
    return 'ended';
  }

  /** I8. A new epoch begins, with sequences of its own. */
  #begin(identity: ProducerIdentity): void {
    this.#identity = identity;
    this.#content = 'empty';
    this.#writes.restart(identity, RANGES[this.transactionVersion].produce);
  }

  /** Told when it is known first, and when it has changed. */
  #announce(): void {
    const { transactionVersion, transactionalId } = this;
    this.#metrics.get('transaction.version').value = transactionVersion;
    if (this.#announced === transactionVersion) return;
    this.#announced = transactionVersion;
    this.#options.log.info({ transactionalId, transactionVersion }, 'transaction version');
  }

  #exchange(boundMs: number, quickPauseMs: readonly [number, number]): Exchange {
    const { ports, log } = this.#options;
    const quick = QUICK[this.transactionVersion];
    const repeated = this.#metrics.get('requests.repeated');
    return new Exchange({ ports, log, boundMs, quick, quickPauseMs, repeated });
  }

  #failed(given: EscapementError, definite: 'abortable' | 'refused'): EscapementError {
    const error = definitive(given);
    this.#failure = error;
    this.#state = successor(this.#state, stateAfter(error, definite));
    const { transactionalId, state } = this;
    const fields = { transactionalId, state, code: error.code, reason: error.message };
    this.#options.log.debug(fields, 'session failed');
    return error;
  }
}
