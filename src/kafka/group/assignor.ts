/**
 * Which member runs which task: the decision of the group's leader, pure.
 *
 * Called by `assignment-round.ts` of the leader between JoinGroup and SyncGroup.
 *
 * I1. Every task is given to at most one member, and no member gets more than one task above another.
 *     That holds of the target; while tasks move, some are given to nobody (I3).
 * I2. Sticky: as few tasks as the balance allows leave the member that runs them, and those leave
 *     first that came last: in a rolling restart what had to go away comes back, and nothing else moves.
 * I3. A task changes hands over two generations: in the first it is given to nobody, its owner sees
 *     that it is revoked and joins again without it; then it is free.
 * I4. The owner is who claims a task with the highest generation. Of two claims of one generation
 *     neither holds, and both members give the task up before anyone gets it.
 * I5. The result does not depend on the order of members or tasks.
 * I6. A task is given only to a member that can run it. Tasks that the same members can run are
 *     balanced as one set, those with the fewest such members first; I1 holds within each set.
 * I7. Where I1 and I2 leave a choice, the tasks of one sub-topology are spread over the members.
 */

import type { Claim } from './member-words.ts';
import { byName, compare, taskName } from './task-name.ts';

export interface GroupMemberClaims {
  readonly memberId: string;
  readonly claims: readonly Claim[];
  /** Default: it can run every task. */
  readonly canRun?: (task: string) => boolean;
}

/** Tasks by member id; every member has an entry. */
export type TaskAssignment = ReadonlyMap<string, readonly string[]>;

interface OwnedTask {
  readonly task: string;
  readonly since: number;
}

/** What is decided of one member so far. */
interface Load {
  readonly memberId: string;
  readonly given: string[];
  /** Tasks in the target, those included that are not handed out yet. */
  size: number;
  /** The same by sub-topology. */
  readonly sizes: Map<string, number>;
}

/** A member within one set of tasks (I6). */
interface Share {
  readonly load: Load;
  /** By valid claims, those that came first at the front. */
  readonly owned: readonly OwnedTask[];
  /** How many tasks of the set it may have; what is taken is taken off. */
  quota: number;
}

export function assignTasks(
  members: readonly GroupMemberClaims[],
  tasks: readonly string[],
): TaskAssignment {
  const sorted = [...members].sort((a, b) => compare(a.memberId, b.memberId));
  const loads = new Map<string, Load>();
  for (const { memberId } of sorted) {
    loads.set(memberId, { memberId, given: [], size: 0, sizes: new Map() });
  }
  const owners = ownersOf(sorted);
  for (const { tasks: set, capable } of setsOf(sorted, tasks)) {
    balance(
      set,
      capable.map(({ memberId }) => loads.get(memberId)!),
      owners,
    );
  }
  return new Map([...loads.values()].map(({ memberId, given }) => [memberId, given.sort(byName)]));
}

const CONTESTED = Symbol('contested');

interface Owner {
  readonly memberId: string | typeof CONTESTED;
  readonly generation: number;
  readonly since: number;
}

/** I4. */
function ownersOf(members: readonly GroupMemberClaims[]): ReadonlyMap<string, Owner> {
  const owners = new Map<string, Owner>();
  for (const { memberId, claims } of members) {
    for (const { task, generation, since } of claims) {
      const best = owners.get(task);
      if (best === undefined || generation > best.generation) {
        owners.set(task, { memberId, generation, since });
      } else if (generation === best.generation) {
        const only = best.memberId === memberId ? memberId : CONTESTED;
        owners.set(task, { ...best, memberId: only, since: Math.min(since, best.since) });
      }
    }
  }
  return owners;
}

interface TaskSet {
  readonly tasks: string[];
  readonly capable: readonly GroupMemberClaims[];
}

/** I6. One set when every member can run everything; tasks that nobody can run are left out. */
function setsOf(members: readonly GroupMemberClaims[], tasks: readonly string[]): TaskSet[] {
  const sets = new Map<string, TaskSet>();
  for (const task of [...new Set(tasks)].sort(byName)) {
    const capable = members.filter(({ canRun }) => canRun === undefined || canRun(task));
    if (capable.length === 0) continue;
    const key = JSON.stringify(capable.map(({ memberId }) => memberId));
    const set = sets.get(key);
    if (set === undefined) sets.set(key, { tasks: [task], capable });
    else set.tasks.push(task);
  }
  // Stable: sets of one size stay in the order of their first tasks.
  return [...sets.values()].sort((a, b) => a.capable.length - b.capable.length);
}

