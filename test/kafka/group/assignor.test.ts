import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { assignTasks, type GroupMemberClaims } from '../../../src/kafka/group/assignor.ts';
import type { Claim } from '../../../src/kafka/group/subscription.ts';

const tasksOf = (name: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${name}_${i}`);

const member = (memberId: string, generation: number, ...tasks: string[]): GroupMemberClaims => ({
  memberId,
  claims: tasks.map((task) => ({ task, generation })),
});

/** Who claims a task with the highest generation; null when two do. The slow way. */
function ownerOf(task: string, members: readonly GroupMemberClaims[]): string | null | undefined {
  const claims = members.flatMap(({ memberId, claims }) =>
    claims
      .filter((claim) => claim.task === task)
      .map(({ generation }) => ({ memberId, generation })),
  );
  if (claims.length === 0) return undefined;
  const highest = Math.max(...claims.map(({ generation }) => generation));
  const holders = new Set(
    claims.filter(({ generation }) => generation === highest).map(({ memberId }) => memberId),
  );
  return holders.size === 1 ? [...holders][0] : null;
}

const tasks = fc
  .tuple(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 0, max: 13 }))
  .map(([a, b]) => [...tasksOf('orders', a), ...tasksOf('agg', b)]);

const group = fc.tuple(tasks, fc.integer({ min: 1, max: 5 })).chain(([ids, size]) =>
  fc.record({
    tasks: fc.constant(ids),
    members: fc.tuple(
      ...Array.from({ length: size }, (_, i) =>
        fc
          .array(
            fc.record({
              task: ids.length === 0 ? fc.constant('gone_0') : fc.constantFrom(...ids, 'gone_0'),
              generation: fc.integer({ min: 0, max: 3 }),
            }),
            { maxLength: 6 },
          )
          .map((claims): GroupMemberClaims => ({ memberId: `m${i}`, claims })),
      ),
    ),
  }),
);

describe('the assignor', () => {
  test('gives a task to at most one member, and never while another holds a valid claim', () => {
    fc.assert(
      fc.property(group, ({ tasks: ids, members }) => {
        const assigned = assignTasks(members, ids);
        expect([...assigned.keys()].sort()).toEqual(members.map(({ memberId }) => memberId).sort());
        const given = [...assigned.values()].flat();
        expect(new Set(given).size).toBe(given.length);
        for (const [memberId, got] of assigned) {
          for (const task of got) {
            expect(ids).toContain(task);
            const owner = ownerOf(task, members);
            expect(owner === undefined || owner === memberId).toBe(true);
          }
        }
      }),
    );
  });

  test('does not depend on the order of members, claims or tasks', () => {
    fc.assert(
      fc.property(group, ({ tasks: ids, members }) => {
        const mirrored = [...members]
          .reverse()
          .map(({ memberId, claims }) => ({ memberId, claims: [...claims].reverse() }));
        const one = assignTasks(members, ids);
        const other = assignTasks(mirrored, [...ids].reverse());
        expect([...other].sort()).toEqual([...one].sort());
      }),
    );
  });

  test('gives every task out, evenly, within two generations of whatever was claimed', () => {
    fc.assert(
      fc.property(group, ({ tasks: ids, members }) => {
        const rounds = settle(members, ids, 3);
        const last = rounds.at(-1)!;
        expect([...last.values()].flat().sort()).toEqual([...ids].sort());
        const sizes = [...last.values()].map((got) => got.length);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        expect(rounds.at(-1)).toEqual(rounds.at(-2));
      }),
    );
  });

  test('keeps with every member what the balance allows', () => {
    fc.assert(
      fc.property(
        tasks,
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 0, max: 2 }),
        (ids, size, more) => {
          const start = Array.from({ length: size }, (_, i) => member(`m${i}`, 0));
          const before = settle(start, ids, 2).at(-1)!;
          const grown = [
            ...[...before].map(([memberId, got]) => member(memberId, 2, ...got)),
            ...Array.from({ length: more }, (_, i) => member(`n${i}`, 0)),
          ];
          const after = settle(grown, ids, 3).at(-1)!;
          const least = Math.floor(ids.length / grown.length);
          for (const [memberId, got] of before) {
            const kept = after.get(memberId)!.filter((task) => got.includes(task));
            expect(kept.length).toBeGreaterThanOrEqual(Math.min(least, got.length));
            // Nobody gets a task that somebody else did not have to give up.
            expect(after.get(memberId)!.every((task) => got.includes(task))).toBe(true);
          }
        },
      ),
    );
  });

  test('hands a task over in two generations', () => {
    const ids = tasksOf('orders', 4);
    const alone = member('a', 5, ...ids);
    const first = assignTasks([alone, member('b', -1)], ids);
    expect(first).toEqual(
      new Map([
        ['a', ['orders_0', 'orders_1']],
        ['b', []],
      ]),
    );
    const second = assignTasks([member('a', 6, 'orders_0', 'orders_1'), member('b', -1)], ids);
    expect(second.get('b')).toEqual(['orders_2', 'orders_3']);
  });

  test('takes the higher of two claims, and gives a doubly claimed task to nobody', () => {
    const ids = tasksOf('orders', 2);
    const higher = assignTasks(
      [member('a', 4, 'orders_0'), member('b', 5, 'orders_0'), member('a', 4)],
      ids,
    );
    expect(higher.get('b')).toEqual(['orders_0']);
    const equal = assignTasks([member('a', 5, 'orders_0'), member('b', 5, 'orders_0')], ids);
    expect([...equal.values()].flat()).toEqual(['orders_1']);
  });

  test('spreads the tasks of each sub-topology over the members', () => {
    const ids = [...tasksOf('agg', 4), ...tasksOf('orders', 4)];
    const assigned = assignTasks([member('a', -1), member('b', -1)], ids);
    for (const got of assigned.values()) {
      expect(got.filter((task) => task.startsWith('agg'))).toHaveLength(2);
    }
    const grown = assignTasks([member('a', 1, ...ids), member('b', -1)], ids);
    expect(grown.get('a')).toEqual(['agg_0', 'agg_1', 'orders_0', 'orders_1']);
  });
});

/** Plays generations: each member claims what it was given in the last one and still claims. */
function settle(members: readonly GroupMemberClaims[], ids: readonly string[], count: number) {
  const rounds: ReadonlyMap<string, readonly string[]>[] = [];
  let claiming = members;
  for (let generation = 10; generation < 10 + count; generation++) {
    const assigned = assignTasks(claiming, ids);
    rounds.push(assigned);
    claiming = claiming.map(({ memberId }) => ({
      memberId,
      claims: (assigned.get(memberId) ?? []).map((task): Claim => ({ task, generation })),
    }));
  }
  return rounds;
}
