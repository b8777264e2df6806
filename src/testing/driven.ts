/** What a driver is made of: the topology that a test gives, planned over the topics it names. */
import { type Known, refuseOther, refuseUnknown } from '../config/known-options.ts';
import { EscapementError } from '../errors.ts';
import {
  type ApplicationPlan,
  planOver,
  startSerdes,
  topicsOfUser,
} from '../runtime/application-plan.ts';
import { madeTopology } from '../topology/given-topology.ts';
import type { Topology } from '../topology/node.ts';
import { DRIVER_APPLICATION, Drive, driverOptions } from './drive.ts';
import { ManualTime } from './manual-time.ts';

export interface TestDriverOptions {
  /** Makes the topology; called once more for every replay, which shares no objects with the test. */
  readonly topology: () => Topology | { build(): Topology };
  /** Partitions by topic, of inputs, outputs and dead-letter topics. Default: 1 each. */
  readonly partitions?: Readonly<Record<string, number>>;
  /**
   * `on` (default): `close` replays the test under many commit and crash patterns, each of which must
   * leave the same records and the same state.
   */
  readonly replay?: 'on' | 'off';
  /**
   * `on` (default): `close` gives the records to the topology's functions and stock operators once
   * more, each record by itself, and names what remembered others. Off as well without `replay`.
   */
  readonly shadow?: 'on' | 'off';
  /** Random patterns beside the fixed ones. Default 5. */
  readonly replays?: number;
  /** Of the random patterns. Default 1. */
  readonly seed?: number;
  /** Wall clock at the start, epoch milliseconds. Default 0. It moves by `advance` alone. */
  readonly startMs?: number;
  /**
   * Records that one `pipe`, `advance` or `idle` may cause in topics that the topology reads itself;
   * more are `TEST_DRIVER_ENDLESS`, since a topology that feeds itself would never be done. Default
   * 10,000; at least 1.
   */
  readonly causedRecordsMax?: number;
}

const CAUSED_RECORDS_MAX = 10_000;

const WHERE = 'TestDriver.start';

const KNOWN: Known<TestDriverOptions> = {
  topology: true,
  partitions: true,
  replay: true,
  shadow: true,
  replays: true,
  seed: true,
  startMs: true,
  causedRecordsMax: true,
};

/** Throws `OPTION_INVALID` for what a driver does not take. */
export function checkDriverOptions(options: TestDriverOptions): void {
  refuseUnknown(WHERE, options, KNOWN);
  refuseOther(WHERE, 'replay', options?.replay, 'on', 'off');
  refuseOther(WHERE, 'shadow', options?.shadow, 'on', 'off');
  wholeNumber('replays', options?.replays ?? 0, 0);
  wholeNumber('startMs', options?.startMs ?? 0, 0);
  wholeNumber('causedRecordsMax', options?.causedRecordsMax ?? 1, 1);
}

export interface Driven {
  readonly topology: Topology;
  readonly application: ApplicationPlan;
  readonly time: ManualTime;
  readonly drive: Drive;
}

/** `change`: of the topology that is driven. */
export async function drivenOf(
  options: TestDriverOptions,
  change: (topology: Topology) => Topology = (topology) => topology,
): Promise<Driven> {
  const topology = change(built(options));
  const application = await applicationOf(options, topology);
  const time = new ManualTime(options.startMs ?? 0);
  const drive = new Drive({
    ...{ application, options: driverOptions(), ports: time.ports(1) },
    causedRecordsMax: options.causedRecordsMax ?? CAUSED_RECORDS_MAX,
  });
  return { topology, application, time, drive };
}

export function built(options: TestDriverOptions): Topology {
  return madeTopology(WHERE, options?.topology);
}

/** A plan with a topology of its own, unless one is given. */
export async function applicationOf(
  options: TestDriverOptions,
  topology = built(options),
): Promise<ApplicationPlan> {
  const partitions = new Map<string, number>();
  for (const topic of topicsOfUser(topology)) partitions.set(topic, 1);
  for (const [topic, count] of Object.entries(options.partitions ?? {})) {
    if (!partitions.has(topic)) throw unknownTopic(topic, [...partitions.keys()]);
    wholeNumber(`partitions of '${topic}'`, count, 1);
    partitions.set(topic, count);
  }
  const schemas = await startSerdes(topology);
  return planOver(topology, DRIVER_APPLICATION, partitions, schemas);
}

/** Throws `OPTION_INVALID` for anything else. */
export function wholeNumber(what: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  const text = `${what}: ${value} is no whole number of at least ${least}.`;
  throw new EscapementError('OPTION_INVALID', text);
}

export function unknownTopic(topic: string, known: readonly string[]): EscapementError {
  const text = `The topology does not use the topic '${topic}'; it has ${known.join(', ')}.`;
  return new EscapementError('OPTION_INVALID', text, { at: { topic } });
}
