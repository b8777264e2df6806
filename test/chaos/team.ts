/** The processes of a chaos run together: two static members of the group and two dynamic ones. */
import { type Ending, Member, type MemberOptions } from './member.ts';
import { PARTITIONS } from './topology.ts';

const NAMES = ['static-1', 'static-2', 'dynamic-1', 'dynamic-2'];
const RUNNING_MS_MOST = 300_000;
const STOP_MS_MOST = 120_000;
const POLL_MS = 50;

export class Team {
  readonly members: readonly Member[];

  constructor(options: Omit<MemberOptions, 'name' | 'membership'>) {
    this.members = NAMES.map((name) => {
      const membership = name.startsWith('static') ? 'static' : 'dynamic';
      return new Member({ ...options, name, membership });
    });
  }

  get rebalances(): number {
    return this.members.reduce((sum, { rebalances }) => sum + rebalances, 0);
  }

  /** Starts those that are down. */
  start(): void {
    for (const member of this.members) member.start();
  }

  /** After the first start: waits until they share all tasks. `check` may throw. */
  async untilRunning(check: () => void): Promise<void> {
    const deadline = performance.now() + RUNNING_MS_MOST;
    for (;;) {
      check();
      // One that reached no broker has ended.
      this.start();
      const owned = this.members.flatMap(({ tasks }) => tasks).length;
      if (owned === 2 * PARTITIONS && this.members.every(({ isRunning }) => isRunning)) return;
      const [ending] = this.members.flatMap(({ endings }) => endings);
      if (ending !== undefined) throw new Error(`${ending.writer} ended: ${ending.reason}`);
      if (performance.now() > deadline) throw new Error('the processes did not start in time');
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** SIGTERM to all; returns what did not end as it should, now or before. */
  async stop(): Promise<string[]> {
    const endings = await Promise.all(this.members.map((member) => member.stop(STOP_MS_MOST)));
    const bad = this.members.flatMap(({ writer }, at) =>
      endings[at] === 0 ? [] : [`${writer} ended with ${endings[at]} on SIGTERM`],
    );
    return [...bad, ...this.#endings()];
  }

  /** SIGKILL, for good. */
  async end(): Promise<void> {
    await Promise.all(this.members.map((member) => member.end()));
  }

  /** Who has which tasks, for people. */
  describe(): string {
    return this.members
      .map(({ writer, state, tasks }) => `${writer} ${state} ${tasks.join()}`)
      .join('; ');
  }

  /** Those that ended by themselves, the first of each reason told whole. */
  #endings(): string[] {
    const byCode = new Map<string, Ending[]>();
    for (const ending of this.members.flatMap(({ endings }) => endings)) {
      byCode.set(ending.code, [...(byCode.get(ending.code) ?? []), ending]);
    }
    return [...byCode].map(([code, [first, ...more]]) => {
      const others = more.length === 0 ? '' : ` (and ${more.length} more)`;
      return `${first!.writer} ended by itself: ${code}: ${first!.reason.split('\n')[0]}${others}`;
    });
  }
}
