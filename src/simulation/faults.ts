/**
 * What goes wrong in a simulation, how often. A plan is drawn per seed: each kind of fault is left
 * out of many seeds, so that what needs the absence of another fault is found, too.
 */
import type { SeededRandom } from './seeded-random.ts';

export interface FaultRates {
  /** Probabilities per request, 0 to 1. */
  readonly perRequest: {
    /** The process dies before, during or after it. */
    readonly crash: number;
    readonly lostRequest: number;
    readonly lostAnswer: number;
    /** Arrives up to `lateMsMost` later, often after its sender gave it up. */
    readonly lateRequest: number;
    readonly lateAnswer: number;
    /** Handled twice, back to back. */
    readonly duplicate: number;
    readonly close: number;
    /**
     * Handled once more, up to `lateMsMost` later, from another connection. Only what belongs to a
     * transaction of v2, whose epoch tells it from what came since.
     */
    readonly replay: number;
  };
  /** Mean number of times in a second of virtual time, over all processes or the cluster. */
  readonly perSecond: {
    /** SIGKILL at a moment when nothing is sent. */
    readonly kill: number;
    /** SIGTERM and a new start. */
    readonly stop: number;
    /** Several of them within two seconds: one rebalance begins before the other has ended. */
    readonly storm: number;
    /** SIGSTOP for up to `pauseMsMost`; one that is longer than a session makes a zombie. */
    readonly pause: number;
    /** The wall clock of a process is set, by up to a day. */
    readonly clockJump: number;
    /** A node goes down, for up to `downMsMost`. */
    readonly nodeDown: number;
    readonly leaderMove: number;
    /** Of the group or of a transactional id. */
    readonly coordinatorMove: number;
    /** A partition has too few replicas in sync, for up to a second. */
    readonly replicasLow: number;
  };
  /** Probability that user code fails at a record; it succeeds when the record is tried again. */
  readonly userError: number;
  /** Probability that user code holds the process at a record, for up to `pauseMsMost`. */
  readonly userStall: number;
  /** Probability that an asynchronous call of user code never settles. */
  readonly userHang: number;
  readonly lateMsMost: number;
  readonly pauseMsMost: number;
  readonly downMsMost: number;
  /** How long a coordinator that was moved answers that it is loading. */
  readonly coordinatorLoadMs: number;
  /** Mean delay of the broker's transaction markers. */
  readonly markerDelayMs: number;
}

export const NO_FAULTS: FaultRates = Object.freeze({
  perRequest: Object.freeze({
    crash: 0,
    lostRequest: 0,
    lostAnswer: 0,
    lateRequest: 0,
    lateAnswer: 0,
    duplicate: 0,
    close: 0,
    replay: 0,
  }),
  perSecond: Object.freeze({
    kill: 0,
    stop: 0,
    storm: 0,
    pause: 0,
    clockJump: 0,
    nodeDown: 0,
    leaderMove: 0,
    coordinatorMove: 0,
    replicasLow: 0,
  }),
  userError: 0,
  userStall: 0,
  userHang: 0,
  lateMsMost: 0,
  pauseMsMost: 0,
  downMsMost: 0,
  coordinatorLoadMs: 0,
  markerDelayMs: 1,
});

/** What `SimulationResult.faults` counts of what is made to go wrong. */
export const FAULT_KINDS = [
  'crash-before',
  'crash-applied',
  'crash-answered',
  'lost-request',
  'lost-answer',
  'late-request',
  'late-answer',
  'duplicate',
  'close',
  'replay',
  'kill',
  'stop',
  'storm',
  'pause',
  'clockJump',
  'nodeDown',
  'leaderMove',
  'coordinatorMove',
  'replicasLow',
  'user-error',
  'user-stall',
  'user-hang',
] as const;

/** And of what that led to: pauses longer than a session, and what the broker gave up or did late. */
export const EFFECT_KINDS = [
  'zombie',
  'session-timeout',
  'transaction-timeout',
  'slow-marker',
] as const;

/** Share of the seeds that have a given kind of fault. */
const PRESENT = 0.55;

export function drawFaults(random: SeededRandom): FaultRates {
  // Rare and frequent alike: uniform in the exponent.
  const rate = (least: number, most: number): number => {
    const drawn = least * (most / least) ** random.fraction();
    return random.chance(PRESENT) ? drawn : 0;
  };
  return {
    perRequest: {
      crash: rate(0.000_5, 0.02),
      lostRequest: rate(0.001, 0.05),
      lostAnswer: rate(0.001, 0.05),
      lateRequest: rate(0.001, 0.05),
      lateAnswer: rate(0.001, 0.05),
      duplicate: rate(0.001, 0.05),
      close: rate(0.001, 0.03),
      replay: rate(0.001, 0.1),
    },
    perSecond: {
      kill: rate(0.02, 1),
      stop: rate(0.02, 0.5),
      storm: rate(0.02, 0.2),
      pause: rate(0.02, 0.5),
      clockJump: rate(0.02, 0.5),
      nodeDown: rate(0.02, 0.5),
      leaderMove: rate(0.02, 2),
      coordinatorMove: rate(0.02, 2),
      replicasLow: rate(0.02, 1),
    },
    userError: rate(0.001, 0.05),
    userStall: rate(0.001, 0.05),
    userHang: rate(0.001, 0.02),
    lateMsMost: random.between(10, 10_000),
    pauseMsMost: random.between(100, 10_000),
    downMsMost: random.between(100, 5_000),
    coordinatorLoadMs: random.chance(0.5) ? 0 : random.between(1, 500),
    markerDelayMs: random.chance(0.3) ? random.between(20, 500) : random.between(0, 5),
  };
}
