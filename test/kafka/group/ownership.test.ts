import { expect, test } from 'vitest';
import { Ownership } from '../../../src/kafka/group/ownership.ts';

const ids = (tasks: readonly { readonly id: string }[]) => tasks.map(({ id }) => id);

test('what stays is neither added nor revoked, and is owned without a gap', () => {
  const ownership = new Ownership();
  expect(ownership.receive(['a_0', 'a_1'], 3).added).toEqual(['a_0', 'a_1']);
  const { added, revoked } = ownership.receive(['a_0', 'a_2'], 4);
  expect([added, ids(revoked)]).toEqual([['a_2'], ['a_1']]);
  expect(ownership.ownedSince('a_0', 3)).toBe(true);
  expect(ownership.ownedSince('a_2', 3)).toBe(false);
  expect(ownership.ownedSince('a_2', 4)).toBe(true);
  expect(ownership.ownedSince('a_1', 3)).toBe(false);
});

test('a revoked task is claimed until it is released, with the generation that last gave it', () => {
  const ownership = new Ownership();
  ownership.receive(['a_0', 'a_1'], 3);
  const { revoked } = ownership.receive(['a_0'], 4);
  expect(ownership.claims()).toEqual([
    { task: 'a_0', generation: 4, since: 3 },
    { task: 'a_1', generation: 3, since: 3 },
  ]);
  expect(ownership.release(revoked)).toEqual([]);
  expect(ownership.claims()).toEqual([{ task: 'a_0', generation: 4, since: 3 }]);
});

test('a task given back while it is being revoked begins anew at its release', () => {
  const ownership = new Ownership();
  ownership.receive(['a_0'], 3);
  const { revoked } = ownership.receive([], 4);
  expect(ownership.receive(['a_0'], 5).added).toEqual([]);
  expect(ownership.ownedSince('a_0', 5)).toBe(false);
  expect(ownership.release(revoked)).toEqual(['a_0']);
  expect(ownership.ownedSince('a_0', 5)).toBe(true);
  expect(ownership.ownedSince('a_0', 4)).toBe(false);
});

test('a release from before a loss has no effect', () => {
  const ownership = new Ownership();
  ownership.receive(['a_0'], 3);
  const { revoked } = ownership.receive([], 4);
  ownership.clear();
  ownership.receive(['a_0'], 6);
  expect(ownership.release(revoked)).toEqual([]);
  expect(ownership.ownedSince('a_0', 6)).toBe(true);
});
