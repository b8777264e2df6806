/**
 * Which member runs which task: the decision of the group's leader, pure.
 *
 * Called by `member.ts` of the leader between JoinGroup and SyncGroup.
 *
 * I1. Every task is given to at most one member, and no member gets more than one task above another.
 *     That holds of the target; while tasks move, some are given to nobody (I3).
 * I2. Sticky: as many tasks as the balance allows stay with the member that runs them.
 * I3. A task changes hands over two generations: in the first it is given to nobody, its owner sees
 *     that it is revoked and joins again without it; then it is free.
 * I4. The owner is who claims a task with the highest generation. Of two claims of one generation
 *     neither holds, and both members give the task up before anyone gets it.
 * I5. The result does not depend on the order of members or tasks.
 */
import type { Claim } from './subscription.ts';

export interface GroupMemberClaims {
  readonly memberId: string;
  readonly claims: readonly Claim[];
}

/** Tasks by member id; every member has an entry. */
export type TaskAssignment = ReadonlyMap<string, readonly string[]>;

interface Load {
  readonly memberId: string;
  /** Tasks it runs, by a valid claim. */
  readonly owned: string[];
  readonly kept: string[];
  readonly given: string[];
}

export function assignTasks(
  members: readonly GroupMemberClaims[],
  tasks: readonly string[],
): TaskAssignment {
  const loads = new Map<string, Load>();
  for (const { memberId } of [...members].sort((a, b) => compare(a.memberId, b.memberId))) {
    loads.set(memberId, { memberId, owned: [], kept: [], given: [] });
  }
  if (loads.size === 0) return new Map();
  const sorted = [...new Set(tasks)].sort(byName);
  const owners = ownersOf(members);
  const free: string[] = [];
  for (const task of sorted) {
    const owner = owners.get(task);
    if (owner === undefined) free.push(task);
    else if (owner !== CONTESTED) loads.get(owner)!.owned.push(task);
  }
  const moving = keepWithinQuota([...loads.values()], sorted.length);
  // A moving or contested task takes its place in the target, but is not handed out yet (I3, I4).
  const contested = sorted.filter((task) => owners.get(task) === CONTESTED);
  placeEvenly(loads, free, new Set([...moving, ...contested]));
  return new Map(
    [...loads.values()].map(({ memberId, kept, given }) => [
      memberId,
      [...kept, ...given].sort(byName),
    ]),
  );
}

const CONTESTED = Symbol('contested');

/** I4. */
function ownersOf(members: readonly GroupMemberClaims[]): Map<string, string | typeof CONTESTED> {
  const best = new Map<string, number>();
  const owners = new Map<string, string | typeof CONTESTED>();
  for (const { memberId, claims } of members) {
    for (const { task, generation } of claims) {
      const highest = best.get(task);
      if (highest === undefined || generation > highest) {
        best.set(task, generation);
        owners.set(task, memberId);
      } else if (generation === highest && owners.get(task) !== memberId) {
        owners.set(task, CONTESTED);
      }
    }
  }
  return owners;
}

/**
 * I2: each member keeps what it runs, up to its share. Those who run most get the larger shares.
 * Returns the tasks that must move.
 */
function keepWithinQuota(loads: readonly Load[], taskCount: number): string[] {
  const least = Math.floor(taskCount / loads.length);
  let larger = taskCount % loads.length;
  const moving: string[] = [];
  const byLoad = [...loads].sort((a, b) => b.owned.length - a.owned.length);
  for (const load of byLoad) {
    const share = least + (larger > 0 ? 1 : 0);
    if (larger > 0) larger -= 1;
    const owned = load.owned.sort(byPartition);
    load.kept.push(...owned.slice(0, share));
    moving.push(...owned.slice(share));
  }
  return moving.sort(byName);
}

/** Each task to the least loaded member; `withheld` ones count as its load but are not given. */
function placeEvenly(
  loads: ReadonlyMap<string, Load>,
  free: readonly string[],
  withheld: ReadonlySet<string>,
): void {
  const sizes = new Map([...loads.values()].map((load) => [load, load.kept.length]));
  for (const task of [...free, ...withheld]) {
    let least: Load | null = null;
    for (const load of loads.values()) {
      if (least === null || sizes.get(load)! < sizes.get(least)!) least = load;
    }
    sizes.set(least!, sizes.get(least!)! + 1);
    if (!withheld.has(task)) least!.given.push(task);
  }
}

interface TaskName {
  readonly name: string;
  readonly partition: number;
}

function parse(task: string): TaskName {
  const cut = task.lastIndexOf('_');
  const number = task.slice(cut + 1);
  if (cut < 0 || !/^\d{1,9}$/.test(number)) return { name: task, partition: -1 };
  return { name: task.slice(0, cut), partition: Number(number) };
}

/** Handed out in this order, neighbours of one sub-topology go to different members. */
function byName(a: string, b: string): number {
  const one = parse(a);
  const other = parse(b);
  return compare(one.name, other.name) || one.partition - other.partition || compare(a, b);
}

/** Kept in this order, what a member keeps and gives up is spread over the sub-topologies. */
function byPartition(a: string, b: string): number {
  const one = parse(a);
  const other = parse(b);
  return one.partition - other.partition || compare(one.name, other.name) || compare(a, b);
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
