/**
 * One replay of what a test did, with commits, aborts and crashes where a pattern wants them.
 *
 * What must not depend on them is what each task writes to each partition, in order. Where tasks
 * write into one partition that other tasks read, their order is part of the input; so:
 *
 * I1. Of the tasks that feed others at most one has done records that are not committed: it commits
 *     before another task gets a record, and before the test pipes one to another task; to any
 *     task where records come back to a topic that they have been in.
 * I2. A task whose records meet again in several partitions commits behind each of them, since the
 *     order of one step's records across partitions is nobody's promise.
 * I3. A record is disturbed once: what is redone goes on or commits, so every replay ends.
 */
import { systemPorts } from '../ports.ts';
import type { ApplicationPlan } from '../runtime/application-plan.ts';
import type { Drive } from './drive.ts';
import type { DrivenTask } from './driven-task.ts';
import type { ManualTime } from './manual-time.ts';
import { Patience } from './patience.ts';
import type { Pattern, Turn } from './patterns.ts';
import type { LoggedRecord } from './topic-logs.ts';

/** What a test did, in order. */
export type Deed =
  | { readonly kind: 'pipe'; readonly record: LoggedRecord }
  | { readonly kind: 'advance'; readonly ms: number }
  | { readonly kind: 'idle' };

export interface ReplayParts {
  readonly drive: Drive;
  readonly time: ManualTime;
  readonly pattern: Pattern;
  /** Builds the topology anew, as a process does that starts. */
  readonly restart: () => Promise<ApplicationPlan>;
}

/** Without an end of anything, after which work waits for a time limit. */
const STALL_MS = 50;

export class Replay {
  readonly #parts: ReplayParts;
  /** How far each task has been, by its id. */
  readonly #reached = new Map<string, number>();
  /**
   * What the test moved the clock by, up to now. Work that ran into a time limit by it runs into it
   * again when its record is redone, where the test says nothing: then as much time passes again.
   */
  #advancedMs = 0;
  #piped = 0;

  constructor(parts: ReplayParts) {
    this.#parts = parts;
  }

  async run(deeds: readonly Deed[]): Promise<void> {
    const { time } = this.#parts;
    for (const deed of deeds) {
      if (deed.kind === 'pipe') await this.#pipe(deed.record);
      else if (deed.kind === 'idle') await this.#idle();
      else {
        this.#advancedMs += deed.ms;
        time.advance(deed.ms);
        await this.#drain();
      }
    }
    await this.#idle();
    await this.#end();
  }

  async #pipe(record: LoggedRecord): Promise<void> {
    const { drive } = this.#parts;
    // What comes back meets what is piped: as in the test, it all comes before.
    const but = drive.feedsItself ? undefined : drive.readerOf(record);
    for (let fed = this.#feeder(but); fed !== null; fed = this.#feeder(but)) {
      await commit(fed);
      await this.#drain();
    }
    drive.logs.append(record);
    // What the records before have caused may be written only now.
    this.#piped += 1;
    drive.allow(this.#piped);
    await this.#drain();
  }

  /** Delivers what waits. */
  async #drain(): Promise<void> {
    const { drive } = this.#parts;
    for (let task = drive.next(); task !== null; task = drive.next()) {
      const feeder = this.#feeder(task);
      if (feeder !== null) {
        await commit(feeder);
        continue;
      }
      drive.deliver(task);
      await this.#turn(task);
    }
  }

  /** I1. */
  #feeder(but: DrivenTask | undefined): DrivenTask | null {
    const { tasks } = this.#parts.drive;
    const feeds = (task: DrivenTask): boolean => task.feeds !== 'none' && isOpen(task);
    return tasks.find((task) => task !== but && feeds(task)) ?? null;
  }

  /** Until everything that was delivered is done. */
  async #idle(): Promise<void> {
    const { drive } = this.#parts;
    const patience = new Patience();
    let moved = '';
    let movedMs = 0;
    for (;;) {
      await this.#drain();
      for (const task of drive.tasks) {
        task.work();
        await this.#turn(task);
      }
      if (drive.next() === null && drive.tasks.every(({ isDone }) => isDone)) return;
      const waitedMs = patience.waitedMs();
      const ends = drive.tasks.map(({ progress }) => progress).join();
      if (ends !== moved) movedMs = waitedMs;
      moved = ends;
      if (this.#advancedMs > 0 && waitedMs - movedMs > STALL_MS) {
        this.#parts.time.advance(this.#advancedMs);
        movedMs = waitedMs;
      }
      await systemPorts.timers.turn();
    }
  }

  async #end(): Promise<void> {
    const { drive, pattern } = this.#parts;
    let last = pattern.last;
    for (let moved = this.#moved(); moved.length > 0; moved = this.#moved()) {
      for (const task of moved) {
        if (last === 'commit') await commit(task);
        else if (last === 'abort' && task.isHeld) await task.answer('abort');
        else if (last === 'abort') await task.disturb('abort');
        else await this.#crash(task);
      }
      last = 'commit';
      await this.#idle();
    }
    drive.release();
  }

  #moved(): readonly DrivenTask[] {
    return this.#parts.drive.tasks.filter(isOpen);
  }

  async #turn(task: DrivenTask): Promise<void> {
    if (!task.isMoved) return;
    const { pattern } = this.#parts;
    const { id } = task.plan;
    const isNew = task.progress > (this.#reached.get(id) ?? -1);
    if (task.isHeld) {
      const fate = pattern.held();
      await task.answer(fate);
      // The records of both steps are done again.
      if (fate === 'abort') return;
    }
    const turn = pattern.turn(isNew ? 'new' : 'redone');
    if (isNew) this.#reached.set(id, task.progress);
    const mustCommit = task.feeds === 'many' && (turn === 'go on' || turn === 'hold');
    await this.#act(task, mustCommit ? 'commit' : turn);
  }

  async #act(task: DrivenTask, turn: Turn): Promise<void> {
    if (turn === 'hold') task.hold();
    if (turn === 'commit' || turn === 'crash after commit') task.commit();
    if (turn === 'crash' || turn === 'crash after commit') await this.#crash(task);
    if (turn === 'abort' || turn === 'answer lost') await task.disturb(turn);
  }

  async #crash(task: DrivenTask): Promise<void> {
    await task.crash(await this.#parts.restart());
  }
}

/** It has done what the topics do not show yet. */
function isOpen({ isMoved, isHeld }: DrivenTask): boolean {
  return isMoved || isHeld;
}

/** Of everything that is done, the held step included. */
async function commit(task: DrivenTask): Promise<void> {
  if (task.isHeld) await task.answer('commit');
  task.commit();
}
