/**
 * What is done to a run, drawn from its seed: storms, in which processes are killed, paused and
 * restarted, brokers die one at a time and the network is bad; and between them probes, in which one
 * thing goes wrong on a quiet system and the time until others have taken over is measured.
 *
 * I1. No broker is killed before all replicas are in sync again: the loss of two is not survived.
 * I2. `run` returns with every process up, every broker up and the network whole.
 */
import type { SeededRandom } from '../../src/simulation/seeded-random.ts';
import type { RealNode } from '../integration/real/kafka-cluster.ts';
import type { Member } from './member.ts';
import { CALM, Sky, type Weather } from './network-chaos.ts';
import type { ProxiedCluster } from './proxied-cluster.ts';
import type { TakeOver } from './take-over.ts';
import type { Timeline } from './timeline.ts';
import { PARTITIONS } from './topology.ts';

export interface NemesisOptions {
  readonly members: readonly Member[];
  readonly cluster: ProxiedCluster;
  readonly random: SeededRandom;
  readonly timeline: Timeline;
  readonly sessionTimeoutMs: number;
  readonly afterKill: TakeOver;
  readonly afterTerm: TakeOver;
}

/** Two for each partition: the one that reads the input and the one that keeps the accounts. */
const TASKS = 2 * PARTITIONS;
const STORM_MS = 26_000;
/** On a slow machine there is less of everything in the same time. */
const MORE_MS_MOST = 600_000;
/** What a broker needs to be away for a while, to start and to come into sync. */
const BROKER_MS = 10_000;
const BROKER_STARTS_MOST = 3;
const SETTLE_MS_MOST = 30_000;
/** A member that has just joined is given its tasks in a generation that comes soon. */
const REST_MS = 1_500;
const TAKE_OVER_MS_MOST = 15_000;
const STOP_MS_MOST = 15_000;
const POLL_MS = 20;

export class Nemesis {
  readonly #options: NemesisOptions;
  readonly #sky: Sky;
  #isStopped = false;
  /** Times that a quiet system did not come to rest. */
  unsettled = 0;

  constructor(options: NemesisOptions) {
    this.#options = options;
    this.#sky = new Sky(options.random.fork('sky'));
  }

