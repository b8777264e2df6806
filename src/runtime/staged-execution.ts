/**
 * Many records under way at once: the execution of a sub-topology with asynchronous operators.
 *
 * I1. Stage k of a slot begins when its stage k-1 work is done and the previous slot has begun its
 *     own stage k: every operator sees records in dispatch order, whatever finished first.
 * I2. A store belongs to one stage, so its writes come in slot order.
 * I3. Effects leave a slot only at its release, and slots are released in dispatch order.
 * I4. A failure rolls back the failed slot and every later one (they may have read its writes), and
 *     those records are dispatched again; the failed one then follows its source's policy.
 */
import { asEscapementError, EscapementError, invariant } from '../errors.ts';
import type { Ports } from '../ports.ts';
import type { Staged } from '../state/staged.ts';
import type { AnyRec } from '../topology/node.ts';
import type { AsyncNode } from '../topology/stages.ts';
import { AsyncGate, type GateJob } from './async-gate.ts';
import { startCall, startSegment } from './async-work.ts';
import type { Execution, ExecutionParts } from './execution.ts';
import type { DeferTarget } from './graph.ts';
import { type Input, keptInput } from './input.ts';
import { recordError, type Verdict } from './record-policy.ts';
import { checkTime, isDroppedNull } from './serial-execution.ts';
import { Slot, SlotEffects } from './slot.ts';

interface Failed {
  readonly error: EscapementError;
  readonly verdict: Verdict;
  readonly attempt: number;
}

/** A segment that must run though nothing of a record reached it, with where its results go. */
export interface Speaker {
  readonly target: DeferTarget;
  /** Ids of the sources above it: a record of another one is not its business. */
  readonly sources: ReadonlySet<string>;
}

export interface StagedOptions {
  readonly parts: ExecutionParts;
  readonly ports: Ports;
  /** Most slots under way. */
  readonly windowMax: number;
  /** Stores by the stage that accesses them. */
  readonly storesByStage: readonly (readonly Staged[])[];
  readonly speakers: readonly Speaker[];
  /** Called when a slot was released, or the execution failed, outside of `run`. */
  readonly wake: () => void;
}

export class StagedExecution implements Execution {
  readonly #options: StagedOptions;
  readonly #parts: ExecutionParts;
  #window: Slot[] = [];
  readonly #redo: Input[] = [];
  readonly #failed = new Map<string, Failed>();
  readonly #gates = new Map<string, AsyncGate>();
  #dispatched = 0;
  #released = 0;
  #latestDispatched: number;
  #running: Slot | null = null;
  #advancing = false;
  #failure: EscapementError | null = null;

  constructor(options: StagedOptions) {
    this.#options = options;
    this.#parts = options.parts;
    this.#latestDispatched = options.parts.time.latest;
  }

  get hasRoom(): boolean {
    return this.#window.length < this.#options.windowMax;
  }

  get unreleased(): number {
    return this.#window.length + this.#redo.length;
  }

  get releasedSlot(): number {
    return this.#released;
  }

  get failure(): EscapementError | null {
    return this.#failure;
  }

  takeRedo(): Input | null {
    return this.#redo.shift() ?? null;
  }

