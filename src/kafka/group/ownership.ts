/**
 * The tasks of one group member, from the generation that gave them to the moment they are let go.
 *
 * Owned by `member.ts`, pure: it tells what to assign and what to revoke.
 *
 *   (absent) ──assigned──► running ──not in the assignment──► revoking ──released──► (absent)
 *
 * I1. A task is claimed as long as it is here, revoking ones included: nobody else may get it before
 *     its last step has ended.
 * I2. A running task is in every assignment that was received since it began.
 * I3. What began before `clear` has no effect on what begins after it.
 */
import type { Claim } from './member-words.ts';

export interface OwnedTask {
  readonly id: string;
  /** First generation that gave it to us. */
  readonly since: number;
  /** Last generation that did. */
  last: number;
  state: 'running' | 'revoking';
}

export interface Received {
  readonly added: readonly string[];
  readonly revoked: readonly OwnedTask[];
}

export class Ownership {
  readonly #tasks = new Map<string, OwnedTask>();
  #assigned: ReadonlySet<string> = new Set();
  #generation = -1;

  get size(): number {
    return this.#tasks.size;
  }

  /** What joins the group with us. */
  claims(): Claim[] {
    return [...this.#tasks.values()].map(({ id, last, since }) => ({
      task: id,
      generation: last,
      since,
    }));
  }

  receive(assigned: readonly string[], generation: number): Received {
    this.#assigned = new Set(assigned);
    this.#generation = generation;
    const revoked: OwnedTask[] = [];
    for (const task of this.#tasks.values()) {
      if (this.#assigned.has(task.id)) {
        task.last = generation;
      } else if (task.state === 'running') {
        task.state = 'revoking';
        revoked.push(task);
      }
    }
    return { added: this.#begin(assigned), revoked };
  }

  /**
   * The revoked tasks have ended. Returns those that a later generation has given back meanwhile:
   * they begin anew.
   */
  release(tasks: readonly OwnedTask[]): string[] {
    const ended = tasks.filter((task) => this.#tasks.get(task.id) === task).map(({ id }) => id);
    for (const id of ended) this.#tasks.delete(id);
    return this.#begin(ended.filter((id) => this.#assigned.has(id)));
  }

  clear(): void {
    this.#tasks.clear();
    this.#assigned = new Set();
    this.#generation = -1;
  }

  ownedSince(id: string, generation: number): boolean {
    const task = this.#tasks.get(id);
    return task !== undefined && task.state === 'running' && task.since <= generation;
  }

  #begin(ids: readonly string[]): string[] {
    const added = ids.filter((id) => !this.#tasks.has(id));
    const generation = this.#generation;
    for (const id of added) {
      this.#tasks.set(id, { id, since: generation, last: generation, state: 'running' });
    }
    return added;
  }
}
