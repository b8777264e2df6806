/**
 * What a processor may touch: the effects of its slot, the slot's time and the task's stores.
 *
 * One context per task, mutated from slot to slot; processors are closures over it. Nothing in it is
 * asynchronous: stores are touched in synchronous framework code alone.
 */
import type { Header } from '../kafka/records/headers.ts';
import type { KeyValueStore } from '../state/key-value-store.ts';
import type { WindowStore } from '../state/window-store.ts';
import type { AnyRec } from '../topology/node.ts';
import type { OutputTopic } from '../transaction/scope.ts';

/** One operator at work: takes a record, forwards what it makes of it. */
export type Process = (record: AnyRec) => void;

/** Where a slot's writes go: the step's scope itself, or the slot's own list while it is unreleased. */
export interface Effects {
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
  ): void;
}

/** A store with the changelog topic that its writes go to. */
export interface LoggedStore<S> {
  readonly store: S;
  readonly changelog: OutputTopic;
}

export class TaskContext {
  effects: Effects;
  /** Stream time of the running slot, its own record counted; -1 before any record. */
  streamTime = -1;
  /** Stream time before the running slot. */
  streamTimeBefore = -1;
  readonly partition: number;
  readonly keyValueStores = new Map<string, LoggedStore<KeyValueStore>>();
  readonly windowStores = new Map<string, LoggedStore<WindowStore>>();
  /** Records dropped because their window had closed and nobody takes them. */
  lateDropped = 0;

  constructor(partition: number, effects: Effects) {
    this.partition = partition;
    this.effects = effects;
  }
}