  run(input: Input): void {
    const before = this.#latestDispatched;
    const failed = this.#failed.get(inputKey(input));
    const counts = failed === undefined || failed.verdict === 'retry';
    const streamTime = counts ? Math.max(before, input.record.timestamp) : before;
    this.#dispatched += 1;
    const effects = new SlotEffects(this.#parts.scope);
    const slot = new Slot(this.#dispatched, keptInput(input), effects, streamTime, before);
    this.#latestDispatched = streamTime;
    this.#window.push(slot);
    this.#advance();
    if (this.#failure !== null) throw this.#failure;
  }

  cancel(): void {
    cancelAll(this.#window);
    this.#window = [];
    this.#redo.length = 0;
  }

  /** Called by the graph while a stage of a slot runs. */
  defer(target: DeferTarget, record: AnyRec): void {
    invariant(this.#running !== null, 'a record is deferred outside of a slot');
    this.#running.deferred.push({ target, record });
  }

  /** Begins every stage that may begin, and releases the finished prefix. */
  #advance(): void {
    if (this.#advancing) return;
    this.#advancing = true;
    try {
      for (let moved = true; moved && this.#failure === null; ) moved = this.#pass();
    } finally {
      this.#advancing = false;
    }
  }

  #pass(): boolean {
    const last = this.#parts.graph.stageCount - 1;
    let moved = false;
    let previousStage = Number.POSITIVE_INFINITY;
    for (const slot of this.#window) {
      while (slot.pending === 0 && slot.stage < last && previousStage > slot.stage) {
        slot.stage += 1;
        moved = true;
        if (!this.#runStage(slot)) return true;
      }
      previousStage = slot.stage;
    }
    while (this.#window[0] !== undefined && this.#isFinished(this.#window[0], last)) {
      this.#release(this.#window.shift()!);
      moved = true;
    }
    return moved;
  }

  #isFinished(slot: Slot, last: number): boolean {
    return slot.stage === last && slot.pending === 0;
  }

  /** Runs the synchronous part of the slot's stage, then starts its asynchronous work. */
  #runStage(slot: Slot): boolean {
    const { context, graph } = this.#parts;
    const failed = this.#failed.get(inputKey(slot.input));
    if (failed !== undefined && failed.verdict !== 'retry') {
      if (slot.stage === 0 && failed.verdict === 'dead-letter') {
        const { record, source } = slot.input;
        this.#parts.policies.bury(record, failed.error, source, slot.effects);
      }
      return true;
    }
    context.effects = slot.effects;
    context.streamTime = slot.streamTime;
    context.streamTimeBefore = slot.streamTimeBefore;
    for (const store of this.#options.storesByStage[slot.stage] ?? []) store.begin(slot.number);
    this.#running = slot;
    try {
      this.#runRecords(slot);
      if (slot.streamTime > slot.streamTimeBefore) {
        for (const close of graph.closers[slot.stage] ?? []) close(slot.input.record.meta);
      }
      this.#startWork(slot);
    } catch (cause) {
      if (!slot.cancelled) this.#fail(slot, cause);
    } finally {
      this.#running = null;
    }
    return !slot.cancelled;
  }

  #runRecords(slot: Slot): void {
    if (slot.stage === 0) {
      checkTime(slot.input);
      if (!isDroppedNull(slot.input)) slot.input.process(slot.input.record);
    }
    const due = slot.deferred.filter(
      ({ target }) => target.stage === slot.stage && target.work === null,
    );
    slot.deferred = slot.deferred.filter(
      ({ target }) => target.stage !== slot.stage || target.work !== null,
    );
    for (const { target, record } of due) target.process(record);
  }

  #startWork(slot: Slot): void {
    const byNode = new Map<DeferTarget, AnyRec[]>();
    for (const { target, sources } of this.#options.speakers) {
      const concerns = target.stage === slot.stage && sources.has(slot.input.source.id);
      if (concerns && !isDroppedNull(slot.input)) byNode.set(target, []);
    }
    const later: Slot['deferred'] = [];
    for (const entry of slot.deferred) {
      if (entry.target.stage !== slot.stage || entry.target.work === null) later.push(entry);
      else pushTo(byNode, entry.target, entry.record);
    }
    slot.deferred = later;
    for (const [target, records] of byNode) {
      if (slot.cancelled) return;
      this.#submit(slot, target, target.work!, records);
    }
  }

  #submit(slot: Slot, target: DeferTarget, node: AsyncNode, records: readonly AnyRec[]): void {
    const batches: readonly (readonly AnyRec[])[] =
      node.kind === 'segment' ? [records] : records.map((record) => [record]);
    const results: (readonly AnyRec[])[] = [];
    slot.results.push({ target: { ...target, work: null, stage: target.stage + 1 }, results });
    slot.pending += batches.length;
    batches.forEach((batch, i) => {
      const settle = (made: readonly AnyRec[]): void => {
        results[i] = made;
        slot.pending -= 1;
        if (slot.pending === 0) slot.takeResults();
      };
      this.#gateOf(node).submit(this.#job(slot, node, batch, settle));
    });
  }

  #job(
    slot: Slot,
    node: AsyncNode,
    batch: readonly AnyRec[],
    settle: (results: readonly AnyRec[]) => void,
  ): GateJob {
    return {
      lane: node.order === 'key' ? laneOf(batch[0] ?? slot.input.record) : null,
      get cancelled() {
        return slot.cancelled;
      },
      begin: (done) => {
        const end = (work: () => void): void =>
          this.#caught(() => {
            if (!slot.cancelled) work();
            done();
            this.#settled(slot);
          });
        const outcome = {
          done: (results: readonly AnyRec[]) => end(() => settle(results)),
          failed: (cause: unknown) => end(() => this.#fail(slot, cause)),
        };
        const { ports } = this.#options;
        const cancel =
          node.kind === 'segment'
            ? startSegment(node, batch, ports, outcome)
            : startCall(node, batch[0]!, ports, outcome);
        slot.cancellations.push(() => {
          cancel();
          done();
        });
      },
    };
  }

