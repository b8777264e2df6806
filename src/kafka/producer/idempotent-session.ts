/**
 * The idempotent session: at-least-once with the interface of the transactional one.
 *
 *   Produce to all leaders, acks all ─► OffsetCommit
 *
 * Its records are visible as soon as they are appended, and its offsets follow when every leader has
 * acknowledged. So a step that fails in between is written again by whoever goes on from the offsets:
 * nothing is lost, something may be there twice. There is no fence but the membership: the group's
 * coordinator refuses the offsets of an old generation, yet records of a process that was given up
 * may still arrive.
 *
 * I1. Offsets are sent only when every code of every Produce was checked: never past a lost record.
 * I2. A batch is sent again with the same bytes, sequence and producer id, and only after a definite
 *     answer, so that the leader drops what it has.
 * I3. After an indefinite answer not one request is sent until `init`, which takes a new producer id:
 *     a sequence of unknown fate is never used for other records.
 */
import { asEscapementError, type EscapementError } from '../../errors.ts';
import type { Ports } from '../../ports.ts';
import type { Log } from '../../telemetry/log.ts';
import { Metrics } from '../../telemetry/metrics.ts';
import { initProducerId } from '../protocol/init-producer-id.ts';
import { offsetCommit } from '../protocol/offset-commit.ts';
import type { Lane } from '../transport/transport.ts';
import { CoordinatorAsking, type SessionCluster } from './coordinator-asking.ts';
import { ofCode, offsetsByTopic, offsetsRefusal } from './coordinator-requests.ts';
import { Exchange } from './exchange.ts';
import { PartitionWrites } from './partition-writes.ts';
import type { ProducerSession } from './producer-session.ts';
import { definitive, type SessionState, stateAfter, successor } from './session-state.ts';
import type { SessionStep, StepOffsets } from './step.ts';

export interface IdempotentSessionOptions {
  readonly cluster: SessionCluster;
  /** Deadline of each request; a step may take half of it for repetitions. */
  readonly requestTimeoutMs: number;
  /** Default `transaction`. */
  readonly lane?: Lane;
  readonly ports: Ports;
  readonly log: Log;
  readonly metrics?: Metrics;
}

/** No code is normal here; what passes soon still pauses as a retry does. */
const QUICK: ReadonlySet<number> = new Set();
const QUICK_PAUSE_MS = [2, 20] as const;

export class IdempotentSession implements ProducerSession {
  readonly #options: IdempotentSessionOptions;
  readonly #asking: CoordinatorAsking;
  readonly #writes: PartitionWrites;
  readonly #metrics: Metrics;
  #state: SessionState = 'new';
  #failure: EscapementError | null = null;

  constructor(options: IdempotentSessionOptions) {
    const { cluster, requestTimeoutMs: timeoutMs, lane = 'transaction' } = options;
    this.#options = options;
    this.#metrics = options.metrics ?? new Metrics();
    this.#asking = new CoordinatorAsking({ cluster, timeoutMs, lane });
    const metrics = this.#metrics;
    this.#writes = new PartitionWrites({
      cluster,
      transactionalId: null,
      timeoutMs,
      lane,
      metrics,
    });
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Takes a new producer id. Fences nobody. Rejects with `indefinite` when none could be had. */
  async init(): Promise<void> {
    this.#state = successor(this.#state, 'initializing');
    const exchange = this.#exchange(this.#options.requestTimeoutMs);
    try {
      const { producerId, producerEpoch } = await this.#asking.ask(exchange, {
        kind: 'any',
        key: '',
        api: initProducerId,
        body: {
          transactionalId: null,
          transactionTimeoutMs: this.#options.requestTimeoutMs,
          producerId: -1,
          producerEpoch: -1,
        },
        range: {},
        refusal: ofCode,
      });
      this.#writes.restart({ producerId, producerEpoch }, {});
    } catch (cause) {
      throw this.#failed(asEscapementError(cause), 'refused');
    }
    this.#failure = null;
    this.#state = successor(this.#state, 'ready');
    this.#metrics.get('producer.initialized').add();
  }

  /**
   * Writes one step. When it rejects, the offsets tell what is to be done again: with `indefinite`
   * they may have been committed or not, with every other decision they have not. Its records may
   * be in the log in either case.
   */
  async commit({ outputs, offsets }: SessionStep): Promise<void> {
    this.#state = successor(this.#state, 'committing');
    const exchange = this.#exchange(this.#options.requestTimeoutMs / 2);
    try {
      if (outputs.length > 0) await this.#writes.write(exchange, outputs);
      if (offsets.partitions.length > 0) await this.#commitOffsets(exchange, offsets);
    } catch (cause) {
      throw this.#failed(asEscapementError(cause), 'abortable');
    }
    this.#state = successor(this.#state, 'ready');
  }

  /** Sends nothing: what was written stays. Rejects when only `init` may follow. */
  async abort(): Promise<void> {
    if (this.#state === 'ready') return;
    if (this.#state !== 'abortable' && this.#failure !== null) throw this.#failure;
    this.#state = successor(successor(this.#state, 'aborting'), 'ready');
  }

  async #commitOffsets(exchange: Exchange, offsets: StepOffsets): Promise<void> {
    await exchange.within(offsets.proof(), 'OffsetCommit');
    const membership = await exchange.within(offsets.membership(), 'OffsetCommit');
    await this.#asking.ask(exchange, {
      kind: 'group',
      key: offsets.groupId,
      api: offsetCommit,
      body: {
        groupId: offsets.groupId,
        generationIdOrMemberEpoch: membership.generation,
        memberId: membership.memberId,
        groupInstanceId: membership.instanceId,
        topics: offsetsByTopic(offsets),
      },
      // Below 7 the instance id would be dropped, and with it the fence of a static member.
      range: { versionMin: membership.instanceId === null ? 2 : 7 },
      refusal: (answer) => offsetsRefusal(answer, offsets.partitions.length),
    });
  }

  #exchange(boundMs: number): Exchange {
    const { ports, log } = this.#options;
    const repeated = this.#metrics.get('requests.repeated');
    return new Exchange({
      ports,
      log,
      boundMs,
      quick: QUICK,
      quickPauseMs: QUICK_PAUSE_MS,
      repeated,
    });
  }

  #failed(given: EscapementError, definite: 'abortable' | 'refused'): EscapementError {
    const error = definitive(given);
    this.#failure = error;
    this.#state = successor(this.#state, stateAfter(error, definite));
    const fields = { state: this.#state, code: error.code, reason: error.message };
    this.#options.log.debug(fields, 'session failed');
    return error;
  }
}
