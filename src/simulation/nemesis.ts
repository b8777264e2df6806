/** Makes things go wrong, at the rates of a fault plan, while it is let loose; counts what it did. */
import type { Broker } from '../broker/broker.ts';
import { endTxn } from '../kafka/protocol/end-txn.ts';
import { produce } from '../kafka/protocol/produce.ts';
import { txnOffsetCommit } from '../kafka/protocol/txn-offset-commit.ts';
import type { Cast, Slot } from './cast.ts';
import type { FaultRates } from './faults.ts';
import type { Passage, Strike } from './network.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import type { VirtualTime } from './virtual-time.ts';
import type { UserCode } from './workload.ts';

export interface NemesisOptions {
  readonly rates: FaultRates;
  readonly random: SeededRandom;
  readonly time: VirtualTime;
  readonly broker: Broker;
  readonly groupId: string;
  /** A process that is paused for longer is a zombie. */
  readonly sessionTimeoutMs: number;
  readonly note: (who: string, what: string) => void;
  /** Strikes chosen one by one, asked before the dice are thrown. */
  readonly strike: ((passage: Passage) => Strike | null) | null;
}

type ProcessMishap = 'kill' | 'stop' | 'storm' | 'pause' | 'clockJump';
type Mishap = keyof FaultRates['perSecond'];

const PROCESS_MISHAPS: readonly ProcessMishap[] = ['kill', 'stop', 'storm', 'pause', 'clockJump'];
const CLUSTER_MISHAPS = ['nodeDown', 'leaderMove', 'coordinatorMove', 'replicasLow'] as const;
const REPLICAS_LOW_MS_MOST = 1_000;
const STORM_MS = 2_000;
const STOPS_IN_A_STORM = [3, 9] as const;
/** First version of each transactional API that is of transactions v2. */
const REPLAYED_SINCE = new Map([
  [produce.key, 12],
  [txnOffsetCommit.key, 5],
  [endTxn.key, 5],
]);
const DAY_MS = 86_400_000;
const CALL_MS_MOST = 50;

export class Nemesis {
  readonly #options: NemesisOptions;
  readonly #struck: Record<string, number> = {};
  #cast: Cast | null = null;
  #state: 'loose' | 'bound' = 'loose';

  constructor(options: NemesisOptions) {
    this.#options = options;
  }

  /** How often each kind of fault struck, and what the broker gave up because of them. */
  get struck(): Readonly<Record<string, number>> {
    return this.#struck;
  }