  /** Ends the run at its next look. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Storms and probes for a time, and for some more while `isComplete` does not hold. */
  async run(durationMs: number, isComplete: () => boolean): Promise<void> {
    const end = performance.now() + durationMs;
    const left = (): number => {
      const now = performance.now();
      if (this.#isStopped || (now >= end && isComplete())) return 0;
      return (now < end ? end : end + MORE_MS_MOST) - now;
    };
    while (left() > 0) {
      await this.#storm(Math.min(STORM_MS, left()));
      if (left() > 0 && (await this.#settled())) await this.#probeKill();
      if (left() > 0 && (await this.#settled())) await this.#probeTerm();
    }
  }

  async #storm(durationMs: number): Promise<void> {
    const { random, timeline } = this.#options;
    timeline.tell('storm');
    const end = performance.now() + durationMs;
    const every = async (
      name: string,
      pauseMs: readonly [number, number],
      act: (random: SeededRandom) => Promise<void>,
    ): Promise<void> => {
      const own = random.fork(`${name} ${timeline.count('storm')}`);
      for (;;) {
        await this.#sleep(own.between(...pauseMs), end);
        if (this.#isOver(end)) return;
        await act(own);
      }
    };
    await Promise.all([
      every('kill', [350, 1_300], (own) => this.#kill(own)),
      every('pause', [500, 3_000], (own) => this.#pause(own)),
      every('term', [3_000, 9_000], (own) => this.#restart(own)),
      every('broker', [1_000, 8_000], async (own) => {
        if (!this.#isOver(end - BROKER_MS)) await this.#killBroker(own);
      }),
      every('supervise', [200, 400], () => this.#startDead()),
      this.#weather(random.fork(`weather ${timeline.count('storm')}`), end),
    ]);
    this.#setWeather(CALM);
    for (const member of this.#options.members) member.resume();
    await this.#startDead();
    timeline.tell('calm');
  }

  async #weather(random: SeededRandom, end: number): Promise<void> {
    // By turns, so that a short run on a slow machine aims at every request too.
    for (let turn = 0; !this.#isOver(end); turn += 1) {
      this.#setWeather(turn % 2 === 0 ? this.#sky.aimed() : this.#sky.next());
      await this.#sleep(random.between(2_000, 6_000), end);
    }
  }

  #setWeather({ name, plan, lifeMs }: Weather): void {
    const { cluster, timeline } = this.#options;
    timeline.tell(`network: ${name}`);
    cluster.setPlan(plan);
    cluster.setLives(lifeMs);
  }

  async #kill(random: SeededRandom): Promise<void> {
    const victim = this.#pick(random, ({ condition }) => condition === 'up');
    if (victim === null) return;
    this.#options.timeline.tell('kill', { writer: victim.writer, tasks: victim.tasks });
    await victim.kill();
    await this.#sleep(random.between(0, 600));
    victim.start();
  }

  /** Longer than its session, so that somebody else does its work when it wakes. */
  async #pause(random: SeededRandom): Promise<void> {
    const { timeline, sessionTimeoutMs } = this.#options;
    const victim = this.#pick(
      random,
      ({ condition, tasks }) => condition === 'up' && tasks.length > 0,
    );
    if (victim === null) return;
    const { writer } = victim;
    timeline.tell('pause', { writer, tasks: victim.tasks });
    victim.pause();
    await this.#sleep(sessionTimeoutMs * random.between(1.1, 1.6));
    if (victim.writer !== writer || victim.condition !== 'paused') return;
    timeline.tell('zombie', { writer });
    victim.resume();
  }

  async #restart(random: SeededRandom): Promise<void> {
    const victim = this.#pick(random, ({ isRunning }) => isRunning);
    if (victim === null) return;
    this.#options.timeline.tell('term', { writer: victim.writer });
    await victim.stop(STOP_MS_MOST);
    victim.start();
  }

  async #killBroker(random: SeededRandom): Promise<void> {
    const { cluster, timeline } = this.#options;
    if (!(await this.#brokersWell('in sync'))) return;
    const node = random.pick(cluster.cluster.nodes);
    timeline.tell('broker kill', { node: node.id });
    await node.kill();
    await this.#sleep(random.between(1_000, 5_000));
    await this.#startAgain(node);
    timeline.tell('broker up', { node: node.id });
  }

  /** A machine on which everything else starts at the same time may need longer than one try. */
  async #startAgain(node: RealNode): Promise<void> {
    for (let left = BROKER_STARTS_MOST; ; left -= 1) {
      try {
        await node.restart();
        return;
      } catch (error) {
        if (left === 1 || this.#isStopped) throw error;
        this.#options.timeline.tell('broker not up', { node: node.id, error });
      }
    }
  }

  /** As any supervisor would. */
  async #startDead(): Promise<void> {
    for (const member of this.#options.members) member.start();
  }

  async #probeKill(): Promise<void> {
    const { afterKill, timeline, random } = this.#options;
    const own = random.fork(`probe kill ${timeline.count('probe kill')}`);
    const victim = this.#pick(own, (each) => each.membership === 'dynamic' && owns(each));
    if (victim === null) return;
    timeline.tell('probe kill', { writer: victim.writer, partitions: owned(victim) });
    const taken = afterKill.watch(victim.writer, owned(victim));
    await victim.kill();
    await this.#within(taken, afterKill, 'kill');
    victim.start();
  }

  async #probeTerm(): Promise<void> {
    const { afterTerm, timeline, random } = this.#options;
    const own = random.fork(`probe term ${timeline.count('probe term')}`);
    const victim = this.#pick(own, (each) => each.membership === 'dynamic' && owns(each));
    if (victim === null) return;
    timeline.tell('probe term', { writer: victim.writer, partitions: owned(victim) });
    const taken = afterTerm.watch(victim.writer, owned(victim));
    await Promise.all([victim.stop(STOP_MS_MOST), this.#within(taken, afterTerm, 'term')]);
    victim.start();
  }

  async #within(taken: Promise<void>, watched: TakeOver, what: string): Promise<void> {
    let isTaken = false;
    void taken.then(() => {
      isTaken = true;
    });
    const end = performance.now() + TAKE_OVER_MS_MOST;
    while (!isTaken && !this.#isOver(end)) await this.#sleep(POLL_MS);
    if (isTaken) return;
    watched.forget();
    if (!this.#isStopped) this.#options.timeline.tell('not taken over', { after: what });
  }

  /** Waits until no leader moves any more and the processes share all tasks. */
  async #settled(): Promise<boolean> {
    const { members, timeline } = this.#options;
    const began = performance.now();
    const end = began + SETTLE_MS_MOST;
    if (!(await this.#brokersWell('balanced'))) return false;
    timeline.tell('balanced', { ms: Math.round(performance.now() - began) });
    let last = '';
    let restsFrom = performance.now();
    for (;;) {
      const tasks = members.flatMap((member) => member.tasks);
      const isWhole = tasks.length === TASKS && new Set(tasks).size === TASKS;
      const isAtRest = isWhole && members.every(({ isRunning }) => isRunning);
      const now = members.map((member) => `${stateOf(member)} ${member.tasks}`).join('; ');
      if (!isAtRest || now !== last) restsFrom = performance.now();
      last = now;
      if (performance.now() - restsFrom > REST_MS) {
        timeline.tell('settled', { ms: Math.round(performance.now() - began) });
        return true;
      }
      await this.#startDead();
      if (this.#isStopped) return false;
      if (performance.now() > end) {
        this.unsettled += 1;
        timeline.tell('not settled', { members: now });
        return false;
      }
      await this.#sleep(POLL_MS);
    }
  }

  async #brokersWell(how: 'in sync' | 'balanced'): Promise<boolean> {
    const { cluster } = this.#options.cluster;
    try {
      await (how === 'balanced' ? cluster.untilBalanced() : cluster.untilInSync());
      return !this.#isStopped;
    } catch (error) {
      this.#options.timeline.tell(`brokers not ${how}`, { error });
      return false;
    }
  }

  #pick(random: SeededRandom, isFit: (member: Member) => boolean): Member | null {
    const fit = this.#options.members.filter(isFit);
    return fit.length === 0 ? null : random.pick(fit);
  }

  #isOver(end: number): boolean {
    return this.#isStopped || performance.now() >= end;
  }

  async #sleep(forMs: number, end = Number.POSITIVE_INFINITY): Promise<void> {
    const until = Math.min(performance.now() + forMs, end);
    while (!this.#isOver(until)) {
      const left = Math.max(0, until - performance.now());
      await new Promise((resolve) => setTimeout(resolve, Math.min(left, 100)));
    }
  }
}

/** Output partitions that this process writes. */
function owned(member: Member): number[] {
  return member.tasks
    .filter((task) => task.startsWith('by-account'))
    .map((task) => Number(task.slice(task.lastIndexOf('_') + 1)));
}

function owns(member: Member): boolean {
  return member.isRunning && owned(member).length > 0;
}

const stateOf = ({ writer, state }: Member): string => `${writer}:${state}`;
