/** Drives a store and its naive twin with the same random calls and compares every view. */
import fc from 'fast-check';
import { expect } from 'vitest';
import type { Staged, View, WindowRow } from '../../src/state/staged.ts';
import { ModelStore } from './model.ts';

/** Either store as a window store; a key-value store has the window 0 alone. */
export interface Subject extends Staged {
  put(windowStart: number, key: Buffer, hash: number, value: Buffer, timestamp: number): void;
  remove(windowStart: number, key: Buffer, hash: number): boolean;
  get(view: View, windowStart: number, key: Buffer, hash: number): WindowRow | null;
  entries(view: View): WindowRow[];
  readonly size: number;
  readonly undoEntries: number;
  expire(beforeStart: number): void;
}

const KEYS = ['', 'a', 'b', 'ab', '\0', 'ÿ', 'k'.repeat(47), 'k'.repeat(60), `${'k'.repeat(60)}2`]
  .concat(Array.from({ length: 12 }, (_, i) => `key-${i}`))
  .map((text) => Buffer.from(text, 'latin1'));

/** Lengths on both sides of every border: in place, moved, copied into the undo log, detached. */
const LENGTHS = [0, 1, 8, 9, 16, 48, 49, 100, 400, 512, 513, 700, 5_000];

export type Call =
  | { readonly do: 'begin' | 'committed' | 'aborted' }
  | {
      readonly do: 'put';
      readonly window: number;
      readonly key: number;
      readonly length: number;
      readonly fill: number;
    }
  | { readonly do: 'remove'; readonly window: number; readonly key: number }
  | { readonly do: 'release' | 'rollback' | 'seal'; readonly back: number }
  | { readonly do: 'expire'; readonly window: number };

export function callsFor(windows: number): fc.Arbitrary<Call[]> {
  const window = fc.nat(windows - 1);
  // Mostly few keys, or hardly a row would be written twice in a generation.
  const key = fc.oneof({ weight: 3, arbitrary: fc.nat(2) }, fc.nat(KEYS.length - 1));
  const back = fc.nat(4);
  const call: fc.Arbitrary<Call> = fc.oneof(
    { weight: 8, arbitrary: fc.record({ do: fc.constant('begin' as const) }) },
    {
      weight: 16,
      arbitrary: fc.record({
        do: fc.constant('put' as const),
        window,
        key,
        length: fc.constantFrom(...LENGTHS),
        fill: fc.nat(255),
      }),
    },
    { weight: 5, arbitrary: fc.record({ do: fc.constant('remove' as const), window, key }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('release' as const), back }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('rollback' as const), back }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('seal' as const), back }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('committed' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('aborted' as const) }) },
    {
      weight: windows > 1 ? 1 : 0,
      arbitrary: fc.record({ do: fc.constant('expire' as const), window }),
    },
  );
  return fc.array(call, { minLength: 1, maxLength: 120, size: 'max' });
}

/** Runs the calls on both; `hashOf` is the same for equal keys and may be for others. */
export function runTwin(
  subject: Subject,
  calls: readonly Call[],
  windows: number,
  hashOf: (key: Buffer) => number,
): void {
  const model = new ModelStore();
  const twin = new Twin(subject, model, hashOf);
  for (const call of calls) {
    twin.call(call);
    twin.compare();
  }
  for (let window = 0; window < windows; window += 1) {
    for (const key of KEYS) {
      for (const view of ['staged', 'committed'] as const) {
        const found = subject.get(view, window * 1_000, key, hashOf(key));
        const expected = model.get(view, window * 1_000, key);
        same(found === null ? [] : [found], expected === null ? [] : [expected]);
      }
    }
  }
}

class Twin {
  readonly #subject: Subject;
  readonly #model: ModelStore;
  readonly #hashOf: (key: Buffer) => number;
  #slot = 1;
  #released = 0;
  #sealed: number | null = null;
  #cut = 0;
  #time = 0;

  constructor(subject: Subject, model: ModelStore, hashOf: (key: Buffer) => number) {
    this.#subject = subject;
    this.#model = model;
    this.#hashOf = hashOf;
    subject.begin(1);
    model.begin(1);
  }

  call(call: Call): void {
    switch (call.do) {
      case 'begin':
        this.#begin();
        return;
      case 'put': {
        const key = KEYS[call.key]!;
        const value = Buffer.alloc(call.length, call.fill);
        this.#time += 1;
        this.#subject.put(call.window * 1_000, key, this.#hashOf(key), value, this.#time);
        this.#model.put(call.window * 1_000, key, value, this.#time);
        return;
      }
      case 'remove': {
        const key = KEYS[call.key]!;
        const before = this.#model.get('staged', call.window * 1_000, key);
        const removed = this.#subject.remove(call.window * 1_000, key, this.#hashOf(key));
        expect(removed).toBe(before !== null);
        if (removed) this.#model.remove(call.window * 1_000, key);
        return;
      }
      case 'release':
        // The slot that is being written is not released.
        this.#released = Math.max(this.#released, this.#slot - 1 - call.back);
        this.#subject.release(this.#released);
        return;
      case 'rollback': {
        const after = Math.max(this.#released, this.#cut, this.#slot - 1 - call.back);
        this.#subject.rollback(after);
        this.#model.rollback(after);
        this.#begin();
        return;
      }
      case 'seal':
        this.#seal(call.back);
        return;
      case 'expire':
        this.#subject.expire(call.window * 1_000);
        this.#model.expire(call.window * 1_000);
        return;
      default:
        this.#settle(call.do);
    }
  }

  #begin(): void {
    this.#slot += 1;
    this.#subject.begin(this.#slot);
    this.#model.begin(this.#slot);
  }

  #seal(back: number): void {
    if (this.#sealed !== null) return;
    const slot = Math.max(this.#released, this.#cut, this.#slot - 1 - back);
    this.#released = slot;
    this.#cut = slot;
    this.#sealed = slot;
    this.#subject.seal(slot);
    this.#model.seal(slot);
  }

  #settle(outcome: 'committed' | 'aborted'): void {
    if (outcome === 'committed' && this.#sealed === null) return;
    this.#sealed = null;
    this.#subject[outcome]();
    this.#model[outcome]();
  }

  compare(): void {
    const staged = this.#model.entries('staged');
    expect(this.#subject.size).toBe(staged.length);
    same(this.#subject.entries('staged'), staged);
    same(this.#subject.entries('committed'), this.#model.entries('committed'));
  }
}

/** As `toEqual`, without its cost for every byte. */
function same(found: readonly WindowRow[], expected: readonly WindowRow[]): void {
  const equal =
    found.length === expected.length &&
    found.every((row, i) => {
      const other = expected[i]!;
      return (
        row.windowStart === other.windowStart &&
        row.timestamp === other.timestamp &&
        row.key.equals(other.key) &&
        row.value.equals(other.value)
      );
    });
  if (!equal) expect(found).toEqual(expected);
}