  haunt(cast: Cast): void {
    this.#cast = cast;
    for (const mishap of PROCESS_MISHAPS) {
      this.#schedule(mishap, () => {
        this.#befall(mishap, this.#options.random.pick(cast.slots));
      });
    }
    for (const mishap of CLUSTER_MISHAPS) {
      this.#schedule(mishap, () => this.#disturbCluster(mishap));
    }
  }

  /** From now on nothing goes wrong any more; what is paused or down goes on. */
  bind(): void {
    const { broker } = this.#options;
    this.#state = 'bound';
    const { sessionTimeouts, transactionTimeouts, slowMarkers } = broker.counts;
    this.#count('session-timeout', sessionTimeouts);
    this.#count('transaction-timeout', transactionTimeouts);
    this.#count('slow-marker', slowMarkers);
    for (let node = 0; node < broker.settings.nodes; node++) broker.startNode(node);
    for (const { name, partitions } of broker.topics.all()) {
      for (const index of partitions.keys()) broker.setReplication(name, index, 'enough');
    }
    for (const { process } of this.#cast?.slots ?? []) process?.resume();
  }

  strike(passage: Passage): Strike | null {
    const strike = this.#options.strike?.(passage) ?? this.#draw(passage);
    if (strike === null) return null;
    this.#count('when' in strike ? `${strike.kind}-${strike.when}` : strike.kind);
    if (strike.kind === 'crash') {
      const { process } = passage;
      void process.death.then(() => this.#cast?.buried(process));
    }
    return strike;
  }

  /** What user code in a process may do, faults included. */
  userCode(process: SimulatedProcess): UserCode {
    const { rates, random } = this.#options;
    const own = random.fork(`user ${process.name}`);
    return {
      clock: process.ports.clock,
      disturb: () => {
        if (this.#state === 'bound') return;
        const fails = own.chance(rates.userError);
        if (rates.userStall > 0 && own.chance(rates.userStall)) {
          this.#count('user-stall');
          process.stall(own.fraction() * rates.pauseMsMost);
        }
        if (!fails) return;
        this.#count('user-error');
        throw new Error('user code fails by plan');
      },
      call: async () => {
        if (this.#state === 'loose' && own.chance(rates.userHang)) {
          this.#count('user-hang');
          await new Promise(() => {});
        }
        await process.ports.timers.sleep(own.fraction() * CALL_MS_MOST);
      },
    };
  }

  #draw({ request }: Passage): Strike | null {
    if (this.#state === 'bound') return null;
    const { rates, random } = this.#options;
    const { perRequest } = rates;
    let dice = random.fraction();
    const falls = (rate: number): boolean => {
      dice -= rate;
      return dice < 0;
    };
    if (falls(perRequest.crash)) {
      return { kind: 'crash', when: random.pick(['before', 'applied', 'answered'] as const) };
    }
    const loss = random.chance(0.7) ? 'reset' : 'silence';
    if (falls(perRequest.lostRequest)) return { kind: 'lost-request', loss };
    if (falls(perRequest.lostAnswer)) return { kind: 'lost-answer', loss };
    const delayMs = random.fraction() * rates.lateMsMost;
    if (falls(perRequest.lateRequest)) return { kind: 'late-request', delayMs };
    if (falls(perRequest.lateAnswer)) return { kind: 'late-answer', delayMs };
    if (falls(perRequest.duplicate)) return { kind: 'duplicate' };
    if (falls(perRequest.close)) return { kind: 'close' };
    const isReplayed = request.apiVersion >= (REPLAYED_SINCE.get(request.apiKey) ?? Infinity);
    if (isReplayed && falls(perRequest.replay)) return { kind: 'replay', delayMs };
    return null;
  }

  #schedule(mishap: Mishap, happen: () => void): void {
    const { rates, random, time } = this.#options;
    const rate = rates.perSecond[mishap];
    if (rate <= 0) return;
    // Exponentially distributed pauses: any moment is as likely as any other.
    time.after((-Math.log(1 - random.fraction()) * 1_000) / rate, () => {
      if (this.#state === 'bound') return;
      happen();
      this.#schedule(mishap, happen);
    });
  }

  #befall(mishap: ProcessMishap, slot: Slot): void {
    const { rates, random, time, note, sessionTimeoutMs } = this.#options;
    const { process, instance } = slot;
    if (process === null || process.state !== 'running') return;
    this.#count(mishap);
    note(process.name, mishap);
    switch (mishap) {
      case 'kill':
        this.#cast!.kill(slot);
        return;
      case 'stop':
        process.enter(() => void instance?.stop());
        return;
      case 'storm':
        this.#storm();
        return;
      case 'pause': {
        const durationMs = random.fraction() * rates.pauseMsMost;
        process.pause();
        time.after(durationMs, () => {
          if (process.state === 'paused' && durationMs > sessionTimeoutMs) this.#count('zombie');
          process.resume();
        });
        return;
      }
      case 'clockJump':
        process.setWallClock(Math.round(random.between(-DAY_MS, DAY_MS)));
    }
  }

  #storm(): void {
    const { random, time } = this.#options;
    for (let left = Math.floor(random.between(...STOPS_IN_A_STORM)); left > 0; left--) {
      time.after(random.fraction() * STORM_MS, () => {
        const { process, instance } = random.pick(this.#cast!.slots);
        if (this.#state === 'loose') process?.enter(() => void instance?.stop());
      });
    }
  }

  #disturbCluster(mishap: (typeof CLUSTER_MISHAPS)[number]): void {
    const { broker, rates, random, time, groupId, note } = this.#options;
    const partitions = broker.topics
      .all()
      .flatMap(({ name, partitions: all }) => all.map((_, index) => ({ name, index })));
    const { name, index } = random.pick(partitions);
    const up = broker.nodes();
    // Nothing of a cluster that is down can move.
    if (up.length === 0) return;
    note('cluster', mishap);
    this.#count(mishap);
    switch (mishap) {
      case 'nodeDown': {
        const { id } = random.pick(up);
        // Of a cluster with several nodes one is always left.
        if (up.length === 1 && broker.settings.nodes > 1) return;
        broker.stopNode(id);
        time.after(random.fraction() * rates.downMsMost, () => broker.startNode(id));
        return;
      }
      case 'leaderMove':
        broker.moveLeader(name, index);
        return;
      case 'coordinatorMove': {
        const ids = broker.listTransactions().map(({ transactionalId }) => transactionalId);
        if (ids.length === 0 || random.chance(0.3)) broker.moveCoordinator('group', groupId);
        else broker.moveCoordinator('transaction', random.pick(ids));
        return;
      }
      case 'replicasLow': {
        const kind = random.chance(0.5) ? 'too-few' : 'too-few-after-append';
        broker.setReplication(name, index, kind);
        time.after(random.fraction() * REPLICAS_LOW_MS_MOST, () => {
          broker.setReplication(name, index, 'enough');
        });
      }
    }
  }

  #count(kind: string, times = 1): void {
    if (times > 0) this.#struck[kind] = (this.#struck[kind] ?? 0) + times;
  }
}
