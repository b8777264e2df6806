/**
 * The transactional session: one task's transactional id and everything sent under it.
 *
 * Owned by a task. The task calls `init` when it becomes or must prove to be the owner, `commit`
 * once per step, and `abort` after a definite failure. Transactions v1:
 *
 *   AddPartitionsToTxn ─► Produce to all leaders ──────────┬─► EndTxn
 *                     └─► AddOffsetsToTxn ─► TxnOffsetCommit┘
 *
 * I1. A step is committed if and only if `commit` resolved, or it rejected with `indefinite` or
 *     `fenced` and its step id is found in the committed offsets after `init`.
 * I2. After an indefinite answer not one request is sent until `init`: on v1 a late EndTxn could
 *     end the next transaction of the same epoch (KIP-890).
 * I3. EndTxn(commit) is sent only when every code of every answer before it was checked.
 * I4. Each transaction starts empty: no partition is known to it before AddPartitionsToTxn.
 * I5. A commit is asked for only by a process that the group has proven to be a member of late: what
 *     was sent before a stall longer than the session is not ended after it.
 * I6. No broker transaction is opened while a JoinGroup is under way: what it has written would hold
 *     back all readers until the group has settled.
 */
import { asEscapementError, EscapementError } from '../../errors.ts';
import type { Ports } from '../../ports.ts';
import type { Log } from '../../telemetry/log.ts';
import { brokerError, KafkaErrorCode } from '../protocol/error-codes.ts';
import type { Lane } from '../transport/transport.ts';
import {
  CoordinatorRequests,
  type ProducerIdentity,
  type SessionCluster,
} from './coordinator-requests.ts';
import { allOf, Exchange, Late } from './exchange.ts';
import { PartitionWrites } from './partition-writes.ts';
import { type SessionState, successor } from './session-state.ts';
import type { Membership, SessionStep, StepOffsets } from './step.ts';

export interface TransactionalSessionOptions {
  readonly cluster: SessionCluster;
  readonly transactionalId: string;
  /** The coordinator aborts a transaction that is open longer. Also the deadline of each request. */
  readonly transactionTimeoutMs: number;
  /** Default `transaction`. Sessions on different lanes do not wait for each other's requests. */
  readonly lane?: Lane;
  readonly ports: Ports;
  readonly log: Log;
}

/** Answers of the markers of the previous transaction: short, for each step may meet one. */
const STEP_CONCURRENT_PAUSE_MS = [2, 20] as const;
/** While the previous owner's transaction is being aborted. */
const INIT_CONCURRENT_PAUSE_MS = [20, 100] as const;

export class TransactionalSession {
  readonly transactionalId: string;
  readonly #options: TransactionalSessionOptions;
  readonly #coordinators: CoordinatorRequests;
  readonly #writes: PartitionWrites;
  #identity: ProducerIdentity = { producerId: -1, producerEpoch: -1 };
  #state: SessionState = 'new';
  /** Whether the coordinator has added anything to the transaction. */
  #content: 'empty' | 'added' = 'empty';
  #failure: EscapementError | null = null;

  constructor(options: TransactionalSessionOptions) {
    const { cluster, transactionalId, transactionTimeoutMs, lane = 'transaction' } = options;
    this.transactionalId = transactionalId;
    this.#options = options;
    this.#coordinators = new CoordinatorRequests({
      cluster,
      transactionalId,
      timeoutMs: transactionTimeoutMs,
      lane,
    });
    this.#writes = new PartitionWrites({ cluster, transactionalId, transactionTimeoutMs, lane });
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
    try {
      this.#identity = await this.#coordinators.init(exchange);
    } catch (cause) {
      throw this.#failed(asEscapementError(cause), 'refused');
    }
    this.#writes.restart(this.#identity);
    this.#content = 'empty';
    this.#failure = null;
    this.#state = successor(this.#state, 'ready');
  }

  /**
   * Commits one step. Rejects with an error whose `decision` is one of `indefinite`, `fenced`,
   * `abort`, `record`, `lost`, `stop`.
   */
  async commit(step: SessionStep): Promise<void> {
    const { outputs, offsets } = step;
    this.#state = successor(this.#state, 'committing');
    try {
      // I6.
      if (offsets.partitions.length > 0) await offsets.membership();
      const exchange = this.#exchange(
        this.#options.transactionTimeoutMs / 2,
        STEP_CONCURRENT_PAUSE_MS,
      );
      if (outputs.length > 0) {
        await this.#coordinators.addPartitions(exchange, this.#identity, outputs);
        this.#content = 'added';
      }
      const branches: Promise<void>[] = [];
      if (outputs.length > 0) branches.push(this.#writes.write(exchange, outputs));
      if (offsets.partitions.length > 0) branches.push(this.#commitOffsets(exchange, offsets));
      await allOf(exchange, branches);
      await exchange.within(offsets.proof(), 'EndTxn');
      await this.#end(exchange, 'commit');
    } catch (cause) {
      throw this.#failed(asEscapementError(cause), 'abortable');
    }
    this.#state = successor(this.#state, 'ready');
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
      await this.#end(exchange, 'abort');
    } catch (cause) {
      throw this.#failed(asEscapementError(cause), 'abortable');
    }
    this.#state = successor(this.#state, 'ready');
  }

  async #commitOffsets(exchange: Exchange, offsets: StepOffsets): Promise<void> {
    await this.#coordinators.addOffsets(exchange, this.#identity, offsets.groupId);
    this.#content = 'added';
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

  /** On v1 an EndTxn without content is refused, so none is sent. */
  async #end(exchange: Exchange, result: 'commit' | 'abort'): Promise<void> {
    if (this.#content === 'empty') return;
    await this.#coordinators.end(exchange, this.#identity, result);
    this.#content = 'empty';
  }

  #exchange(boundMs: number, concurrentPauseMs: readonly [number, number]): Exchange {
    const { ports, log } = this.#options;
    return new Exchange({ ports, log, boundMs, concurrentPauseMs });
  }

  #failed(given: EscapementError, definite: 'abortable' | 'refused'): EscapementError {
    const error = given.decision === 'retry' ? outOfPatience(given) : given;
    this.#failure = error;
    this.#state = successor(this.#state, stateAfter(error, definite));
    const { transactionalId, state } = this;
    const fields = { transactionalId, state, code: error.code, reason: error.message };
    this.#options.log.debug(fields, 'session failed');
    return error;
  }
}

/** Repetition ends in the session: above it there is nothing but reading back what happened. */
function outOfPatience(cause: EscapementError): EscapementError {
  const { code, message, at } = cause;
  return new EscapementError(code, message, { cause, at, decision: 'indefinite' });
}

/** An answer that could not be read says as little as one that never came. */
function stateAfter(error: EscapementError, definite: 'abortable' | 'refused'): SessionState {
  if (error.decision === 'fenced') return 'fenced';
  if (error.decision === 'indefinite') return 'unknown';
  const unread = error.code === 'PROTOCOL_MALFORMED' || error.code === 'INVARIANT_VIOLATED';
  return unread ? 'unknown' : definite;
}