function balance(
  tasks: readonly string[],
  loads: readonly Load[],
  owners: ReadonlyMap<string, Owner>,
): void {
  const owned = new Map<string, OwnedTask[]>(loads.map(({ memberId }) => [memberId, []]));
  const free: string[] = [];
  const withheld: string[] = [];
  for (const task of tasks) {
    const owner = owners.get(task);
    const list = typeof owner?.memberId === 'string' ? owned.get(owner.memberId) : undefined;
    if (owner === undefined) free.push(task);
    else if (list === undefined) withheld.push(task);
    else list.push({ task, since: owner.since });
  }
  const shares = loads.map((load): Share => {
    const list = owned.get(load.memberId)!.sort((a, b) => a.since - b.since);
    return { load, owned: list, quota: 0 };
  });
  setQuotas(shares, tasks.length);
  for (const share of shares) withheld.push(...keep(share));
  // A moving or contested task takes its place in the target, but is not handed out yet (I3, I4).
  for (const task of free) place(task, shares).given.push(task);
  for (const task of withheld.sort(byName)) place(task, shares);
}

/**
 * I1, I2: unit by unit to who has least. Among equals it goes to who has most to keep with it, and
 * then to who has had it longest.
 */
function setQuotas(shares: readonly Share[], count: number): void {
  for (let unit = 0; unit < count; unit++) {
    let least = shares[0]!;
    for (const share of shares) if (comesBefore(share, least)) least = share;
    least.quota += 1;
  }
}

function comesBefore(a: Share, b: Share): boolean {
  const bySize = a.load.size + a.quota - (b.load.size + b.quota);
  if (bySize !== 0) return bySize < 0;
  const byKept = b.owned.length - b.quota - (a.owned.length - a.quota);
  if (byKept !== 0) return byKept < 0;
  const [next, other] = [a.owned[a.quota], b.owned[b.quota]];
  return next !== undefined && other !== undefined && next.since < other.since;
}

/**
 * I2, I7: keeps the tasks that came first, and of those that came at once an even mix. Returns the
 * rest.
 */
function keep(share: Share): string[] {
  const { load } = share;
  const left = [...share.owned];
  for (; share.quota > 0 && left.length > 0; share.quota -= 1) {
    const { since } = left[0]!;
    let best = 0;
    for (let i = 1; i < left.length && left[i]!.since === since; i++) {
      if (isKeptBefore(left[i]!.task, left[best]!.task, load)) best = i;
    }
    const [kept] = left.splice(best, 1);
    take(load, kept!.task);
    load.given.push(kept!.task);
  }
  return left.map(({ task }) => task);
}

function isKeptBefore(a: string, b: string, load: Load): boolean {
  const bySpread = sizeOf(load, a) - sizeOf(load, b);
  if (bySpread !== 0) return bySpread < 0;
  const byPartition = taskName(a).partition - taskName(b).partition;
  return byPartition === 0 ? byName(a, b) < 0 : byPartition < 0;
}

/** I7: to the member with room that has fewest of the sub-topology, and then to who has most room. */
function place(task: string, shares: readonly Share[]): Load {
  let best: Share | null = null;
  for (const share of shares) {
    if (share.quota === 0) continue;
    if (best === null || isPlacedBefore(task, share, best)) best = share;
  }
  best!.quota -= 1;
  take(best!.load, task);
  return best!.load;
}

function isPlacedBefore(task: string, a: Share, b: Share): boolean {
  const bySpread = sizeOf(a.load, task) - sizeOf(b.load, task);
  return bySpread === 0 ? a.quota > b.quota : bySpread < 0;
}

function sizeOf(load: Load, task: string): number {
  return load.sizes.get(taskName(task).subTopology) ?? 0;
}

function take(load: Load, task: string): void {
  load.size += 1;
  load.sizes.set(taskName(task).subTopology, sizeOf(load, task) + 1);
}