  /** For what timers, promises and streams call: nobody above them would see an error. */
  #caught(work: () => void): void {
    try {
      work();
    } catch (cause) {
      this.#failure ??= asEscapementError(cause);
      this.#options.wake();
    }
  }

  #settled(slot: Slot): void {
    if (this.#advancing || slot.cancelled) return;
    this.#advance();
    this.#options.wake();
  }

  #gateOf(node: AsyncNode): AsyncGate {
    let gate = this.#gates.get(node.id);
    if (gate === undefined) {
      gate = new AsyncGate(node.concurrency);
      this.#gates.set(node.id, gate);
    }
    return gate;
  }

  #release(slot: Slot): void {
    const { time, progress } = this.#parts;
    const { input } = slot;
    const failed = this.#failed.get(inputKey(input));
    slot.effects.release();
    const counts = failed === undefined || failed.verdict === 'retry';
    const timestamp = counts ? input.record.timestamp : -1;
    time.advance(input.index, timestamp);
    progress.release(input.index, input.nextOffset, timestamp);
    this.#failed.delete(inputKey(input));
    this.#released = slot.number;
  }

  /** I4. Undoes this slot and all later ones, and queues their records again. */
  #fail(slot: Slot, cause: unknown): void {
    const { task, policies, stores } = this.#parts;
    const { input } = slot;
    const attempt = (this.#failed.get(inputKey(input))?.attempt ?? 0) + 1;
    const error = recordError(cause, task, input);
    const index = this.#window.indexOf(slot);
    const undone = this.#window.splice(index);
    cancelAll(undone);
    for (const store of stores) store.rollback(slot.number - 1);
    this.#latestDispatched = slot.streamTimeBefore;
    this.#redo.unshift(...undone.map((each) => each.input));
    try {
      const verdict = policies.decide(error, input.source, attempt);
      this.#failed.set(inputKey(input), { error, verdict, attempt });
    } catch (thrown) {
      this.#failure = thrown instanceof EscapementError ? thrown : recordError(thrown, task, input);
    }
    this.#options.wake();
  }
}

/** All are marked before the first lets go of its place: no other one's call may begin in it. */
function cancelAll(slots: readonly Slot[]): void {
  for (const slot of slots) slot.cancelled = true;
  for (const slot of slots) slot.cancel();
}

function pushTo(map: Map<DeferTarget, AnyRec[]>, target: DeferTarget, record: AnyRec): void {
  const records = map.get(target);
  if (records === undefined) map.set(target, [record]);
  else records.push(record);
}

function inputKey(input: Input): string {
  return `${input.index}:${input.record.meta.offset}`;
}

/** Two records share a lane when their keys are the same bytes, or else the same text. */
function laneOf(record: AnyRec): string {
  if (record.keyBuffer !== null && record.keyStart >= 0) {
    return record.keyBuffer.toString('latin1', record.keyStart, record.keyEnd);
  }
  const key: unknown = record.key;
  return typeof key === 'object' && key !== null ? JSON.stringify(key, plain) : String(key);
}

function plain(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value;
}
