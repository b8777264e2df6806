import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeyValueSubject, WindowSubject } from './subjects.ts';
import { type Call, callsFor, runTwin } from './twin.ts';

const RUNS = 150;

const HASHES: readonly (readonly [string, (key: Buffer) => number])[] = [
  [
    'spread hashes',
    (key) => key.reduce((hash, byte) => Math.imul(hash ^ byte, 0x5bd1e995), 7) >>> 0,
  ],
  ['three hashes for all keys', (key) => (key.length % 3) * 0x40000001],
  ['one hash for all keys', () => 0xffffffff],
];

describe.each(HASHES)('with %s', (_, hashOf) => {
  it('a key-value store shows what a plain map shows, whatever is undone or committed', () => {
    fc.assert(
      fc.property(callsFor(1), (calls) => runTwin(new KeyValueSubject(), calls, 1, hashOf)),
      { numRuns: RUNS },
    );
  });

  it('a window store shows what plain maps show, whatever is undone, committed or expired', () => {
    fc.assert(
      fc.property(callsFor(4), (calls) => runTwin(new WindowSubject(), calls, 4, hashOf)),
      { numRuns: RUNS },
    );
  });
});

describe('a released slot', () => {
  it('leaves one undo entry per row, and the row is still undone with its generation', () => {
    const store = new KeyValueSubject();
    const key = Buffer.from('k');
    store.begin(1);
    store.put(0, key, 1, Buffer.alloc(8, 1), 1);
    store.seal(1);
    store.committed();
    for (let slot = 2; slot <= 1_000; slot += 1) {
      store.begin(slot);
      store.put(0, key, 1, Buffer.alloc(slot % 2_000, 2), slot);
      store.release(slot);
    }
    expect(store.undoEntries).toBe(1);
    store.aborted();
    expect(store.entries('staged').map((row) => row.value)).toEqual([Buffer.alloc(8, 1)]);
  });

  it('folds while later slots stay unreleased, without the log growing for ever', () => {
    const store = new KeyValueSubject();
    const key = Buffer.from('k');
    for (let slot = 1; slot <= 20_000; slot += 1) {
      store.begin(slot);
      store.put(0, key, 1, Buffer.alloc(100, slot), slot);
      if (slot > 10) store.release(slot - 10);
    }
    expect(store.undoEntries).toBe(11);
    expect(store.store.undoBytes).toBeLessThan(64 * 1024);
    store.rollback(19_995);
    expect(store.entries('staged')[0]?.timestamp).toBe(19_995);
  });

  it('cannot be rolled back by itself', () => {
    const store = new KeyValueSubject();
    store.begin(1);
    store.put(0, Buffer.from('k'), 1, Buffer.alloc(1), 1);
    store.release(1);
    expect(() => store.rollback(0)).toThrow(/released slot/);
  });
});

describe('memory', () => {
  /** Writes, folds, undoes and commits the same rows again and again, in every size. */
  function churn(subject: KeyValueSubject | WindowSubject, rounds: number): void {
    for (let round = 0; round < rounds; round += 1) {
      for (let slot = 1; slot <= 40; slot += 1) {
        subject.begin(slot);
        const key = Buffer.from([slot % 10]);
        subject.put(0, key, slot % 10, Buffer.alloc(100 * (slot % 13), slot), slot);
        if (slot % 7 === 0) subject.remove(0, key, slot % 10);
        if (slot % 4 === 0) subject.release(slot - 3);
        if (slot === 20) subject.seal(20);
        if (slot === 30) subject.committed();
        if (slot % 11 === 0) subject.rollback(slot - 1);
      }
      if (round % 2 === 0) subject.aborted();
      else {
        subject.seal(40);
        subject.committed();
      }
    }
  }

  it('is reused, whether a block was undone, folded or committed', () => {
    const store = new KeyValueSubject();
    churn(store, 20);
    const { bytes } = store.store;
    churn(store, 200);
    expect(store.store.bytes).toBe(bytes);
  });
});

describe('generations', () => {
  it('are sealed one at a time', () => {
    const store = new KeyValueSubject();
    store.seal(1);
    expect(() => store.seal(2)).toThrow(/sealed while another/);
  });

  it('are committed only when sealed', () => {
    const store = new KeyValueSubject();
    expect(() => store.committed()).toThrow(/not sealed/);
  });

  it('keep the writes of later slots open when they are cut', () => {
    const store = new WindowSubject();
    const put = (slot: number, key: string): void => {
      store.begin(slot);
      store.put(1_000, Buffer.from(key), 5, Buffer.from([slot]), slot);
    };
    put(7, 'a');
    put(8, 'a');
    put(8, 'b');
    store.seal(7);
    put(9, 'c');
    const values = (view: 'staged' | 'committed'): number[] =>
      store.entries(view).map((row) => row.value[0]!);
    expect(values('staged')).toEqual([8, 8, 9]);
    store.committed();
    expect(values('committed')).toEqual([7]);
    store.rollback(7);
    expect(values('staged')).toEqual([7]);
  });
});

it('the twin finds a store that forgets to undo', () => {
  class Forgetful extends KeyValueSubject {
    override rollback(): void {}
  }
  const calls: Call[] = [
    { do: 'begin' },
    { do: 'put', window: 0, key: 1, length: 1, fill: 1 },
    { do: 'rollback', back: 0 },
  ];
  expect(() => runTwin(new Forgetful(), calls, 1, () => 1)).toThrow();
});
