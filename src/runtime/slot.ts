/**
 * A slot: one input record in a sub-topology with asynchronous operators, from its dispatch to its
 * release. It owns its effects until then.
 */
import type { Header } from '../kafka/records/headers.ts';
import type { AnyRec } from '../topology/node.ts';
import { encodedBytes, type OutputTopic, type StepScope } from '../transaction/scope.ts';
import type { Effects } from './context.ts';
import type { DeferTarget } from './graph.ts';
import type { Input } from './input.ts';

interface Effect {
  readonly topic: OutputTopic;
  readonly partition: number;
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly Header[] | null;
}

/** Effects of one slot in order; bytes are copied, since scratch buffers and fetches move on. */
export class SlotEffects implements Effects {
  readonly #scope: StepScope;
  readonly #effects: Effect[] = [];

  constructor(scope: StepScope) {
    this.#scope = scope;
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
    this.#scope.checkSize(topic, partition, bytes);
    this.#effects.push({
      topic,
      partition,
      timestamp,
      key: key === null || keyStart < 0 ? null : Buffer.from(key.subarray(keyStart, keyEnd)),
      value:
        value === null || valueStart < 0 ? null : Buffer.from(value.subarray(valueStart, valueEnd)),
      headers,
    });
  }

  /** Moves everything into the step's scope, in order. */
  release(): void {
    for (const { topic, partition, timestamp, key, value, headers } of this.#effects) {
      this.#scope.append(
        topic,
        partition,
        timestamp,
        key,
        key === null ? -1 : 0,
        key === null ? -1 : key.length,
        value,
        value === null ? -1 : 0,
        value === null ? -1 : value.length,
        headers,
      );
    }
    this.#effects.length = 0;
  }
}

export interface DeferredRecord {
  readonly target: DeferTarget;
  readonly record: AnyRec;
}

export class Slot {
  readonly number: number;
  readonly input: Input;
  readonly effects: SlotEffects;
  readonly streamTime: number;
  readonly streamTimeBefore: number;
  /** Stage that has begun last; -1 before the first. */
  stage = -1;
  /** Asynchronous work of the begun stage that is not done. */
  pending = 0;
  /** Records that go on in a later stage, in the order they were deferred. */
  deferred: DeferredRecord[] = [];
  /** What the begun stage's work makes, in the order in which it was begun. */
  results: { readonly target: DeferTarget; readonly results: (readonly AnyRec[])[] }[] = [];
  /** Set by `cancel`: what arrives later leaves no trace. */
  cancelled = false;
  readonly cancellations: (() => void)[] = [];

  constructor(
    number: number,
    input: Input,
    effects: SlotEffects,
    streamTime: number,
    streamTimeBefore: number,
  ) {
    this.number = number;
    this.input = input;
    this.effects = effects;
    this.streamTime = streamTime;
    this.streamTimeBefore = streamTimeBefore;
  }

  /** The work is done: its results go on in the order of the topology, whatever ended first. */
  takeResults(): void {
    for (const { target, results } of this.results) {
      for (const record of results.flat()) this.deferred.push({ target, record });
    }
    this.results = [];
  }

  cancel(): void {
    this.cancelled = true;
    for (const cancel of this.cancellations) cancel();
    this.cancellations.length = 0;
  }
}
