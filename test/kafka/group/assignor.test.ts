import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  assignTasks,
  type GroupMemberClaims,
  type TaskAssignment,
} from '../../../src/kafka/group/assignor.ts';
import { taskName } from '../../../src/kafka/group/task-name.ts';

const tasksOf = (name: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${name}_${i}`);

const member = (memberId: string, generation: number, ...tasks: string[]): GroupMemberClaims => ({
  memberId,
  claims: tasks.map((task) => ({ task, generation, since: generation })),
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

/** The most tasks that can stay where they are in a balanced assignment: every assignment is tried. */
function mostKept(members: readonly GroupMemberClaims[], ids: readonly string[]): number {
  const names = members.map(({ memberId }) => memberId);
  const owners = ids.map((task) => ownerOf(task, members));
  const sizes = names.map(() => 0);
  let most = 0;
  const visit = (index: number, kept: number): void => {
    if (index === ids.length) {
      if (Math.max(...sizes) - Math.min(...sizes) <= 1) most = Math.max(most, kept);
      return;
    }
    names.forEach((name, i) => {
      sizes[i]! += 1;
      visit(index + 1, kept + (owners[index] === name ? 1 : 0));
      sizes[i]! -= 1;
    });
  };
  visit(0, 0);
  return most;
}

const tasks = fc
  .tuple(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 0, max: 13 }))
  .map(([a, b]) => [...tasksOf('orders', a), ...tasksOf('agg', b)]);

const claimsOf = (ids: readonly string[], maxLength: number) =>
  fc.array(
    fc.record({
      task: ids.length === 0 ? fc.constant('gone_0') : fc.constantFrom(...ids, 'gone_0'),
      generation: fc.integer({ min: 0, max: 3 }),
      since: fc.integer({ min: 0, max: 3 }),
    }),
    { maxLength },
  );

function groupOf(ids: fc.Arbitrary<string[]>, sizeMax: number) {
  return fc.tuple(ids, fc.integer({ min: 1, max: sizeMax })).chain(([given, size]) =>
    fc.record({
      tasks: fc.constant(given),
      members: fc.tuple(
        ...Array.from({ length: size }, (_, i) =>
          claimsOf(given, 6).map((claims): GroupMemberClaims => ({ memberId: `m${i}`, claims })),
        ),
      ),
    }),
  );
}

const group = groupOf(tasks, 5);
const smallGroup = groupOf(
  fc
    .tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 3 }))
    .map(([a, b]) => [...tasksOf('orders', a), ...tasksOf('agg', b)]),
  3,
);

function sizesOf(assigned: TaskAssignment, of: (task: string) => boolean = () => true): number[] {
  return [...assigned.values()].map((got) => got.filter(of).length);
}

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
        const sizes = sizesOf(last);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        expect(rounds.at(-1)).toEqual(rounds.at(-2));
      }),
    );
  });

  test('moves as few tasks as any balanced assignment can', () => {
    fc.assert(
      fc.property(smallGroup, ({ tasks: ids, members }) => {
        const settled = settle(members, ids, 3).at(-1)!;
        let kept = 0;
        for (const [memberId, got] of settled) {
          kept += got.filter((task) => ownerOf(task, members) === memberId).length;
        }
        expect(kept).toBe(mostKept(members, ids));
      }),
      { numRuns: 300 },
    );
  });

  test('spreads each sub-topology over the members of a new group', () => {
    const parts = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(parts, fc.integer({ min: 1, max: 5 }), (counts, size) => {
        const names = ['orders', 'agg', 'rates', 'bills'];
        const ids = counts.flatMap((count, i) => tasksOf(names[i]!, count));
        const members = Array.from({ length: size }, (_, i) => member(`m${i}`, 0));
        const assigned = assignTasks(members, ids);
        for (const name of names) {
          const sizes = sizesOf(assigned, (task) => taskName(task).subTopology === name);
          expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  test('moves in a rolling restart only the tasks of who is restarted, away and back', () => {
    fc.assert(
      fc.property(tasks, fc.integer({ min: 2, max: 5 }), (ids, size) => {
        const names = Array.from({ length: size }, (_, i) => `m${i}`);
        const life = new Generations(ids);
        life.settle(names);
        for (const name of names) {
          const before = life.owners();
          life.settle(names.filter((other) => other !== name));
          life.settle(names);
          for (const [task, owner] of life.owners()) {
            const was = before.get(task);
            // What others ran, they still run; what was away may have stayed there.
            if (was !== name) expect(owner).toBe(was);
          }
        }
      }),
    );
  });

  test('stays balanced and complete whatever joins, leaves and dies, at the least number of moves', () => {
    const event = fc.record({
      who: fc.integer({ min: 0, max: 4 }),
      what: fc.constantFrom('joins' as const, 'leaves' as const),
    });
    fc.assert(
      fc.property(tasks, fc.array(event, { maxLength: 12 }), (ids, events) => {
        const present = new Set(['m0']);
        const life = new Generations(ids);
        life.settle([...present]);
        for (const { who, what } of events) {
          const before = life.owners();
          if (what === 'joins') present.add(`m${who}`);
          else if (present.size > 1) present.delete(`m${who}`);
          life.settle([...present]);
          const after = life.owners();
          expect(after.size).toBe(ids.length);
          let moved = 0;
          for (const [task, owner] of before) {
            if (present.has(owner) && after.get(task) !== owner) moved += 1;
          }
          expect(moved).toBe(leastMoves(before, [...present], ids.length));
        }
      }),
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

  test('gives up first what came last', () => {
    const ids = tasksOf('orders', 4);
    const claims = [4, 9, 2, 4].map((since, i) => ({ task: `orders_${i}`, generation: 9, since }));
    const grown = assignTasks([{ memberId: 'a', claims }, member('b', -1)], ids);
    expect(grown.get('a')).toEqual(['orders_0', 'orders_2']);
  });

  test('keeps an even mix of what came at once', () => {
    const ids = [...tasksOf('agg', 4), ...tasksOf('orders', 4)];
    const grown = assignTasks([member('a', 1, ...ids), member('b', -1)], ids);
    expect(grown.get('a')).toEqual(['agg_0', 'agg_1', 'orders_0', 'orders_1']);
  });

  test('gives a task only to who can run it, and balances what all can run around that', () => {
    const shared = tasksOf('orders', 6);
    const added = tasksOf('rates', 3);
    const old = (memberId: string): GroupMemberClaims => ({
      memberId,
      claims: [],
      canRun: (task) => task.startsWith('orders'),
    });
    const assigned = assignTasks([old('a'), old('b'), member('c', -1)], [...shared, ...added]);
    expect(assigned.get('c')).toEqual(added);
    expect(sizesOf(assigned)).toEqual([3, 3, 3]);
    expect(assignTasks([old('a')], [...shared, ...added]).get('a')).toEqual(shared);
  });
});

/** Moves that balance alone asks of the members that are still there. */
function leastMoves(
  owners: ReadonlyMap<string, string>,
  present: readonly string[],
  taskCount: number,
): number {
  const owned = present
    .map((name) => [...owners.values()].filter((owner) => owner === name).length)
    .sort((a, b) => b - a);
  const least = Math.floor(taskCount / present.length);
  const larger = taskCount % present.length;
  return owned.reduce((sum, size, i) => sum + Math.max(0, size - least - (i < larger ? 1 : 0)), 0);
}

/** Plays generations as members do: each claims what it was given, since when it has had it. */
class Generations {
  readonly #tasks: readonly string[];
  #generation = 0;
  #claims = new Map<string, { task: string; generation: number; since: number }[]>();

  constructor(tasks: readonly string[]) {
    this.#tasks = tasks;
  }

  /** Until nothing changes; who is not named has left. */
  settle(names: readonly string[]): void {
    for (let round = 0; round < 3; round++) this.#play(names);
  }

  owners(): ReadonlyMap<string, string> {
    const rows = [...this.#claims].flatMap(([name, claims]) =>
      claims.map(({ task }) => [task, name] as const),
    );
    return new Map(rows);
  }

  #play(names: readonly string[]): void {
    this.#generation += 1;
    const generation = this.#generation;
    const members = names.map((memberId) => ({
      memberId,
      claims: this.#claims.get(memberId) ?? [],
    }));
    const assigned = assignTasks(members, this.#tasks);
    this.#claims = new Map(
      members.map(({ memberId, claims }) => {
        const since = new Map(claims.map((claim) => [claim.task, claim.since]));
        const given = assigned.get(memberId)!;
        const kept = given.map((task) => ({
          task,
          generation,
          since: since.get(task) ?? generation,
        }));
        return [memberId, kept];
      }),
    );
  }
}

/** Plays generations: each member claims what it was given in the last one and still claims. */
function settle(members: readonly GroupMemberClaims[], ids: readonly string[], count: number) {
  const rounds: TaskAssignment[] = [];
  let claiming = members;
  for (let generation = 10; generation < 10 + count; generation++) {
    const assigned = assignTasks(claiming, ids);
    rounds.push(assigned);
    claiming = claiming.map(({ memberId }) =>
      member(memberId, generation, ...(assigned.get(memberId) ?? [])),
    );
  }
  return rounds;
}
